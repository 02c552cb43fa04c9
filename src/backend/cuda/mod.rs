//! An NVIDIA GPU as a device: buffers stay in its memory from the first share to the last result.
//!
//! A party's launches go into one queue (a CUDA stream), messages from and to the host into another; the host waits for neither
//! but to hand over inputs and keys, to send a message over a network or to read a result, or where memory that stays in place is still being copied from. Words are those of the processor, bit for bit, so that parties with and without a GPU run together.
//!
//! ```text
//! gpu      the driver, the kernels, a launch
//! nvrtc    kernels from their sources, for who changes them
//! kernels  those of `kernels/`, with their parameters
//! params   structures as the kernels lay them out
//! element  element programs, compiled to PTX
//! programs their kernels and launches
//! choice   which kernel multiplies
//! product  what it is given
//! planes   large products by planes of bytes
//! residue  larger ones by residues
//! ceilings what the GPU's units do at most
//! moves    views, concatenation, sums, tables
//! messages packing, unpacking, and the ways they go
//! staging  messages on their way between host and GPU
//! tables   what kernels read beside buffers
//! outbox   messages from one queue to another, which stay on GPUs
//! peers    GPUs that reach each other's memory
//! line     launches, until they go to the GPU together
//! graph    launches that go with one call
//! keystream what these draw
//! known    what was handed over before
//! lane     queues that wait for each other
//! trail    how far a queue has come
//! ```

mod ceilings;
mod choice;
mod element;
mod gpu;
mod graph;
mod kernels;
mod keystream;
mod known;
mod lane;
mod line;
mod messages;
mod moves;
mod nvrtc;
mod outbox;
mod params;
mod peers;
mod planes;
mod product;
mod programs;
mod residue;
mod staging;
mod tables;
mod trail;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DriverError};

use self::element::Shape;
use self::gpu::{Function, Grid, failed};
pub use self::gpu::{Gpu, NoGpu};
use self::kernels::{Kernel, Parameters};
use self::lane::{Lane, Queue};
use self::line::Line;
pub use self::nvrtc::Sources;
use self::outbox::{Outbox, Packet};
use self::staging::Staging;
use crate::backend::ceilings::Ceilings;
use crate::backend::held::{Forms, Held};
use crate::backend::places::Places;
use crate::backend::{BUFFERS, Backend, BackendError, Fill, Launch, Parcels, StreamKey, check};
use crate::plan::layout::Layout;
use crate::plan::{self, Buf, BufId, Party};

/// Messages that may be on their way to the GPU while another is handed over.
const ON_THEIR_WAY: usize = 4;

/// How matrices and windows are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Multiply {
    /// As is predicted to be the fastest for the shape.
    #[default]
    ByShape,
    /// By multiply-adds of words.
    Words,
    /// By products of bytes on tensor cores.
    Bytes,
    /// By planes of bytes on tensor cores, where that is not a convolution.
    Planes,
    /// By residues on tensor cores, where that is not a convolution.
    Residues,
}

/// One party's memory and queue on a GPU.
pub struct Cuda {
    party: Party,
    gpu: Arc<Gpu>,
    line: Line,
    places: Places,
    memory: Option<CudaSlice<u64>>,
    /// Messages from another GPU.
    message: Option<CudaSlice<u64>>,
    /// Copies from and to the host, beside the kernels.
    copying: Lane,
    /// Messages that were packed, and that were copied from the host.
    outbox: Arc<Outbox>,
    inbox: Arc<Outbox>,
    /// Messages on their way to the host, with their bytes; and memory for others.
    leaving: VecDeque<(Staging, usize)>,
    spare: Vec<Staging>,
    arriving: [Option<Staging>; ON_THEIR_WAY],
    next: usize,
    /// Messages that launches write into and read from.
    messages: Held<Packet>,
    /// Planes and residues of large factors; what probes store.
    scratch: Option<CudaSlice<u64>>,
    multiply: Multiply,
    /// Element programs' kernels, by the address of their code. Another program may have come there since.
    elements: HashMap<usize, (Shape, Arc<Function>)>,
    /// Launches that were found to be sound, by their number in the plan, with the kernel of an element program.
    sites: Vec<Option<Site>>,
}

/// A launch that was found to be sound: of an element program its kernel, for how its operands and results are stored.
type Site = Option<(Arc<Function>, Forms)>;

impl std::fmt::Debug for Cuda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cuda").field("party", &self.party).field("gpu", &self.gpu).finish_non_exhaustive()
    }
}

impl Cuda {
    /// A device without buffers. `keys` are stream keys `party` and `party + 1` (mod 3).
    ///
    /// # Errors
    /// If the GPU has no memory for a queue.
    pub fn new(gpu: &Arc<Gpu>, party: Party, keys: &[StreamKey; 2]) -> Result<Cuda, BackendError> {
        let context = gpu.context().map_err(failed)?;
        let line = Line::new(gpu, &context, party)?;
        let copying = Lane::new(context.new_stream().map_err(failed)?);
        let (outbox, inbox) = (Outbox::new(gpu, line.ahead()), Outbox::new(gpu, copying.stream()));
        let device = Cuda {
            party,
            gpu: gpu.clone(),
            line,
            places: Places::default(),
            memory: None,
            message: None,
            copying,
            outbox,
            inbox,
            leaving: VecDeque::new(),
            spare: Vec::new(),
            arriving: Default::default(),
            next: 0,
            messages: Held::default(),
            elements: HashMap::new(),
            sites: Vec::new(),
            scratch: None,
            multiply: Multiply::default(),
        };
        // Last, so that they are overwritten whatever fails.
        device.line.rekey(keys)?;
        Ok(device)
    }

    /// The same device, which multiplies in one way where that can be done, to try each.
    #[must_use]
    pub fn multiplying(mut self, multiply: Multiply) -> Cuda {
        self.multiply = multiply;
        self
    }

    /// Where a word of the memory is.
    fn address(&self, word: usize) -> Result<u64, BackendError> {
        let memory = self.memory.as_ref().ok_or_else(no_memory)?;
        Ok(address(memory, self.line.ahead()) + 8 * word as u64)
    }

    /// Where the first word of an operand or a result is.
    fn operand(&self, bufs: &[Buf], id: BufId) -> Result<u64, BackendError> {
        self.address(self.places.operand(bufs, id)?.start)
    }

    /// Puts a launch in line.
    #[allow(unsafe_code, reason = "a launch of a kernel")]
    fn call<P: Parameters>(&self, kernel: Kernel<P>, grid: Grid, parameters: P) -> Result<(), BackendError> {
        let function = self.gpu.kernel(kernel, grid.shared)?;
        // SAFETY: callers give places of this device's memory, within the buffers that `check::launch` found to be large enough.
        unsafe { self.line.launch(&function, grid, &parameters.words()) }
    }

    /// The grid of kernels that go through `count` words, whatever it is.
    fn through(&self, count: usize) -> Grid {
        let blocks = count.div_ceil(256).clamp(1, self.gpu.multiprocessors() as usize * 8);
        Grid { blocks: [blocks as u32, 1, 1], threads: 256, shared: 0 }
    }

    /// Puts zeros in words of the memory.
    fn clear(&self, place: Range<usize>) -> Result<(), BackendError> {
        let (at, count) = (self.address(place.start)?, place.len() as u64);
        self.call(kernels::ZERO_WORDS, self.through(place.len()), (at, count))
    }

    /// The next message of either way is the first of a run.
    fn restart(&self) {
        self.outbox.restart();
        self.inbox.restart();
    }
}

fn no_memory() -> BackendError {
    BackendError::Device("it was given no memory".to_string())
}

/// Where memory is.
fn address(words: &CudaSlice<u64>, stream: &CudaStream) -> u64 {
    words.device_ptr(stream).0
}

/// Memory of at least so many words; what was in it is lost if it had fewer. Other memory comes behind everything in line.
#[allow(unsafe_code, reason = "memory that is written before it is read")]
fn room<'m>(
    memory: &'m mut Option<CudaSlice<u64>>,
    queue: &impl Queue,
    words: usize,
) -> Result<&'m mut CudaSlice<u64>, BackendError> {
    if memory.as_ref().is_none_or(|memory| memory.len() < words) {
        let stream = queue.stream()?;
        // What was there is given back first, behind the launches that use it, and without the words.
        if let Some(mut old) = memory.take() {
            stream.memset_zeros(&mut old).map_err(failed)?;
        }
        // SAFETY: kernels and copies write all words that later ones read.
        let new = unsafe { stream.alloc(rounded(words)) };
        *memory = Some(new.map_err(|error| out_of_memory("what kernels need", words, error))?);
    }
    memory.as_mut().ok_or_else(no_memory)
}

/// Words to take for so many: small ones with room for more.
fn rounded(words: usize) -> usize {
    if words < 1 << 20 { words.next_power_of_two().max(1 << 12) } else { words }
}

/// The error where the GPU has no so many words.
fn out_of_memory(what: &'static str, words: usize, error: DriverError) -> BackendError {
    let cause = "the GPU is out of memory; fewer inputs at a time take less, `--device cpu` computes on the processor";
    no_room(what, words, cause, error)
}

/// The same where something else has no so many words, in words.
fn no_room(what: &'static str, words: usize, cause: &str, error: DriverError) -> BackendError {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            BackendError::Memory { bytes: 8 * words as u64, what, cause: cause.to_string() }
        }
        _ => failed(error),
    }
}

/// Words of shares, keys and keystream do not stay behind: the GPU's memory goes to whoever asks next.
impl Drop for Cuda {
    fn drop(&mut self) {
        let _copied = self.copying.stream().synchronize();
        let stream = self.line.ahead().clone();
        let all = [&mut self.memory, &mut self.message, &mut self.scratch];
        for words in all.into_iter().flatten().chain(self.line.memory()) {
            // A device that fails here is not used again.
            let _cleared = stream.memset_zeros(words);
        }
        // An error that was noted before comes instead of the wait; messages of peers must not go back before it.
        let _ended = stream.synchronize().or_else(|_| stream.synchronize());
    }
}

impl Backend for Cuda {
    #[allow(unsafe_code, reason = "memory that is written before it is read")]
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        let words = layout.words();
        if words > isize::MAX as usize / size_of::<u64>() {
            let cause = "more than there are addresses".to_string();
            return Err(BackendError::Memory { bytes: layout.bytes(), what: BUFFERS, cause });
        }
        if self.memory.as_ref().is_none_or(|memory| memory.len() < words) {
            let stream = self.line.stream()?;
            if let Some(mut old) = self.memory.take() {
                stream.memset_zeros(&mut old).map_err(failed)?;
            }
            // SAFETY: a buffer is read only after it was written: `Places` knows.
            let new = unsafe { stream.alloc(words.max(1)) };
            self.memory = Some(new.map_err(|error| out_of_memory(BUFFERS, words, error))?);
        }
        // What is in line may still read the messages that were kept.
        self.messages.reset(layout.buffers()).for_each(|packet| self.line.was_read(packet));
        self.line.forget()?;
        self.restart();
        self.places.reset(layout);
        self.sites.clear();
        Ok(())
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError> {
        self.restart();
        self.line.rekey(&keys)
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        let place = self.places.make(id)?;
        if let Some(packet) = self.messages.rewrite(id) {
            self.line.was_read(packet);
        }
        let mut words = vec![0; place.len()];
        fill(&mut words);
        if words.is_empty() {
            return Ok(());
        }
        let memory = self.memory.as_mut().ok_or_else(no_memory)?;
        let stream = self.line.stream()?;
        stream.memcpy_htod(&words, &mut memory.slice_mut(place)).map_err(failed)?;
        // A copy of ordinary memory may still be on its way when the call returns.
        stream.synchronize().map_err(failed)
    }

    fn read(&self, id: BufId) -> Result<Cow<'_, [u64]>, BackendError> {
        let place = self.places.find(id)?;
        if place.is_empty() {
            return Ok(Cow::Owned(Vec::new()));
        }
        if let Some(words) = self.in_message(id)? {
            return Ok(Cow::Owned(words));
        }
        let memory = self.memory.as_ref().ok_or_else(no_memory)?;
        let stream = self.line.stream()?;
        let words = stream.clone_dtoh(&memory.slice(place)).map_err(failed)?;
        stream.synchronize().map_err(failed)?;
        Ok(Cow::Owned(words))
    }

    fn pack(&mut self, bufs: &[Buf], ids: &[BufId], message: &mut Vec<u8>) -> Result<(), BackendError> {
        self.pack_out(bufs, ids, message)
    }

    fn pack_ahead(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<bool, BackendError> {
        self.pack_to_host(bufs, ids).map(|()| true)
    }

    fn packed(&mut self, message: &mut Vec<u8>) -> Result<(), BackendError> {
        let begun = self.leaving.pop_front();
        self.finish(begun, message)
    }

    fn unpack(&mut self, bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
        self.unpack_in(bufs, ids, message)
    }

    fn parcels(&mut self) -> Option<&mut dyn Parcels> {
        Some(self)
    }

    fn ceilings(&mut self) -> Option<&mut dyn Ceilings> {
        Some(self)
    }

    fn free(&mut self, id: BufId) {
        self.places.free(id);
        if let Some(packet) = self.messages.free(id) {
            self.line.was_read(packet);
        }
    }

    fn serve(&mut self, site: usize) {
        self.line.serve(site);
    }

    fn stopped(&self) -> Vec<usize> {
        // A failure of the GPU stays, and stops all parties on it.
        let stays = self.line.ahead().synchronize().is_err();
        if stays { self.gpu.trails().stopped() } else { self.line.trail().stopped() }
    }

    fn settle(&mut self) -> Result<(), BackendError> {
        self.line.stream()?.synchronize().map_err(failed)?;
        self.copying.stream().synchronize().map_err(failed)
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        self.line.trim()?;
        launch.site.into_iter().for_each(|site| self.line.serve(site));
        let program = matches!(launch.kernel, plan::Kernel::Map(_));
        let forms = program.then(|| self.messages.forms(&launch, |_, _| false));
        let known = launch.site.and_then(|number| self.sites.get_mut(number)?.take());
        let fits = |site: &Site| site.as_ref().map(|(_, forms)| forms) == forms.as_ref();
        let function = match known.filter(fits) {
            Some(function) => {
                self.places.again(&launch)?;
                function
            }
            None => {
                check::launch(self.party, &launch)?;
                self.messages.expect_words(&launch)?;
                self.places.launch(&launch)?;
                match (launch.kernel, forms) {
                    (plan::Kernel::Map(program), Some(forms)) => {
                        Some((self.compiled(program, &launch, &forms)?, forms))
                    }
                    _ => None,
                }
            }
        };
        match (launch.kernel, &function) {
            (plan::Kernel::Map(program), Some(function)) => self.element(program, function, &launch)?,
            (plan::Kernel::Product(product), _) => self.product(product, None, &launch)?,
            (plan::Kernel::ProductOfSums(product, factors), _) => self.product(product, Some(factors), &launch)?,
            _ => self.other(&launch)?,
        }
        if let Some(number) = launch.site {
            if self.sites.len() <= number {
                self.sites.resize_with(number + 1, || None);
            }
            self.sites[number] = Some(function);
        }
        Ok(())
    }
}
