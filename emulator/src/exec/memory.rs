//! Loads, stores and atomics of every space.

use super::block::Block;
use super::shared::{Touch, Who};
use super::warp::Warp;
use super::{LANES, Lanes, Outcome, lane_fault};
use crate::decode::FRAME_BASE;
use crate::error::Fault;
use crate::isa::{Address, Move, Reg, Space, Ty, Update};
use crate::memory::updated;
use crate::module::CONST_BASE;

/// Where the other spaces lie among generic addresses. The low bits are not zero, so that a generic address cut to 32
/// bits is no valid shared one.
const SHARED_WINDOW: u64 = 0x7000_0001_0040_0000;
const LOCAL_WINDOW: u64 = 0x7100_0001_0080_0000;
const PARAM_WINDOW: u64 = 0x7200_0001_00c0_0000;
const WINDOW_BYTES: u64 = 1 << 22;

pub(super) fn window(space: Space) -> u64 {
    match space {
        Space::Shared => SHARED_WINDOW,
        Space::Local => LOCAL_WINDOW,
        Space::Param => PARAM_WINDOW,
        Space::Const => 0_u64.wrapping_sub(CONST_BASE),
        Space::Global | Space::Generic => 0,
    }
}

/// A generic address as a space and the address there.
fn specific(address: u64) -> (Space, u64) {
    for space in [Space::Shared, Space::Local, Space::Param] {
        if let Some(offset) = address.checked_sub(window(space))
            && offset < WINDOW_BYTES
        {
            return (space, offset);
        }
    }
    (Space::Global, address)
}

fn name(space: Space) -> &'static str {
    match space {
        Space::Global => "global",
        Space::Const => "const",
        Space::Shared => "shared",
        Space::Local => "local",
        Space::Param => "param",
        Space::Generic => "generic",
    }
}

#[cold]
pub(super) fn misaligned(access: &'static str, space: &'static str, size: u64, address: u64) -> Fault {
    Fault::Misaligned { access, space, size, address }
}

#[cold]
pub(super) fn out_of_bounds(access: &'static str, space: &'static str, size: u64, address: u64) -> Fault {
    Fault::OutOfBounds { access, space, size, address }
}

impl Warp {
    /// The address that a lane gives.
    #[inline]
    pub(super) fn address(&self, at: Address, lane: usize) -> u64 {
        let address = self.regs.lane(at.base, lane).wrapping_add(at.offset.cast_unsigned());
        if at.base.bits == 64 { address } else { address & 0xffff_ffff }
    }

    pub(super) fn who(&self, lane: usize) -> Who {
        Who { thread: self.first + lane as u32, warp_epoch: self.epoch }
    }

    /// Copies parameters of a call, for the lanes of a mask.
    pub(super) fn move_frame(&mut self, mask: u32, moves: &[Move]) {
        let bytes = self.frame.len() / LANES;
        for lane in super::lanes_of(mask) {
            let frame = &mut self.frame[lane * bytes..][..bytes];
            for m in moves {
                frame.copy_within(m.from as usize..(m.from + m.bytes) as usize, m.to as usize);
            }
        }
    }

    /// Where a lane's bytes of local memory or of parameter variables are.
    fn own(memory: &[u8], lane: usize, offset: u64, bytes: u64) -> Option<usize> {
        let each = (memory.len() / LANES) as u64;
        let end = offset.checked_add(bytes)?;
        (end <= each).then(|| lane * each as usize + offset as usize)
    }
}

/// Lanes of a mask in the order in which they take turns.
fn turns(mask: u32, reverse: bool) -> impl Iterator<Item = usize> {
    (0..LANES).map(move |i| if reverse { LANES - 1 - i } else { i }).filter(move |lane| mask >> lane & 1 != 0)
}

fn number(bytes: &[u8]) -> u64 {
    let mut value = [0; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(value)
}

impl Block<'_> {
    pub(super) fn load(
        &mut self,
        warp: &mut Warp,
        mask: u32,
        (space, ty): (Space, Ty),
        d: &[Option<Reg>],
        at: Address,
    ) -> Outcome<()> {
        let (each, count) = (u64::from(ty.bytes()), d.len());
        let size = each * count as u64;
        let mut values: [Lanes; 4] = [[0; LANES]; 4];
        for lane in turns(mask, self.reverse) {
            let address = warp.address(at, lane);
            let (space, address) = if space == Space::Generic { specific(address) } else { (space, address) };
            if address & (size - 1) != 0 {
                return lane_fault(lane, misaligned("load", name(space), size, address));
            }
            match self.load_lane(warp, lane, (space, address), each as usize, count, &mut values) {
                Ok(true) => {}
                Ok(false) => return lane_fault(lane, out_of_bounds("load", name(space), size, address)),
                Err(fault) => return lane_fault(lane, fault),
            }
        }
        for (d, values) in d.iter().zip(&mut values) {
            let Some(d) = d else { continue };
            if ty.signed() && ty.bits < 64 {
                let shift = 64 - ty.bits;
                values.iter_mut().for_each(|v| *v = ((*v << shift).cast_signed() >> shift).cast_unsigned());
            }
            warp.regs.write(*d, mask, values);
        }
        Ok(())
    }

    /// Reads a lane's elements; false if they are out of bounds.
    #[inline]
    fn load_lane(
        &mut self,
        warp: &Warp,
        lane: usize,
        (space, address): (Space, u64),
        each: usize,
        count: usize,
        values: &mut [Lanes; 4],
    ) -> Result<bool, Fault> {
        let size = (each * count) as u64;
        match space {
            Space::Global | Space::Const | Space::Generic => {
                let address = if space == Space::Const { address.wrapping_sub(CONST_BASE) } else { address };
                let Some(region) = self.regions.find(address, size, &mut self.last_region) else { return Ok(false) };
                if let Some(written) = &region.written
                    && !written.holds((address - region.base) as usize, size as usize)
                {
                    return Err(Fault::Uninitialised { space: "global", address });
                }
                for (i, values) in values[..count].iter_mut().enumerate() {
                    values[lane] = region.read(address + (i * each) as u64, each);
                }
            }
            Space::Shared => {
                if address.checked_add(size).is_none_or(|end| end > self.shared.len()) {
                    return Ok(false);
                }
                self.shared.touch(address as usize, size as usize, Touch::Read, warp.who(lane))?;
                for (i, values) in values[..count].iter_mut().enumerate() {
                    values[lane] = self.shared.read(address as usize + i * each, each);
                }
            }
            Space::Local => {
                let Some(start) = Warp::own(&warp.local, lane, address, size) else { return Ok(false) };
                if warp.local_written[start..start + size as usize].contains(&false) {
                    return Err(Fault::Uninitialised { space: "local", address });
                }
                for (i, values) in values[..count].iter_mut().enumerate() {
                    values[lane] = number(&warp.local[start + i * each..][..each]);
                }
            }
            Space::Param => {
                let bytes = if let Some(offset) = address.checked_sub(u64::from(FRAME_BASE)) {
                    Warp::own(&warp.frame, lane, offset, size).map(|start| &warp.frame[start..][..size as usize])
                } else {
                    self.params.get(address as usize..address.saturating_add(size) as usize)
                };
                let Some(bytes) = bytes else { return Ok(false) };
                for (i, values) in values[..count].iter_mut().enumerate() {
                    values[lane] = number(&bytes[i * each..][..each]);
                }
            }
        }
        Ok(true)
    }

    pub(super) fn store(
        &mut self,
        warp: &mut Warp,
        mask: u32,
        (space, ty): (Space, Ty),
        sources: &[Reg],
        at: Address,
    ) -> Outcome<()> {
        let (each, count) = (ty.bytes() as usize, sources.len());
        let size = (each * count) as u64;
        for lane in turns(mask, self.reverse) {
            let address = warp.address(at, lane);
            let (space, address) = if space == Space::Generic { specific(address) } else { (space, address) };
            if address & (size - 1) != 0 {
                return lane_fault(lane, misaligned("store", name(space), size, address));
            }
            let mut values = [0; 4];
            for (value, source) in values.iter_mut().zip(sources) {
                *value = warp.regs.lane(*source, lane);
            }
            match self.store_lane(warp, lane, (space, address), each, &values[..count]) {
                Ok(true) => {}
                Ok(false) => return lane_fault(lane, out_of_bounds("store", name(space), size, address)),
                Err(fault) => return lane_fault(lane, fault),
            }
        }
        Ok(())
    }

    /// Writes a lane's elements; false if they are out of bounds.
    #[inline]
    fn store_lane(
        &mut self,
        warp: &mut Warp,
        lane: usize,
        (space, address): (Space, u64),
        each: usize,
        values: &[u64],
    ) -> Result<bool, Fault> {
        let size = (each * values.len()) as u64;
        match space {
            Space::Global | Space::Generic => {
                let Some(region) = self.regions.find(address, size, &mut self.last_region) else { return Ok(false) };
                if region.constant {
                    return Ok(false);
                }
                for (i, value) in values.iter().enumerate() {
                    region.write(address + (i * each) as u64, each, *value);
                }
            }
            Space::Shared => {
                if address.checked_add(size).is_none_or(|end| end > self.shared.len()) {
                    return Ok(false);
                }
                self.shared.touch(address as usize, size as usize, Touch::Write, warp.who(lane))?;
                for (i, value) in values.iter().enumerate() {
                    self.shared.write(address as usize + i * each, each, *value);
                }
            }
            Space::Local => {
                let Some(start) = Warp::own(&warp.local, lane, address, size) else { return Ok(false) };
                warp.local_written[start..start + size as usize].fill(true);
                for (i, value) in values.iter().enumerate() {
                    warp.local[start + i * each..][..each].copy_from_slice(&value.to_le_bytes()[..each]);
                }
            }
            Space::Param => {
                let offset = address.checked_sub(u64::from(FRAME_BASE));
                let start = offset.and_then(|offset| Warp::own(&warp.frame, lane, offset, size));
                let Some(start) = start else { return Ok(false) };
                for (i, value) in values.iter().enumerate() {
                    warp.frame[start + i * each..][..each].copy_from_slice(&value.to_le_bytes()[..each]);
                }
            }
            Space::Const => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn atomic(
        &mut self,
        warp: &mut Warp,
        mask: u32,
        (op, space, ty): (Update, Space, Ty),
        d: Option<Reg>,
        (at, a, b): (Address, Reg, Option<Reg>),
    ) -> Outcome<()> {
        let size = u64::from(ty.bytes());
        let mut olds = [0; LANES];
        for lane in turns(mask, self.reverse) {
            let address = warp.address(at, lane);
            let (space, address) = if space == Space::Generic { specific(address) } else { (space, address) };
            if !address.is_multiple_of(size) {
                return lane_fault(lane, misaligned("atomic", name(space), size, address));
            }
            let (a, b) = (warp.regs.lane(a, lane), b.map_or(0, |b| warp.regs.lane(b, lane)));
            let change = |old| updated(op, ty.signed(), ty.bits, old, a, b);
            let beyond = || lane_fault(lane, out_of_bounds("atomic", name(space), size, address));
            olds[lane] = if space == Space::Shared {
                if address.checked_add(size).is_none_or(|end| end > self.shared.len()) {
                    return beyond();
                }
                let (start, bytes) = (address as usize, size as usize);
                if let Err(fault) = self.shared.touch(start, bytes, Touch::Atomic, warp.who(lane)) {
                    return lane_fault(lane, fault);
                }
                let old = self.shared.read(start, bytes);
                self.shared.write(start, bytes, change(old));
                old
            } else {
                let found = self.regions.find(address, size, &mut self.last_region);
                let Some(region) = found.filter(|r| !r.constant && space == Space::Global) else { return beyond() };
                let start = (address - region.base) as usize;
                if region.written.as_ref().is_some_and(|w| !w.holds(start, size as usize)) {
                    return lane_fault(lane, Fault::Uninitialised { space: "global", address });
                }
                region.update(address, ty.bits, change)
            };
        }
        if let Some(d) = d {
            warp.regs.write(d, mask, &olds);
        }
        Ok(())
    }

    /// The lanes whose generic address lies in a space.
    pub(super) fn is_space(&self, warp: &Warp, space: Space, a: Reg) -> u32 {
        let addresses = warp.regs.raw(a);
        let inside = |address: u64| match (specific(address).0, space) {
            (Space::Global, Space::Const) => self.regions.find(address, 1, &mut 0).is_some_and(|r| r.constant),
            (Space::Global, Space::Global) => self.regions.find(address, 1, &mut 0).is_some_and(|r| !r.constant),
            (found, wanted) => found == wanted,
        };
        addresses.iter().enumerate().map(|(lane, address)| u32::from(inside(*address)) << lane).sum()
    }
}
