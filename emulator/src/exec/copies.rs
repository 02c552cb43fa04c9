//! `cp.async`: copies from global to shared memory that land when the thread waits for them.

use super::block::Block;
use super::memory::{misaligned, out_of_bounds};
use super::warp::Warp;
use super::{LANES, Outcome, lane_fault, lanes_of};
use crate::isa::{Address, Reg};

#[derive(Clone, Copy, Debug)]
struct Copy {
    lane: usize,
    group: u32,
    to: u64,
    from: u64,
    bytes: u32,
    /// Bytes that are copied; the rest become zero.
    valid: u32,
}

/// The copies of a warp that have not landed.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    list: Vec<Copy>,
    /// Groups that each lane has committed.
    committed: [u32; LANES],
}

impl Copies {
    pub fn clear(&mut self) {
        self.list.clear();
        self.committed = [0; LANES];
    }

    /// How many copies of a lane are in flight.
    pub fn of(&self, lane: usize) -> usize {
        self.list.iter().filter(|c| c.lane == lane).count()
    }
}

impl Block<'_> {
    pub(super) fn copy_async(
        &mut self,
        warp: &mut Warp,
        mask: u32,
        to: Address,
        from: Address,
        (bytes, valid): (u32, Option<Reg>),
    ) -> Outcome<()> {
        for lane in lanes_of(mask) {
            let (target, source) = (warp.address(to, lane), warp.address(from, lane));
            let valid = valid.map_or(bytes, |reg| (warp.regs.lane(reg, lane) as u32).min(bytes));
            let size = u64::from(bytes);
            if !target.is_multiple_of(size) {
                return lane_fault(lane, misaligned("cp.async", "shared", size, target));
            }
            if !source.is_multiple_of(size) {
                return lane_fault(lane, misaligned("cp.async", "global", size, source));
            }
            if target.checked_add(size).is_none_or(|end| end > self.shared.len()) {
                return lane_fault(lane, out_of_bounds("cp.async", "shared", size, target));
            }
            if valid > 0 && self.regions.find(source, u64::from(valid), &mut self.last_region).is_none() {
                return lane_fault(lane, out_of_bounds("cp.async", "global", u64::from(valid), source));
            }
            let who = warp.who(lane);
            if let Err(fault) = self.shared.copy_starts(target as usize, bytes as usize, who) {
                return lane_fault(lane, fault);
            }
            let group = warp.copies.committed[lane];
            warp.copies.list.push(Copy { lane, group, to: target, from: source, bytes, valid });
        }
        Ok(())
    }

    /// Closes each lane's group.
    pub(super) fn commit_copies(&mut self, warp: &mut Warp, mask: u32) {
        lanes_of(mask).for_each(|lane| warp.copies.committed[lane] += 1);
    }

    /// Lands copies until each lane has only `left` groups in flight.
    pub(super) fn wait_copies(&mut self, warp: &mut Warp, mask: u32, left: u32, all: bool) -> Outcome<()> {
        let committed = warp.copies.committed;
        let due = |c: &Copy| mask >> c.lane & 1 != 0 && (all || c.group + left < committed[c.lane]);
        let (landing, flying): (Vec<Copy>, Vec<Copy>) = warp.copies.list.iter().partition(|c| due(c));
        warp.copies.list = flying;
        for c in landing {
            let mut content = [0; 16];
            if c.valid > 0 {
                let Some(region) = self.regions.find(c.from, u64::from(c.valid), &mut self.last_region) else {
                    return lane_fault(c.lane, out_of_bounds("cp.async", "global", u64::from(c.valid), c.from));
                };
                let start = (c.from - region.base) as usize;
                if region.written.as_ref().is_some_and(|w| !w.holds(start, c.valid as usize)) {
                    return lane_fault(c.lane, crate::error::Fault::Uninitialised { space: "global", address: c.from });
                }
                region.read_bytes(c.from, &mut content[..c.valid as usize]);
            }
            let who = warp.who(c.lane);
            if let Err(fault) = self.shared.copy_lands(c.to as usize, &content[..c.bytes as usize], who) {
                return lane_fault(c.lane, fault);
            }
        }
        Ok(())
    }
}
