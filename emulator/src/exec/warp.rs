//! A warp: lanes that execute an instruction together, as long as they are at the same place.
//!
//! Lanes that branch apart form groups. The group that is deepest in calls, then furthest behind, goes first, so that
//! groups meet again where their ways join.

use super::block::Block;
use super::copies::Copies;
use super::registers::Registers;
use super::{Outcome, lane_fault, lanes_of, warp_fault};
use crate::error::Fault;
use crate::isa::{Inst, Op, Program};

/// What a group of lanes waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    /// Other lanes of the warp, at a warp-wide instruction.
    Lanes,
    /// The block.
    Barrier,
}

/// Lanes at the same place.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub pc: usize,
    pub mask: u32,
    pub state: State,
    /// The calls that led here.
    pub calls: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Warp {
    pub regs: Registers,
    /// The carry flag of each lane.
    pub carry: u32,
    pub groups: Vec<Group>,
    /// The instruction being executed.
    pub pc: usize,
    /// The warp's first thread.
    pub first: u32,
    /// Lanes that are there.
    pub lanes: u32,
    /// Lanes that have ended.
    pub exited: u32,
    /// How often the warp has ordered its accesses to shared memory.
    pub epoch: u32,
    /// Each lane's local memory, and which of it is written.
    pub local: Vec<u8>,
    pub local_written: Vec<bool>,
    /// Each lane's parameter variables.
    pub frame: Vec<u8>,
    pub copies: Copies,
}

/// What happens to a group after an instruction.
enum Next {
    /// On to the next one.
    Step,
    /// It is somewhere else, or others may go first.
    Moved,
    /// Nothing is left of it.
    Gone,
}

impl Warp {
    pub fn new(program: &Program, image: &Registers, index: u32, threads: u32) -> Warp {
        let count = (threads - 32 * index).min(32);
        Warp {
            regs: image.clone(),
            carry: 0,
            groups: Vec::new(),
            pc: 0,
            first: 32 * index,
            lanes: u32::MAX >> (32 - count),
            exited: 0,
            epoch: 0,
            local: vec![0; program.local_bytes as usize * 32],
            local_written: vec![false; program.local_bytes as usize * 32],
            frame: vec![0; program.frame_bytes as usize * 32],
            copies: Copies::default(),
        }
    }

    /// All lanes at the first instruction, with nothing written.
    pub fn reset(&mut self, image: &Registers) {
        self.regs.reset(image);
        (self.carry, self.pc, self.exited, self.epoch) = (0, 0, 0, 0);
        self.groups.clear();
        self.groups.push(Group { pc: 0, mask: self.lanes, state: State::Ready, calls: Vec::new() });
        self.local_written.fill(false);
        self.copies.clear();
    }

    /// The next place at or after `pc` where other lanes wait that came by the same calls.
    fn meeting(&self, group: &Group) -> usize {
        let others = self.groups.iter().filter(|g| g.pc >= group.pc && g.calls == group.calls);
        others.map(|g| g.pc).min().unwrap_or(usize::MAX)
    }

    /// Adds a group, or its lanes to a group at the same place.
    fn join(&mut self, group: Group) {
        let same = self.groups.iter_mut().find(|g| g.pc == group.pc && g.calls == group.calls);
        match same {
            Some(there) => {
                there.mask |= group.mask;
                there.state = State::Ready;
            }
            None => self.groups.push(group),
        }
    }

    /// Lanes that are known never to come.
    pub fn absent(&self) -> u32 {
        self.exited | !self.lanes
    }
}

impl Block<'_> {
    /// Runs a warp until all its lanes wait for the block or have ended.
    pub(super) fn advance(&mut self, warp: &mut Warp) -> Outcome<()> {
        loop {
            let ready = warp.groups.iter().enumerate().filter(|(_, g)| g.state == State::Ready);
            let Some((at, _)) = ready.min_by_key(|(_, g)| (std::cmp::Reverse(g.calls.len()), g.pc)) else { break };
            let group = warp.groups.swap_remove(at);
            self.follow(warp, group)?;
        }
        if let Some(stuck) = warp.groups.iter().find(|g| g.state == State::Lanes) {
            warp.pc = stuck.pc;
            let others = warp.lanes & !stuck.mask;
            return warp_fault(Fault::Warp(format!("lanes {:#x} wait here for lanes among {others:#x}", stuck.mask)));
        }
        Ok(())
    }

    /// Runs a group until it waits, ends, meets others, or others may have to go first.
    fn follow(&mut self, warp: &mut Warp, mut group: Group) -> Outcome<()> {
        let program = self.program;
        let mut meeting = warp.meeting(&group);
        loop {
            if group.pc == meeting {
                warp.join(group);
                return Ok(());
            }
            let inst = &program.code[group.pc];
            warp.pc = group.pc;
            let mask = match inst.guard {
                None => group.mask,
                Some(guard) => group.mask & warp.regs.pred(guard),
            };
            self.stats.instructions += u64::from(group.mask.count_ones());
            if inst.op.steers() {
                match self.steer(warp, &mut group, inst, mask)? {
                    Next::Step => meeting = warp.meeting(&group),
                    Next::Moved if warp.groups.is_empty() => meeting = usize::MAX,
                    Next::Moved => {
                        warp.join(group);
                        return Ok(());
                    }
                    Next::Gone => return Ok(()),
                }
            } else {
                if mask != 0 {
                    self.execute(warp, inst, mask)?;
                }
                group.pc += 1;
            }
        }
    }

    /// An instruction after which lanes may be at different places, or that they wait at.
    fn steer(&mut self, warp: &mut Warp, group: &mut Group, inst: &Inst, mask: u32) -> Outcome<Next> {
        if mask == 0 {
            group.pc += 1;
            return Ok(Next::Step);
        }
        if mask != group.mask {
            // The others go on; these lanes are alone with the instruction.
            let (pc, calls) = (group.pc + 1, group.calls.clone());
            warp.join(Group { pc, mask: group.mask & !mask, state: State::Ready, calls });
            group.mask = mask;
        }
        match &inst.op {
            Op::Branch(target) => group.pc = *target as usize,
            Op::BranchIndex { index, targets } => {
                let first = warp.regs.lane(*index, mask.trailing_zeros() as usize);
                let same: u32 = lanes_of(mask).filter(|l| warp.regs.lane(*index, *l) == first).map(|l| 1 << l).sum();
                let Some(target) = targets.get(first as usize) else {
                    return lane_fault(mask.trailing_zeros() as usize, Fault::Trap(format!("no target {first}")));
                };
                if same != mask {
                    // The rest execute the instruction again, by themselves.
                    warp.groups.push(Group { mask: mask & !same, calls: group.calls.clone(), ..*group });
                    group.mask = same;
                }
                group.pc = *target as usize;
            }
            Op::Call { target, args, .. } => {
                warp.move_frame(mask, args);
                group.calls.push(group.pc as u32);
                group.pc = *target as usize;
            }
            Op::Return => {
                let Some(call) = group.calls.pop() else {
                    return warp_fault(Fault::Trap("return without a call".to_owned()));
                };
                if let Op::Call { results, .. } = &self.program.code[call as usize].op {
                    warp.move_frame(mask, results);
                }
                group.pc = call as usize + 1;
            }
            Op::Exit => {
                for lane in lanes_of(mask) {
                    let left = warp.copies.of(lane);
                    if left > 0 {
                        return lane_fault(lane, Fault::CopiesLeft(left));
                    }
                }
                warp.exited |= mask;
                // Who waits for these lanes need not wait any longer.
                warp.groups.iter_mut().filter(|g| g.state == State::Lanes).for_each(|g| g.state = State::Ready);
                return Ok(Next::Gone);
            }
            Op::Barrier { .. } => return Ok(park(warp, group, State::Barrier)),
            _ => {
                if !self.collective(warp, inst, mask)? {
                    return Ok(park(warp, group, State::Lanes));
                }
                group.pc += 1;
                return Ok(Next::Step);
            }
        }
        Ok(Next::Moved)
    }
}

fn park(warp: &mut Warp, group: &Group, state: State) -> Next {
    warp.groups.push(Group { state, calls: group.calls.clone(), ..*group });
    Next::Gone
}

impl Op {
    /// Whether lanes may be at different places afterwards, or wait for each other.
    fn steers(&self) -> bool {
        matches!(
            self,
            Op::Branch(_)
                | Op::BranchIndex { .. }
                | Op::Call { .. }
                | Op::Return
                | Op::Exit
                | Op::Barrier { .. }
                | Op::WarpBarrier { .. }
                | Op::Shuffle { .. }
                | Op::Vote { .. }
                | Op::Ballot { .. }
                | Op::Match { .. }
                | Op::Reduce { .. }
                | Op::Mma { .. }
                | Op::LoadMatrix { .. }
        )
    }
}
