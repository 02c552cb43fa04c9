//! Instructions that the lanes of a warp execute together.

use super::block::Block;
use super::warp::Warp;
use super::{LANES, Lanes, Outcome, lane_fault, lanes_of, warp_fault};
use crate::error::Fault;
use crate::isa::{Inst, Op, Reg, ShuffleMode, Ty, Update, Vote};
use crate::memory::updated;

impl Block<'_> {
    /// Executes the instruction for the lanes of a mask; false if lanes are still to come.
    pub(super) fn collective(&mut self, warp: &mut Warp, inst: &Inst, mask: u32) -> Outcome<bool> {
        let members = match &inst.op {
            Op::Shuffle { members, .. }
            | Op::Vote { members, .. }
            | Op::Ballot { members, .. }
            | Op::Match { members, .. }
            | Op::Reduce { members, .. }
            | Op::WarpBarrier { members } => warp.regs.raw(*members),
            _ => [u64::from(u32::MAX); LANES],
        };
        let whole = matches!(inst.op, Op::Mma { .. } | Op::LoadMatrix { .. });
        if mask != u32::MAX || members != [u64::from(u32::MAX); LANES] {
            for lane in lanes_of(mask) {
                if !may_go(warp, lane, &members, mask, whole)? {
                    return Ok(false);
                }
            }
        }
        let names = |lane: usize| members[lane] as u32 & mask;
        match &inst.op {
            Op::WarpBarrier { .. } => warp.epoch += 1,
            Op::Shuffle { mode, d, p, a, b, c, .. } => {
                let (a, b, c) = (warp.regs.raw(*a), warp.regs.raw(*b), warp.regs.raw(*c));
                let (mut values, mut valid) = ([0; LANES], 0);
                for lane in lanes_of(mask) {
                    let (from, inside) = source(*mode, lane as u32, b[lane] as u32, c[lane] as u32);
                    if names(lane) >> from & 1 == 0 {
                        let why = format!("reads lane {from}, which is not among lanes {:#x}", names(lane));
                        return lane_fault(lane, Fault::Warp(why));
                    }
                    values[lane] = a[from as usize];
                    valid |= u32::from(inside) << lane;
                }
                warp.regs.write(*d, mask, &values);
                warp.regs.write_pred(*p, mask, valid);
            }
            Op::Vote { op, d, p, .. } => {
                let set = warp.regs.pred(*p);
                let result = |lane: usize| match op {
                    Vote::All => set & names(lane) == names(lane),
                    Vote::Any => set & names(lane) != 0,
                    Vote::Uniform => set & names(lane) == 0 || set & names(lane) == names(lane),
                };
                let bits = lanes_of(mask).map(|lane| u32::from(result(lane)) << lane).sum();
                warp.regs.write_pred(*d, mask, bits);
            }
            Op::Ballot { d, p, .. } => {
                let set = warp.regs.pred(*p);
                warp.regs.write(*d, mask, &std::array::from_fn(|lane| u64::from(set & names(lane))));
            }
            Op::Match { all, bits, d, p, a, .. } => {
                let a = warp.regs.read(*a, Ty { kind: crate::isa::Kind::Bits, bits: *bits });
                let alike =
                    |lane: usize| -> u32 { lanes_of(names(lane)).filter(|l| a[*l] == a[lane]).map(|l| 1 << l).sum() };
                let same = |lane: usize| alike(lane) == names(lane);
                let value = |lane: usize| if *all && !same(lane) { 0 } else { u64::from(alike(lane)) };
                let mut values = [0; LANES];
                lanes_of(mask).for_each(|lane| values[lane] = value(lane));
                let agreed = lanes_of(mask).map(|lane| u32::from(same(lane)) << lane).sum();
                warp.regs.write(*d, mask, &values);
                warp.regs.write_pred(*p, mask, agreed);
            }
            Op::Reduce { op, ty, d, a, .. } => {
                let values = reduce(*op, *ty, &warp.regs.raw(*a), mask, names);
                warp.regs.write(*d, mask, &values);
            }
            Op::Mma { signed, d, a, b, c } => self.mma(warp, *signed, (d, a, b, c)),
            Op::LoadMatrix { transposed, d, at } => self.load_matrix(warp, *transposed, d, *at)?,
            _ => return warp_fault(Fault::Trap("not an instruction of a warp".to_owned())),
        }
        Ok(true)
    }

    pub(super) fn active_mask(warp: &mut Warp, mask: u32, d: Reg) {
        warp.regs.write(d, mask, &[u64::from(mask); LANES]);
    }
}

/// Whether all lanes that this one names are here, or will never come.
fn may_go(warp: &Warp, lane: usize, members: &Lanes, mask: u32, whole: bool) -> Outcome<bool> {
    let named = members[lane] as u32;
    if named >> lane & 1 == 0 {
        return lane_fault(lane, Fault::Warp(format!("the mask {named:#x} does not name this lane")));
    }
    let missing = named & !mask;
    // CUDA lets lanes be named that have ended, and whoever names them has seldom meant it.
    let gone = missing & if whole { warp.absent() } else { warp.exited };
    if gone != 0 {
        return warp_fault(Fault::Warp(format!("lanes {gone:#x} have ended, or were never there")));
    }
    if let Some(other) = lanes_of(named & mask).find(|l| members[*l] as u32 != named) {
        let why = format!("this lane names {named:#x}, lane {other} names {:#x}", members[other]);
        return lane_fault(lane, Fault::Warp(why));
    }
    Ok(missing & !warp.absent() == 0)
}

/// The lane that a shuffle reads, and whether it lies in the segment that `c` describes.
fn source(mode: ShuffleMode, lane: u32, b: u32, c: u32) -> (u32, bool) {
    let (b, clamp, segment) = (b & 31, c & 31, (c >> 8) & 31);
    let (lowest, highest) = (lane & segment, (lane & segment) | (clamp & !segment));
    let (from, inside) = match mode {
        // The bound is the segment's lowest lane here.
        ShuffleMode::Up => (lane.wrapping_sub(b), i64::from(lane) - i64::from(b) >= i64::from(highest)),
        ShuffleMode::Down => (lane + b, lane + b <= highest),
        ShuffleMode::Butterfly => (lane ^ b, lane ^ b <= highest),
        ShuffleMode::Index => (lowest | (b & !segment), lowest | (b & !segment) <= highest),
    };
    (if inside { from } else { lane }, inside)
}

fn reduce(op: Update, ty: Ty, a: &Lanes, mask: u32, names: impl Fn(usize) -> u32) -> Lanes {
    let mut values = [0; LANES];
    for lane in lanes_of(mask) {
        let all = lanes_of(names(lane)).map(|l| a[l]);
        values[lane] = all.reduce(|x, y| updated(op, ty.signed(), 32, x, y, 0)).unwrap_or(0);
    }
    values
}
