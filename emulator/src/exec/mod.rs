//! Launches: grids of blocks of warps.

mod arithmetic;
mod block;
mod collective;
mod copies;
mod matrix;
mod memory;
mod registers;
mod shared;
mod warp;

use std::borrow::Cow;

use crate::error::{Error, Fault, Report};
use crate::memory::{Memory, Regions};
use crate::module::{Entry, Module};
use block::Block;

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;
/// A value for each lane.
pub(crate) type Lanes = [u64; LANES];

/// What launches have executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Instructions, summed over threads.
    pub instructions: u64,
    /// Matrix products, summed over warps.
    pub mma: u64,
}

/// A kernel's parameter.
pub trait Argument {
    /// The bytes passed for a parameter of so many bytes, or None if this is none.
    fn bytes(&self, declared: usize) -> Option<Cow<'_, [u8]>>;
}

/// An integer, signed or not, that fits the declared size.
impl Argument for u64 {
    fn bytes(&self, declared: usize) -> Option<Cow<'_, [u8]>> {
        let size = declared.min(8);
        let above = if size < 8 { self.cast_signed() >> (8 * size - 1) } else { 0 };
        let fits = declared <= 8 && (above == -1 || above >> 1 == 0);
        fits.then(|| Cow::Owned(self.to_le_bytes()[..size].to_vec()))
    }
}

/// Just so many bytes.
impl Argument for &[u8] {
    fn bytes(&self, declared: usize) -> Option<Cow<'_, [u8]>> {
        (self.len() == declared).then_some(Cow::Borrowed(*self))
    }
}

/// Just so many bytes.
impl Argument for Vec<u8> {
    fn bytes(&self, declared: usize) -> Option<Cow<'_, [u8]>> {
        (self.len() == declared).then_some(Cow::Borrowed(self.as_slice()))
    }
}

/// Runs kernels of a module on buffers.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Where the kernels are.
    pub module: &'a Module,
    /// The buffers that they may touch.
    pub mem: &'a Memory<'a>,
    /// Blocks, warps and lanes take turns from last to first.
    pub reverse: bool,
    /// Grows with every run.
    pub stats: Stats,
}

/// A fault of a lane, or of its whole warp.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub lane: Option<usize>,
    pub fault: Fault,
}

/// What executing an instruction returns. The error is rare and large.
pub(crate) type Outcome<T> = Result<T, Box<Trouble>>;

pub(crate) fn lane_fault<T>(lane: usize, fault: Fault) -> Outcome<T> {
    Err(Box::new(Trouble { lane: Some(lane), fault }))
}

pub(crate) fn warp_fault<T>(fault: Fault) -> Outcome<T> {
    Err(Box::new(Trouble { lane: None, fault }))
}

/// The lanes of a mask, lowest first.
pub(crate) fn lanes_of(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lane < 32).then_some(lane as usize)
    })
}

impl<'a> Launch<'a> {
    /// Runs a kernel on a grid of blocks, with so many bytes of dynamic shared memory. Parameters are all integers, or
    /// all bytes as structures passed by value need them.
    ///
    /// # Errors
    /// If the launch does not fit the kernel, or a thread faults.
    pub fn run<A: Argument>(
        &mut self,
        name: &str,
        grid: [u32; 3],
        block: [u32; 3],
        dyn_shared: u32,
        params: &[A],
    ) -> Result<(), Error> {
        let entry = self.entry(name)?;
        if params.len() != entry.params.len() {
            return misfit(name, format!("{} parameters given, {} declared", params.len(), entry.params.len()));
        }
        let mut given = Vec::new();
        for (i, (param, declared)) in params.iter().zip(&entry.params).enumerate() {
            match param.bytes(*declared as usize) {
                Some(bytes) => given.push(bytes),
                None => return misfit(name, format!("parameter {i} does not fit its {declared} bytes")),
            }
        }
        self.run_bytes(entry, grid, block, dyn_shared, &given)
    }

    fn run_bytes(
        &mut self,
        entry: &Entry,
        grid: [u32; 3],
        block: [u32; 3],
        dyn_shared: u32,
        params: &[Cow<'_, [u8]>],
    ) -> Result<(), Error> {
        check(entry, grid, block, dyn_shared)?;
        let mut list = vec![0; entry.program.param_bytes as usize];
        for (value, start) in params.iter().zip(&entry.offsets) {
            list[*start as usize..][..value.len()].copy_from_slice(value);
        }
        let regions = self.mem.regions().iter().cloned().chain(self.module.regions()).collect();
        let regions = Regions::new(regions);
        let mut worker = Block::new(&entry.program, &regions, &list, grid, block, dyn_shared, self.reverse);
        let [width, height, depth] = grid.map(u64::from);
        let count = width * height * depth;
        for i in 0..count {
            let at = if self.reverse { count - 1 - i } else { i };
            let index = [at % width, at / width % height, at / width / height].map(|v| v as u32);
            let ran = worker.run(index);
            self.stats.instructions += std::mem::take(&mut worker.stats.instructions);
            self.stats.mma += std::mem::take(&mut worker.stats.mma);
            if let Err(stop) = ran {
                let line = stop.line as usize;
                return Err(Error::Fault(Box::new(Report {
                    kernel: entry.name.clone(),
                    block: index,
                    thread: stop.thread.map(|t| position(t, block)),
                    line: line + 1,
                    text: self.module.line(line),
                    fault: stop.fault,
                })));
            }
        }
        Ok(())
    }

    fn entry(&self, name: &str) -> Result<&'a Entry, Error> {
        self.module.entries.get(name).ok_or_else(|| Error::NoKernel(name.to_owned()))
    }
}

/// A thread's index in each dimension.
pub(crate) fn position(thread: u32, block: [u32; 3]) -> [u32; 3] {
    [thread % block[0], thread / block[0] % block[1], thread / block[0] / block[1]]
}

fn misfit<T>(kernel: &str, why: String) -> Result<T, Error> {
    Err(Error::Launch { kernel: kernel.to_owned(), why })
}

/// Whether the launch fits the kernel and the hardware.
fn check(entry: &Entry, grid: [u32; 3], block: [u32; 3], dyn_shared: u32) -> Result<(), Error> {
    let name = entry.name.as_str();
    let threads: u64 = block.iter().map(|d| u64::from(*d)).product();
    if threads == 0 || threads > 1024 || block[2] > 64 {
        return misfit(name, format!("blocks of {threads} threads"));
    }
    if grid.contains(&0) || grid[0] > i32::MAX as u32 || grid[1] > 65_535 || grid[2] > 65_535 {
        return misfit(name, format!("a grid of {grid:?} blocks"));
    }
    if let Some(most) = entry.max_threads()
        && threads > u64::from(most)
    {
        return misfit(name, format!("blocks of {threads} threads, .maxntid allows {most}"));
    }
    let shared = u64::from(entry.program.shared_bytes.next_multiple_of(16)) + u64::from(dyn_shared);
    if shared > u64::from(crate::decode::SHARED_LIMIT) {
        return misfit(name, format!("{shared} bytes of shared memory"));
    }
    Ok(())
}
