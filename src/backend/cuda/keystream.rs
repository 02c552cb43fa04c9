//! Keystream for launches that stand in line: one launch before them draws all of it.

use std::sync::Arc;

use bytemuck::cast_slice;
use cudarc::driver::{CudaSlice, CudaStream};

use super::gpu::Grid;
use super::lane::Lane;
use super::params::StreamUse;
use super::tables::Tables;
use super::{address, failed, out_of_memory, room};
use crate::backend::{BackendError, StreamKey, aes};
use crate::plan::{Party, Stream};

/// Words of keystream that are drawn at a time.
pub(super) const DRAWN: usize = 4 << 20;

/// Blocks of keystream that a warp draws at a time, one a lane; and how often at most before it looks which are next.
const LANES: u64 = 32;
const TIMES: u64 = 8;

/// Threads of a block, and its warps; those that should have something to do where there is little: a block makes a table first,
/// which takes as long as a few blocks of keystream.
const THREADS: u32 = 512;
const WARPS: u64 = THREADS as u64 / LANES;
const AWAKE: u64 = 4;

/// Dynamic shared memory of the kernel: its table, and room for each warp.
pub(super) const SHARED: u32 = 73_728;

/// A party's keystream.
pub(super) struct Keystream {
    party: Party,
    /// Round keys of streams `party` and `party + 1`.
    keys: CudaSlice<u64>,
    /// Where it is drawn to, and how many of its words launches in line use.
    room: Option<CudaSlice<u64>>,
    taken: usize,
    uses: Vec<StreamUse>,
    /// Blocks of keystream of each of them.
    blocks: Vec<u64>,
}

/// Words of planes of `stride` words to be drawn: so many from a first one on, of each of these planes of these streams.
#[derive(Clone, Copy)]
pub(super) struct Draw<'d> {
    pub planes: &'d [(u16, u16)],
    pub streams: &'d [Stream],
    pub stride: usize,
    pub first: usize,
    pub count: usize,
}

/// Parameters of kernel `streams`.
type Parameters = (u64, u32, u64, u32, u64, u32);

impl Keystream {
    /// Keys are still to be set.
    pub(super) fn new(stream: &Arc<CudaStream>, party: Party) -> Result<Keystream, BackendError> {
        let keys = stream.alloc_zeros(2 * aes::WORDS);
        let keys = keys.map_err(|error| out_of_memory("keys", 2 * aes::WORDS, error))?;
        Ok(Keystream { party, keys, room: None, taken: 0, uses: Vec::new(), blocks: Vec::new() })
    }

    /// Copies other round keys to the GPU.
    pub(super) fn rekey(&mut self, stream: &Arc<CudaStream>, keys: &[StreamKey; 2]) -> Result<(), BackendError> {
        let mut words = zeroize::Zeroizing::new([0; 2 * aes::WORDS]);
        for (words, key) in words.chunks_exact_mut(aes::WORDS).zip(keys) {
            words.copy_from_slice(&aes::expand(key)[..]);
        }
        stream.memcpy_htod(&words[..], &mut self.keys).map_err(failed)?;
        // The words are wiped when they are dropped, and a copy of ordinary memory may still be on its way.
        stream.synchronize().map_err(failed)
    }

    /// How much room there should be before so many words are drawn, if there is too little: none is in use then.
    pub(super) fn lacks(&self, words: usize) -> Option<usize> {
        let room = self.room.as_ref().map_or(0, CudaSlice::len);
        let all = self.taken + words;
        match all <= room {
            true => None,
            // Next time all of it stands in line together; soon there is room for whatever does.
            false if all <= DRAWN => Some(all.next_power_of_two()),
            false => Some(words),
        }
    }

    /// Makes room for so many words; nothing in line uses any.
    pub(super) fn grow(&mut self, lane: &Lane, words: usize) -> Result<(), BackendError> {
        room(&mut self.room, lane, words).map(drop)
    }

    /// Where launches in line find what is to be drawn, one plane after the other.
    pub(super) fn draw(&mut self, stream: &Arc<CudaStream>, draw: Draw<'_>) -> u64 {
        let Draw { planes, streams, stride, first, count } = draw;
        let base = self.room.as_ref().map_or(0, |room| address(room, stream));
        let out = base + 8 * self.taken as u64;
        for (at, (number, plane)) in planes.iter().enumerate() {
            let stream = streams[usize::from(*number)];
            let start = (usize::from(*plane) * stride + first) as u64;
            let of_block = 128 / u64::from(if stream.bits == 1 { 64 } else { stream.class() });
            let blocks = (start + count as u64 - 1) / of_block + 1 - start / of_block;
            self.uses.push(StreamUse {
                out: out + 8 * (at * count) as u64,
                start,
                count: count as u64,
                unit: 0,
                id: stream.id,
                bits: stream.bits,
                key: u32::from(stream.key != self.party.0),
                unused: 0,
            });
            self.blocks.push(blocks);
        }
        self.taken += planes.len() * count;
        out
    }

    /// The grid and the parameters of the launch of kernel `streams` that draws everything, if there is
    /// anything; what comes then is drawn anew.
    pub(super) fn launch(
        &mut self,
        stream: &Arc<CudaStream>,
        tables: &mut Tables,
        multiprocessors: u32,
    ) -> Result<Option<(Grid, Parameters)>, BackendError> {
        if self.uses.is_empty() {
            return Ok(None);
        }
        let most = 2 * u64::from(multiprocessors);
        let all: u64 = self.blocks.iter().sum();
        let unit = LANES * (all / (LANES * most * WARPS * 4)).clamp(1, TIMES);
        let mut units = 0;
        for (used, blocks) in self.uses.iter_mut().zip(&self.blocks) {
            used.unit = units;
            units += blocks.div_ceil(unit);
        }
        let (table, count) = (tables.place(stream, cast_slice(&self.uses))?, self.uses.len() as u32);
        self.forget();
        let blocks = units.div_ceil(AWAKE).min(most / 2).max(units.div_ceil(WARPS).min(most)) as u32;
        let grid = Grid { blocks: [blocks, 1, 1], threads: THREADS, shared: SHARED };
        let keys = address(&self.keys, stream);
        Ok(Some((grid, (keys, 2, table, count, units, unit as u32))))
    }

    /// Forgets what was to be drawn.
    pub(super) fn forget(&mut self) {
        self.uses.clear();
        self.blocks.clear();
        self.taken = 0;
    }

    /// Its memory.
    pub(super) fn memory(&mut self) -> impl Iterator<Item = &mut CudaSlice<u64>> {
        self.room.iter_mut().chain([&mut self.keys])
    }
}
