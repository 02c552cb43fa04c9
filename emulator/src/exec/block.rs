//! A block: warps that share memory and meet at barriers.

use super::registers::Registers;
use super::shared::Shared;
use super::warp::{State, Warp};
use super::{Stats, Trouble, position};
use crate::error::Fault;
use crate::isa::{Compare, Op, Program, Special};
use crate::memory::Regions;

/// Runs the blocks of a launch, one after another.
pub(crate) struct Block<'a> {
    pub program: &'a Program,
    pub regions: &'a Regions,
    pub params: &'a [u8],
    pub shared: Shared,
    pub stats: Stats,
    pub reverse: bool,
    /// Where the last search in `regions` ended.
    pub last_region: usize,
    warps: Vec<Warp>,
    image: Registers,
    grid: [u32; 3],
    block: [u32; 3],
    dynamic: u32,
}

/// Why a block stopped.
pub(crate) struct Stop {
    pub thread: Option<u32>,
    pub line: u32,
    pub fault: Fault,
}

impl<'a> Block<'a> {
    pub fn new(
        program: &'a Program,
        regions: &'a Regions,
        params: &'a [u8],
        grid: [u32; 3],
        block: [u32; 3],
        dynamic: u32,
        reverse: bool,
    ) -> Block<'a> {
        let image = Registers::new(program);
        let threads: u32 = block.iter().product();
        let warps = (0..threads.div_ceil(32)).map(|i| Warp::new(program, &image, i, threads)).collect();
        let shared = program.shared_bytes.next_multiple_of(16) + dynamic;
        Block {
            program,
            regions,
            params,
            shared: Shared::new(shared as usize),
            stats: Stats::default(),
            reverse,
            last_region: 0,
            warps,
            image,
            grid,
            block,
            dynamic,
        }
    }

    /// Runs the block at an index of the grid.
    pub fn run(&mut self, index: [u32; 3]) -> Result<(), Stop> {
        self.shared.clear();
        let mut warps = std::mem::take(&mut self.warps);
        for warp in &mut warps {
            warp.reset(&self.image);
            self.specials(warp, index);
        }
        let result = self.rounds(&mut warps);
        self.warps = warps;
        result
    }

    /// Lets warps run from barrier to barrier.
    fn rounds(&mut self, warps: &mut [Warp]) -> Result<(), Stop> {
        loop {
            for i in 0..warps.len() {
                let at = if self.reverse { warps.len() - 1 - i } else { i };
                let warp = &mut warps[at];
                if let Err(trouble) = self.advance(warp) {
                    let Trouble { lane, fault } = *trouble;
                    let line = self.program.code[warp.pc].line;
                    return Err(Stop { thread: lane.map(|l| warp.first + l as u32), line, fault });
                }
            }
            if warps.iter().all(|w| w.groups.is_empty()) {
                return Ok(());
            }
            self.meet(warps)?;
        }
    }

    /// All threads that have not ended are at barriers: it must be the same one, and none may have ended.
    fn meet(&mut self, warps: &mut [Warp]) -> Result<(), Stop> {
        let places: Vec<(u32, u32, usize)> = warps
            .iter()
            .flat_map(|w| {
                w.groups.iter().map(|g| {
                    let lane = g.mask.trailing_zeros();
                    let id = match &self.program.code[g.pc].op {
                        Op::Barrier { id } => w.regs.lane(*id, lane as usize) as u32,
                        _ => 0,
                    };
                    (w.first + lane, id, g.pc)
                })
            })
            .collect();
        let (thread, id, pc) = places[0];
        let line = self.program.code[pc].line;
        let fail = |why: String| Err(Stop { thread: Some(thread), line, fault: Fault::Barrier(why) });
        if let Some((other, _, at)) = places.iter().find(|(_, _, at)| *at != pc) {
            let other_line = self.program.code[*at].line + 1;
            return fail(format!("this thread waits here, but thread {other} waits at PTX line {other_line}"));
        }
        if let Some((other, name, _)) = places.iter().find(|(_, name, _)| *name != id) {
            return fail(format!("this thread waits at barrier {id}, but thread {other} at barrier {name}"));
        }
        if let Some(ended) = warps.iter().find(|w| w.exited != 0) {
            let other = ended.first + ended.exited.trailing_zeros();
            return fail(format!("this thread waits here, but thread {other} has ended"));
        }
        for warp in warps {
            warp.epoch = 0;
            for group in &mut warp.groups {
                group.state = State::Ready;
                group.pc += 1;
            }
        }
        self.shared.barrier();
        Ok(())
    }

    /// Fills the special registers that the program reads.
    fn specials(&self, warp: &mut Warp, index: [u32; 3]) {
        for (reg, special) in &self.program.specials {
            let values = std::array::from_fn(|lane| {
                let value = match special {
                    Special::Tid(axis) => position(warp.first + lane as u32, self.block)[*axis],
                    Special::Ntid(axis) => self.block[*axis],
                    Special::Ctaid(axis) => index[*axis],
                    Special::Nctaid(axis) => self.grid[*axis],
                    Special::LaneId => lane as u32,
                    Special::WarpId => warp.first / 32,
                    Special::LaneMask(compare) => {
                        let below = (1_u32 << lane) - 1;
                        match compare {
                            Compare::Eq => 1 << lane,
                            Compare::Lt => below,
                            Compare::Le => below | 1 << lane,
                            Compare::Gt => !(below | 1 << lane),
                            Compare::Ge => !below,
                            Compare::Ne => !(1 << lane),
                        }
                    }
                    Special::DynamicShared => self.dynamic,
                };
                u64::from(value)
            });
            warp.regs.write(*reg, u32::MAX, &values);
        }
    }
}
