//! A party's launches: they stand in line on the host until something else comes, and then go to the GPU together. What was
//! handed over before goes as a graph, with one call; keystream for all is drawn by one launch.

#![allow(unsafe_code, reason = "launches of kernels")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream};
use smallvec::SmallVec;

use super::gpu::{Function, Gpu, Grid, failed};
use super::graph::Graph;
use super::keystream::{self, Draw, Keystream};
use super::lane::{Lane, Mark, Queue};
use super::outbox::Packet;
use super::tables::Tables;
use super::{address, room};
use crate::backend::{BackendError, StreamKey};
use crate::plan::Party;

/// Launches that stand in line at most: the GPU should not wait for more.
const MOST: usize = 64;

/// Launches from which on a graph takes the host less time than each by itself.
const WORTH: usize = 3;

/// Launches after which the GPU need not wait with them for a message.
const FEW: usize = 4;

/// Words of descriptions of launches, by which graphs are known, at most.
const KNOWN: usize = 4 << 20;

/// A party's queue of launches.
pub(super) struct Line {
    gpu: Arc<Gpu>,
    lane: Lane,
    state: RefCell<State>,
}

struct State {
    launches: SmallVec<[Standing; MOST]>,
    /// What launches are described by: the kernel, the grid, and the parameters, each from a word on.
    words: Vec<u64>,
    keystream: Keystream,
    tables: Tables,
    /// Comes behind what stands in line.
    mark: Option<Arc<Mark>>,
    /// The last one in line on the GPU, unless something came behind it.
    last: Option<Arc<Mark>>,
    /// Messages that have been read when what stands in line has run.
    read: Vec<Packet>,
    /// By the words of all their launches: what was handed over once, or more often and then as a graph.
    graphs: HashMap<Box<[u64]>, Option<Graph>>,
    known: usize,
}

/// A launch in line, with the first of its words.
struct Standing {
    function: Arc<Function>,
    grid: Grid,
    at: usize,
}

/// Words that describe a launch beside its parameters.
const HEAD: usize = 4;

impl State {
    /// Puts a launch in line.
    fn push(&mut self, function: &Arc<Function>, grid: Grid, parameters: &[&[u8]]) -> Result<(), BackendError> {
        function.expect(parameters)?;
        let at = self.words.len();
        let [x, y, z] = grid.blocks.map(u64::from);
        let threads = u64::from(grid.threads) << 32 | u64::from(grid.shared);
        self.words.extend([Arc::as_ptr(function).addr() as u64, x, y << 32 | z, threads]);
        for parameter in parameters {
            let (whole, rest) = parameter.as_chunks::<8>();
            self.words.extend(whole.iter().map(|bytes| u64::from_ne_bytes(*bytes)));
            if !rest.is_empty() {
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                self.words.push(u64::from_ne_bytes(last));
            }
        }
        self.launches.push(Standing { function: function.clone(), grid, at });
        Ok(())
    }

    /// The launches in line in their order, with their parameters.
    fn launches(&self) -> impl Iterator<Item = (&Arc<Function>, Grid, &[u64])> {
        self.launches.iter().map(|launch| {
            let Standing { function, grid, at } = launch;
            (function, *grid, &self.words[at + HEAD..][..function.words()])
        })
    }
}

impl Line {
    pub(super) fn new(gpu: &Arc<Gpu>, party: Party) -> Result<Line, BackendError> {
        let stream = gpu.context().new_stream().map_err(failed)?;
        let (keystream, tables) = (Keystream::new(&stream, party)?, Tables::new(&stream)?);
        let state = State {
            launches: SmallVec::new(),
            words: Vec::new(),
            keystream,
            tables,
            mark: None,
            last: None,
            read: Vec::new(),
            graphs: HashMap::new(),
            known: 0,
        };
        Ok(Line { gpu: gpu.clone(), lane: Lane::new(stream), state: RefCell::new(state) })
    }

    /// Puts a launch in line.
    ///
    /// # Safety
    /// What the kernel reads and writes according to its parameters has to be memory of this GPU that nothing else uses outside of
    /// this line, and stays until what comes behind it.
    pub(super) unsafe fn launch(
        &self,
        function: &Arc<Function>,
        grid: Grid,
        parameters: &[&[u8]],
    ) -> Result<(), BackendError> {
        let mut state = self.state.borrow_mut();
        state.push(function, grid, parameters)?;
        let full = state.launches.len() >= MOST - 1;
        drop(state);
        if full { self.flush() } else { Ok(()) }
    }

    /// Where the next launch in line finds keystream.
    pub(super) fn draw(&self, draw: Draw<'_>) -> Result<u64, BackendError> {
        let words = draw.planes.len() * draw.count;
        if words == 0 {
            return Ok(0);
        }
        let lacks = self.state.borrow().keystream.lacks(words);
        if let Some(room) = lacks {
            let stream = self.stream()?;
            self.state.borrow_mut().keystream.grow(stream, room)?;
        }
        Ok(self.state.borrow_mut().keystream.draw(self.ahead(), draw))
    }

    /// Other keys for what comes.
    pub(super) fn rekey(&self, keys: &[StreamKey; 2]) -> Result<(), BackendError> {
        let stream = self.stream()?;
        self.state.borrow_mut().keystream.rekey(stream, keys)
    }

    /// Forgets tables if they are too many.
    pub(super) fn trim(&self) -> Result<(), BackendError> {
        if self.state.borrow().tables.are_many() {
            let stream = self.stream()?;
            self.state.borrow_mut().tables.forget(stream)?;
        }
        Ok(())
    }

    /// Where launches find a table, until the next [`Line::trim`].
    pub(super) fn table(&self, table: &[u64]) -> Result<u64, BackendError> {
        self.state.borrow_mut().tables.place(self.ahead(), table)
    }

    /// Memory of at least so many words for launches in line, whose contents are lost if it had fewer.
    pub(super) fn room(&self, memory: &mut Option<CudaSlice<u64>>, words: usize) -> Result<u64, BackendError> {
        let there = memory.as_ref().is_some_and(|memory| memory.len() >= words);
        let stream = if there { self.ahead() } else { self.stream()? };
        Ok(address(room(memory, stream, words)?, stream))
    }

    /// Gives a message back when what stands in line has read it.
    pub(super) fn was_read(&self, packet: Packet) {
        self.state.borrow_mut().read.push(packet);
    }

    /// Hands what stands in line to the GPU.
    ///
    /// # Errors
    /// If a launch or one before failed; none of the line stays.
    pub(super) fn flush(&self) -> Result<(), BackendError> {
        let state = &mut *self.state.borrow_mut();
        let handed = match state.launches.is_empty() {
            true => Ok(()),
            false => {
                state.last = None;
                let handed = self.hand_over(state);
                state.launches.clear();
                state.words.clear();
                handed
            }
        };
        if state.mark.is_some() || !state.read.is_empty() {
            let mark = match state.mark.take() {
                Some(mark) => Ok(mark),
                None => self.lane.make(),
            };
            let set = handed.and(mark).and_then(|mark| self.lane.set(&mark).map(|()| mark));
            let read = std::mem::take(&mut state.read);
            match &set {
                Ok(mark) => read.into_iter().for_each(|packet| packet.goes_back(mark)),
                Err(_) => {
                    // Then they have been read when all has run.
                    let _ended = self.lane.stream().synchronize();
                    drop(read);
                }
            }
            state.last = Some(set?);
            return Ok(());
        }
        handed
    }

    fn hand_over(&self, state: &mut State) -> Result<(), BackendError> {
        let stream = self.lane.stream();
        let State { keystream, tables, .. } = state;
        let mut first = SmallVec::<[Vec<u8>; 6]>::new();
        let grid = keystream.launch(stream, tables, self.gpu.multiprocessors(), |grid, parameters| {
            first.extend(parameters.iter().map(|bytes| bytes.to_vec()));
            Ok(grid)
        })?;
        if let Some(grid) = grid {
            let function = self.gpu.kernel("streams", keystream::SHARED)?;
            let parameters: SmallVec<[&[u8]; 6]> = first.iter().map(Vec::as_slice).collect();
            state.push(&function, grid, &parameters)?;
            // It was described last, but comes first.
            state.launches.rotate_right(1);
        }
        self.gpu.context().bind_to_thread().map_err(failed)?;
        let by_itself = |state: &State| {
            // SAFETY: the caller of `launch` answers for it; keystream is drawn into its room.
            state.launches().try_for_each(|(function, grid, words)| unsafe { function.launch(stream, grid, words) })
        };
        if state.launches.len() < WORTH {
            return by_itself(state);
        }
        match state.graphs.get(&state.words[..]) {
            // SAFETY: as above: the launches are these.
            Some(Some(graph)) => unsafe { graph.launch(stream) },
            Some(None) => {
                let graph = Graph::of(self.gpu.context(), state.launches())?;
                // SAFETY: as above.
                unsafe { graph.launch(stream) }?;
                state.graphs.insert(state.words[..].into(), Some(graph));
                Ok(())
            }
            None => {
                by_itself(state)?;
                state.known += state.words.len();
                if state.known > KNOWN {
                    stream.synchronize().map_err(failed)?;
                    state.graphs.clear();
                    state.known = state.words.len();
                }
                state.graphs.insert(state.words[..].into(), None);
                Ok(())
            }
        }
    }

    /// The memory of keystream, keys and tables.
    pub(super) fn memory(&mut self) -> impl Iterator<Item = &mut CudaSlice<u64>> {
        let State { keystream, tables, .. } = self.state.get_mut();
        keystream.memory().chain(tables.blocks())
    }
}

impl Queue for Line {
    fn stream(&self) -> Result<&Arc<CudaStream>, BackendError> {
        self.flush()?;
        self.state.borrow_mut().last = None;
        Ok(self.lane.stream())
    }

    fn ahead(&self) -> &Arc<CudaStream> {
        self.lane.stream()
    }

    fn mark(&self) -> Result<Arc<Mark>, BackendError> {
        let mut state = self.state.borrow_mut();
        if let Some(mark) = &state.mark {
            return Ok(mark.clone());
        }
        if let Some(mark) = state.last.clone().filter(|_| state.launches.is_empty()) {
            return Ok(mark);
        }
        let mark = self.lane.make()?;
        state.mark = Some(mark.clone());
        Ok(mark)
    }

    fn wait(&self, mark: &Mark) -> Result<(), BackendError> {
        if self.lane.is_behind(mark) {
            return Ok(());
        }
        // That is in line already, so it waits for nothing that stands here.
        if self.state.borrow().launches.len() > FEW {
            self.flush()?;
        }
        self.lane.behind(mark)?;
        self.state.borrow_mut().last = None;
        Ok(())
    }
}
