//! A party's launches: they stand in line on the host until something else comes, and then go to the GPU together. What was
//! handed over before goes as a graph, with one call; keystream for all is drawn by one launch.

#![allow(unsafe_code, reason = "launches of kernels")]

use std::cell::RefCell;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaSlice, CudaStream};
use smallvec::SmallVec;

use super::gpu::{Function, Gpu, Grid, failed};
use super::graph::Graph;
use super::kernels::{self, Parameters as _};
use super::keystream::{self, Draw, Keystream};
use super::known::Known;
use super::lane::{Lane, Mark, Queue};
use super::outbox::Packet;
use super::tables::Tables;
use super::trail::Trail;
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
    trail: Arc<Trail>,
    state: RefCell<State>,
}

struct State {
    launches: Launches,
    /// The site that is served, and those of what stands in line.
    site: Option<usize>,
    sites: Vec<usize>,
    keystream: Keystream,
    tables: Tables,
    /// Comes behind what stands in line.
    mark: Option<Arc<Mark>>,
    /// The last one in line on the GPU, unless something came behind it.
    last: Option<Arc<Mark>>,
    /// Messages that have been read when what stands in line has run.
    read: Vec<Packet>,
    /// By the words of all their launches: what was handed over once, or more often and then as a graph. Kernels are where they
    /// are as long as there is a GPU.
    graphs: Known<Graph>,
    /// Something did not get to the GPU, so that nothing behind it may.
    broken: bool,
}

/// Launches that stand in line.
#[derive(Default)]
struct Launches {
    all: SmallVec<[Standing; MOST]>,
    /// What they are described by: the kernel, the grid, and the parameters, each from a word on.
    words: Vec<u64>,
}

/// A launch in line, with the first of its words.
struct Standing {
    function: Arc<Function>,
    grid: Grid,
    at: usize,
}

/// Words that describe a launch beside its parameters.
const HEAD: usize = 4;

impl Launches {
    /// Puts a launch in line.
    fn push(&mut self, function: &Arc<Function>, grid: Grid, parameters: &[u64]) -> Result<(), BackendError> {
        if parameters.len() != function.words() {
            let (given, takes) = (parameters.len(), function.words());
            let text = format!("{given} words of parameters for a kernel that takes {takes}: a mistake in smlc");
            return Err(BackendError::Device(text));
        }
        let at = self.words.len();
        let [x, y, z] = grid.blocks.map(u64::from);
        let threads = u64::from(grid.threads) << 32 | u64::from(grid.shared);
        self.words.extend([Arc::as_ptr(function).addr() as u64, x, y << 32 | z, threads]);
        self.words.extend_from_slice(parameters);
        self.all.push(Standing { function: function.clone(), grid, at });
        Ok(())
    }

    /// The same, before all others.
    fn push_first(&mut self, function: &Arc<Function>, grid: Grid, parameters: &[u64]) -> Result<(), BackendError> {
        self.push(function, grid, parameters)?;
        self.all.rotate_right(1);
        Ok(())
    }

    /// Launches in their order, with their parameters.
    fn iter(&self) -> impl Iterator<Item = (&Arc<Function>, Grid, &[u64])> {
        self.all
            .iter()
            .map(|Standing { function, grid, at }| (function, *grid, &self.words[at + HEAD..][..function.words()]))
    }

    /// Puts each by itself in line on the GPU, whose context is bound to this thread.
    ///
    /// # Safety
    /// As for [`Line::launch`], for each of them.
    unsafe fn launch(&self, stream: &CudaStream) -> Result<(), BackendError> {
        // SAFETY: the caller answers for it.
        self.iter().try_for_each(|(function, grid, words)| unsafe { function.launch(stream, grid, words) })
    }

    fn clear(&mut self) {
        self.all.clear();
        self.words.clear();
    }
}

impl Line {
    /// A line without keys.
    pub(super) fn new(gpu: &Arc<Gpu>, context: &Arc<CudaContext>, party: Party) -> Result<Line, BackendError> {
        let stream = context.new_stream().map_err(failed)?;
        let (keystream, tables) = (Keystream::new(&stream, party)?, Tables::new(&stream)?);
        let trail = Trail::new(gpu, context)?;
        let state = State {
            launches: Launches::default(),
            site: None,
            sites: Vec::new(),
            keystream,
            tables,
            mark: None,
            last: None,
            read: Vec::new(),
            graphs: Known::new(KNOWN),
            broken: false,
        };
        Ok(Line { gpu: gpu.clone(), lane: Lane::new(stream), trail, state: RefCell::new(state) })
    }

    /// Puts a launch in line, with parameters that each begin with a word.
    ///
    /// # Safety
    /// What the kernel reads and writes according to its parameters has to be memory of this GPU that nothing else uses outside of
    /// this line, and stays until what comes behind it.
    pub(super) unsafe fn launch(
        &self,
        function: &Arc<Function>,
        grid: Grid,
        parameters: &[u64],
    ) -> Result<(), BackendError> {
        let mut state = self.state.borrow_mut();
        state.launches.push(function, grid, parameters)?;
        let State { site, sites, .. } = &mut *state;
        if *site != sites.last().copied() {
            sites.extend(*site);
        }
        // One more may come before all.
        let full = state.launches.all.len() >= MOST - 1;
        drop(state);
        if full { self.flush() } else { Ok(()) }
    }

    /// What is put in line from here on is for this site of the plan.
    pub(super) fn serve(&self, site: usize) {
        self.state.borrow_mut().site = Some(site);
    }

    /// How far the queue has come.
    pub(super) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Where the next launch in line finds keystream.
    pub(super) fn draw(&self, draw: Draw<'_>) -> Result<u64, BackendError> {
        let words = draw.planes.len() * draw.count;
        if words == 0 {
            return Ok(0);
        }
        let lacks = self.state.borrow().keystream.lacks(words);
        if let Some(room) = lacks {
            self.stream()?;
            self.state.borrow_mut().keystream.grow(&self.lane, room)?;
        }
        Ok(self.state.borrow_mut().keystream.draw(self.ahead(), draw))
    }

    /// Other keys for what comes, which is another run.
    pub(super) fn rekey(&self, keys: &[StreamKey; 2]) -> Result<(), BackendError> {
        let stream = self.stream()?;
        let state = &mut *self.state.borrow_mut();
        state.graphs.next_run();
        state.keystream.rekey(stream, keys)
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

    /// Gives a message back when what stands in line has read it.
    pub(super) fn was_read(&self, packet: Packet) {
        self.state.borrow_mut().read.push(packet);
    }

    /// Hands what stands in line to the GPU if it is worth a call: the party is about to wait for something that has probably
    /// come.
    pub(super) fn idle(&self) -> Result<(), BackendError> {
        let few = self.state.borrow().launches.all.len() <= FEW;
        if few { Ok(()) } else { self.flush() }
    }

    /// Forgets all graphs: other memory will be used.
    pub(super) fn forget(&self) -> Result<(), BackendError> {
        self.stream()?.synchronize().map_err(failed)?;
        self.state.borrow_mut().graphs.clear();
        Ok(())
    }

    /// Hands what stands in line to the GPU.
    ///
    /// # Errors
    /// If a launch or one before failed; none of the line stays.
    pub(super) fn flush(&self) -> Result<(), BackendError> {
        let state = &mut *self.state.borrow_mut();
        if state.broken {
            return Err(BackendError::Launched("what was launched before has failed".to_string()));
        }
        let flushed = self.try_flush(state);
        state.launches.clear();
        state.keystream.forget();
        if flushed.is_err() {
            state.broken = true;
            // What was to be read has been when all has run; an error that was noted before comes instead of the wait.
            let stream = self.lane.stream();
            let _ended = stream.synchronize().or_else(|_| stream.synchronize());
            state.read.clear();
        }
        // Other launches than the last one's may have failed.
        flushed.map_err(|error| match error {
            BackendError::Device(text) => BackendError::Launched(text),
            other => other,
        })
    }

    fn try_flush(&self, state: &mut State) -> Result<(), BackendError> {
        if !state.launches.all.is_empty() {
            state.last = None;
            let number = self.trail.begin(std::mem::take(&mut state.sites));
            self.hand_over(state)?;
            self.trail.end(self.lane.stream(), number).map_err(failed)?;
        }
        let mark = match (state.mark.take(), state.read.is_empty()) {
            (Some(mark), _) => mark,
            (None, false) => self.lane.make()?,
            (None, true) => return Ok(()),
        };
        self.lane.set(&mark)?;
        state.read.drain(..).for_each(|packet| packet.goes_back(&mark));
        state.last = Some(mark);
        Ok(())
    }

    fn hand_over(&self, State { launches, keystream, tables, graphs, .. }: &mut State) -> Result<(), BackendError> {
        let stream = self.lane.stream();
        if let Some((grid, parameters)) = keystream.launch(stream, tables, self.gpu.multiprocessors())? {
            let function = self.gpu.kernel(kernels::STREAMS, keystream::SHARED)?;
            launches.push_first(&function, grid, &parameters.words())?;
        }
        stream.context().bind_to_thread().map_err(failed)?;
        let graph = match launches.all.len() {
            ..WORTH => None,
            // Where the GPU cannot have a graph of them, they go by themselves.
            _ => graphs.get(&launches.words, || Graph::of(stream.context(), launches.iter()))?,
        };
        // SAFETY: the callers of `launch` answer for each; keystream is drawn into its room.
        unsafe { graph.map_or_else(|| launches.launch(stream), |graph| graph.launch(stream)) }
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
        if let Some(mark) = state.last.clone().filter(|_| state.launches.all.is_empty()) {
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
        // That is in line on a GPU already, so it waits for nothing that stands here.
        self.idle()?;
        self.lane.wait(mark)?;
        self.state.borrow_mut().last = None;
        Ok(())
    }
}
