//! A GPU: whether there is one, its kernels, and how they are launched.
//!
//! The driver is loaded when it is asked for ([`Gpu::open`]); without one the program runs as ever. Kernels are PTX that is
//! part of the program (`kernels/ptx`), which the driver compiles for the GPU at hand when one of them is first used, and
//! keeps.

#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, DriverError, result, sys};
use cudarc::nvrtc::Ptx;
use smallvec::SmallVec;

use super::element::{self, Shape};
use super::kernels::{self, Declared, FILES, Kernel, Parameters};
use super::nvrtc::{self, Sources};
use super::peers::Peers;
use super::trail::Trails;
use crate::backend::BackendError;
use crate::plan::Program;

/// The oldest GPUs that the kernels run on: compute capability 8.0 (A100, 2020).
const OLDEST: (i32, i32) = (8, 0);

/// The oldest driver that takes the kernels' PTX, of version 9.0; and in words.
const OLDEST_DRIVER: c_int = 13_000;
const OLDEST_WORDS: &str = "CUDA 13.0 (driver 580)";

/// Dynamic shared memory above which a kernel has to ask for it.
const USUAL_SHARED: u32 = 48 << 10;

/// Why there is no GPU to run on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGpu {
    /// No driver is installed.
    #[error("no CUDA driver (libcuda) on this machine")]
    NoDriver,
    /// What is installed is no driver: a stub, or too old.
    #[error("the CUDA driver on this machine cannot be used: {0}")]
    Driver(String),
    /// There is no such GPU.
    #[error("no GPU number {number}: the CUDA driver finds {found}")]
    NoDevice {
        /// Which was asked for.
        number: usize,
        /// How many there are.
        found: usize,
    },
    /// The GPU is too old.
    #[error("GPU {number} has compute capability {}.{}, the kernels need {}.{}", found.0, found.1, OLDEST.0, OLDEST.1)]
    TooOld {
        /// Which.
        number: usize,
        /// What it has.
        found: (i32, i32),
    },
}

/// A kernel, ready to be launched.
#[derive(Clone, Debug)]
pub(super) struct Function {
    function: CudaFunction,
    /// Words of each parameter.
    parameters: Vec<usize>,
}

/// An opened GPU. Parties on one machine share it; each has memory and a queue of launches of its own.
pub struct Gpu {
    context: Arc<CudaContext>,
    name: String,
    /// Blocks that run at the same time are a few for each of these.
    multiprocessors: u32,
    /// Bytes of its memory.
    bytes: usize,
    /// Where kernels come from, if not from the program.
    sources: Option<Sources>,
    functions: Mutex<Functions>,
    peers: Peers,
    trails: Trails,
}

/// What has been compiled.
#[derive(Default)]
struct Functions {
    /// By number of the file, with its PTX.
    modules: BTreeMap<usize, (Arc<CudaModule>, Cow<'static, str>)>,
    kernels: HashMap<&'static str, Arc<Function>>,
    elements: HashMap<Shape, Arc<Function>>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The functions of the driver that are called: of itself or by cudarc.
const SYMBOLS: [&str; 47] = [
    "cuCtxEnablePeerAccess",
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuDeviceCanAccessPeer",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetDefaultMemPool",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime_v2",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuFuncSetAttribute",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuGraphAddKernelNode_v2",
    "cuGraphCreate",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAllocAsync",
    "cuMemFreeAsync",
    "cuMemFreeHost",
    "cuMemHostAlloc",
    "cuMemPoolSetAccess",
    "cuMemPoolSetAttribute",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyPeerAsync",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuStreamWriteValue32_v2",
];

impl Gpu {
    /// Opens GPU number `number`. Never panics, whatever is installed. Kernels are compiled from `sources` if they are given,
    /// those of `kernels/`, when they are first used; that takes NVRTC.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open(number: usize, sources: Option<Sources>) -> Result<Arc<Gpu>, NoGpu> {
        // SAFETY: looks for the library, and loads it.
        if !unsafe { sys::is_culib_present() } {
            return Err(NoGpu::NoDriver);
        }
        let none = |found| NoGpu::NoDevice { number, found };
        if !begin().map_err(NoGpu::Driver)? {
            return Err(none(0));
        }
        // The code alone: to say it in words is the driver's, which may be broken.
        let broken = |error: DriverError| NoGpu::Driver(format!("{:?}", error.0));
        let found = usize::try_from(result::device::get_count().map_err(broken)?).unwrap_or(0);
        if number >= found {
            return Err(none(found));
        }
        let context = CudaContext::new(number).map_err(broken)?;
        let capability = context.compute_capability().map_err(broken)?;
        if capability < OLDEST {
            return Err(NoGpu::TooOld { number, found: capability });
        }
        // SAFETY: each device below uses its own memory on its own stream only, but for messages to peers, which have events of
        // their own (`outbox`).
        unsafe { context.disable_event_tracking() };
        let count = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = context.attribute(count).map_err(broken)?;
        if context.has_async_alloc() {
            keep_pool(&context).map_err(broken)?;
        }
        let name = context.name().map_err(broken)?;
        let bytes = context.total_mem().map_err(broken)?;
        let multiprocessors = u32::try_from(multiprocessors).unwrap_or(0).max(1);
        let (functions, peers, trails) = (Mutex::default(), Peers::default(), Trails::default());
        Ok(Arc::new(Gpu { context, name, multiprocessors, bytes, sources, functions, peers, trails }))
    }

    /// What the driver calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its multiprocessors.
    pub(super) fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    /// Words of its memory.
    pub(super) fn words(&self) -> usize {
        self.bytes / size_of::<u64>()
    }

    /// How far its queues have come.
    pub(super) fn trails(&self) -> &Trails {
        &self.trails
    }

    /// Other GPUs whose memory it reaches.
    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// The GPU's context, as an object of a party's own. What fails where no error can be returned, as when memory is given back,
    /// is noted in the object, and comes out at its next use: that has to be by the same party.
    pub(super) fn context(&self) -> Result<Arc<CudaContext>, DriverError> {
        let context = CudaContext::new(self.context.ordinal())?;
        // SAFETY: as in `open`.
        unsafe { context.disable_event_tracking() };
        Ok(context)
    }

    /// A kernel of `kernels/`, with room for `shared` bytes of dynamic shared memory.
    ///
    /// # Errors
    /// If the driver refuses it, or its source is another one now and has mistakes or takes other parameters.
    pub(super) fn kernel<P: Parameters>(
        &self,
        Kernel { name, .. }: Kernel<P>,
        shared: u32,
    ) -> Result<Arc<Function>, BackendError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.kernels.get(name) {
            return Ok(function.clone());
        }
        let entry = format!(".entry {name}(");
        let file = FILES.iter().position(|(_, text)| text.contains(&entry));
        let file =
            file.ok_or_else(|| BackendError::Device(format!("there is no kernel `{name}`: a mistake in smlc")))?;
        let (module, text) = match functions.modules.entry(file) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let text = match (&self.sources, FILES[file]) {
                    (None, (_, text)) => Cow::Borrowed(text),
                    (Some(sources), (name, _)) => Cow::Owned(nvrtc::compile(sources, name)?),
                };
                place.insert((self.load(&text)?, text))
            }
        };
        if kernels::declared(text, name).as_deref() != Some(P::DECLARED) {
            return Err(BackendError::Kernels(format!("`{name}` does not take the parameters that smlc gives it")));
        }
        let parameters = P::DECLARED.iter().map(|parameter| parameter.words()).collect();
        let function = Function { function: module.load_function(name).map_err(failed)?, parameters };
        if shared > USUAL_SHARED {
            let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function.function.set_attribute(most, shared.cast_signed()).map_err(failed)?;
        }
        let function = Arc::new(function);
        functions.kernels.insert(name, function.clone());
        Ok(function)
    }

    /// The kernel of an element program of this shape.
    pub(super) fn element(&self, program: &Program, shape: &Shape) -> Result<Arc<Function>, BackendError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = functions.elements.get(shape) {
            return Ok(function.clone());
        }
        let text = element::ptx(program, shape)?;
        let module = self.load(&text)?;
        let entry = element::entry(program);
        let function = module.load_function(&entry).map_err(failed)?;
        let declared = kernels::declared(&text, &entry).unwrap_or_default();
        let parameters = declared.into_iter().map(Declared::words).collect();
        let function = Arc::new(Function { function, parameters });
        functions.elements.insert(shape.clone(), function.clone());
        Ok(function)
    }

    fn load(&self, ptx: &str) -> Result<Arc<CudaModule>, BackendError> {
        self.context.load_module(Ptx::from_src(ptx)).map_err(failed)
    }
}

/// Begins to use the driver that was found, if it can be used: whether it finds any GPU, or why it cannot.
///
/// Functions that a stub or an old driver lacks would be a panic at their first use. Codes are numbers here: a newer driver
/// may have others than are known.
fn begin() -> Result<bool, String> {
    let lacks = |symbol: &str| format!("it has no function `{symbol}`: it is no driver, or older than {OLDEST_WORDS}");
    // The version first, as old drivers lack functions.
    let mut version = 0;
    // SAFETY: the library is there; the function has this type, and writes a number that lives until the call is over.
    let code = unsafe {
        let symbol = "cuDriverGetVersion";
        let function = sys::culib().get::<unsafe extern "C" fn(*mut c_int) -> c_uint>(symbol.as_bytes());
        function.map_err(|_| lacks(symbol))?(&raw mut version)
    };
    if code != SUCCESS {
        return Err(meaning(code));
    }
    if version < OLDEST_DRIVER {
        let (major, minor) = (version / 1000, version % 1000 / 10);
        return Err(format!("it is of CUDA {major}.{minor}, the kernels need {OLDEST_WORDS} or newer"));
    }
    for symbol in SYMBOLS {
        // SAFETY: symbols are looked up but not called.
        if unsafe { sys::culib().get::<*const ()>(symbol.as_bytes()) }.is_err() {
            return Err(lacks(symbol));
        }
    }
    // SAFETY: the function is there, and has this type.
    let code = unsafe {
        let symbol = "cuInit";
        let function = sys::culib().get::<unsafe extern "C" fn(c_uint) -> c_uint>(symbol.as_bytes());
        function.map_err(|_| lacks(symbol))?(0)
    };
    match code {
        SUCCESS => Ok(true),
        NO_DEVICE => Ok(false),
        other => Err(meaning(other)),
    }
}

const SUCCESS: c_uint = sys::CUresult::CUDA_SUCCESS as c_uint;
const NO_DEVICE: c_uint = sys::CUresult::CUDA_ERROR_NO_DEVICE as c_uint;

/// What a driver lacks that begins with such a code, and what helps.
fn meaning(code: c_uint) -> String {
    let what = match code {
        34 => {
            "it is the stub that CUDA's toolkit has for linking; the driver's own `libcuda.so.1` has to be found before it"
        }
        802 => "a service that its GPUs need is not running, as `nvidia-fabricmanager`",
        803 => "it and the kernel's module are of different versions: restart the machine, or install both anew",
        804 => "it is CUDA's compatibility library, which this GPU does not take: remove that from the library path",
        999 => "it does not reach its module in the kernel, of which `nvidia-smi` says more",
        other => return format!("it begins with error {other}"),
    };
    format!("{what} (error {code})")
}

/// Lets the driver keep memory that was given back, for what comes next.
fn keep_pool(context: &CudaContext) -> Result<(), DriverError> {
    // SAFETY: the attribute is a number of 64 bits, which lives until the call is over.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device())?;
        let mut most = u64::MAX;
        let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        result::mem_pool::set_attribute(pool, threshold, (&raw mut most).cast())
    }
}

/// How a kernel is launched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub blocks: [u32; 3],
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

impl Function {
    /// Words of its parameters, each of which begins with one.
    pub(super) fn words(&self) -> usize {
        self.parameters.iter().sum()
    }

    /// What the driver knows it by.
    pub(super) fn handle(&self) -> sys::CUfunction {
        self.function.cu_function()
    }

    /// Where each parameter is among such words. The driver only reads them.
    pub(super) fn pointers(&self, parameters: &[u64]) -> SmallVec<[*mut c_void; 64]> {
        assert_eq!(parameters.len(), self.words(), "parameters of the kernel");
        let begins = self.parameters.iter().scan(0, |next, words| {
            let begin = *next;
            *next += words;
            Some(begin)
        });
        begins.map(|begin| parameters[begin..].as_ptr().cast_mut().cast()).collect()
    }

    /// Puts a launch in line, with parameters that each begin with a word. The stream's context is bound to this thread.
    ///
    /// # Safety
    /// What the kernel reads and writes according to its parameters has to be memory of the stream's GPU that nothing else
    /// uses outside of the stream.
    pub(super) unsafe fn launch(
        &self,
        stream: &CudaStream,
        grid: Grid,
        parameters: &[u64],
    ) -> Result<(), BackendError> {
        let mut pointers = self.pointers(parameters);
        let Grid { blocks: [x, y, z], threads, shared } = grid;
        // SAFETY: the parameters have the sizes that the kernel declares and are copied by the call; what they point to is the
        // caller's to answer for.
        unsafe {
            result::launch_kernel(self.handle(), (x, y, z), (threads, 1, 1), shared, stream.cu_stream(), &mut pointers)
        }
        .map_err(failed)
    }
}

/// An error of the driver. What no call of its own explains is from something that was launched before.
pub(super) fn failed(error: DriverError) -> BackendError {
    use sys::CUresult;
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => BackendError::Device("it is out of memory".to_string()),
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => BackendError::Device(
            "its driver is older than the kernels: CUDA 13.0 (driver 580) or newer is needed".to_string(),
        ),
        other @ (CUresult::CUDA_ERROR_INVALID_VALUE
        | CUresult::CUDA_ERROR_INVALID_HANDLE
        | CUresult::CUDA_ERROR_INVALID_PTX
        | CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_NOT_FOUND) => BackendError::Device(format!("{other:?}")),
        other @ (CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
        | CUresult::CUDA_ERROR_INVALID_PC
        | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT) => BackendError::Launched(format!("a kernel failed ({other:?})")),
        other @ (CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE
        | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
        | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
        | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED) => BackendError::Launched(format!("the GPU was lost ({other:?})")),
        other => BackendError::Launched(format!("{other:?}")),
    }
}
