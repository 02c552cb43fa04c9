//! Launches that the GPU is given as one (a CUDA graph): it starts each when the one before has ended, and the host makes
//! one call for all.

#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaStream, DriverError, result, sys};
use smallvec::SmallVec;

use super::gpu::{Function, Grid, failed};
use crate::backend::BackendError;

/// Launches with their parameters, ready to run any number of times.
pub(super) struct Graph {
    exec: sys::CUgraphExec,
    context: Arc<CudaContext>,
    /// Their kernels stay loaded.
    _functions: Vec<Arc<Function>>,
}

// SAFETY: the driver's functions may be called from any thread, and a graph is used by its owner only.
unsafe impl Send for Graph {}

/// A graph that is being put together.
struct Template(sys::CUgraph);

impl Drop for Template {
    fn drop(&mut self) {
        // SAFETY: it was created, and nobody else has it.
        let _gone = unsafe { result::graph::destroy(self.0) };
    }
}

impl Graph {
    /// A graph of launches, one after the other: each a kernel, its grid, and its parameters, each from a word on. `None`: there
    /// is no memory for it, or the driver takes no such graph.
    ///
    /// # Errors
    /// If the GPU fails, now or before.
    pub(super) fn of<'l>(
        context: &Arc<CudaContext>,
        launches: impl Iterator<Item = (&'l Arc<Function>, Grid, &'l [u64])>,
    ) -> Result<Option<Graph>, BackendError> {
        use sys::CUresult;
        match Graph::try_of(context, launches) {
            Ok(graph) => Ok(Some(graph)),
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY | CUresult::CUDA_ERROR_NOT_SUPPORTED)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn try_of<'l>(
        context: &Arc<CudaContext>,
        launches: impl Iterator<Item = (&'l Arc<Function>, Grid, &'l [u64])>,
    ) -> Result<Graph, DriverError> {
        context.bind_to_thread()?;
        let template = template()?;
        let (mut functions, mut before) = (Vec::new(), None);
        for (function, grid, parameters) in launches {
            before = Some(append(&template, before, function, grid, parameters)?);
            functions.push(function.clone());
        }
        // SAFETY: the graph is whole.
        let exec = unsafe { result::graph::instantiate(template.0, sys::CUgraphInstantiate_flags(0)) }?;
        Ok(Graph { exec, context: context.clone(), _functions: functions })
    }

    /// Puts all launches in line.
    ///
    /// # Safety
    /// As for [`Function::launch`], for each of them.
    pub(super) unsafe fn launch(&self, stream: &CudaStream) -> Result<(), BackendError> {
        // SAFETY: the graph lives as long as `self`; the rest is the caller's to answer for.
        unsafe { result::graph::launch(self.exec, stream.cu_stream()) }.map_err(failed)
    }
}

fn template() -> Result<Template, DriverError> {
    let mut graph = ptr::null_mut();
    // SAFETY: writes a handle that lives until the call is over.
    unsafe { sys::cuGraphCreate(&raw mut graph, 0) }.result()?;
    Ok(Template(graph))
}

/// Appends a launch behind another.
fn append(
    template: &Template,
    before: Option<sys::CUgraphNode>,
    function: &Function,
    Grid { blocks: [x, y, z], threads, shared }: Grid,
    parameters: &[u64],
) -> Result<sys::CUgraphNode, DriverError> {
    let mut pointers: SmallVec<[*mut c_void; 64]> = function.pointers(parameters);
    let launch = sys::CUDA_KERNEL_NODE_PARAMS {
        func: function.handle(),
        gridDimX: x,
        gridDimY: y,
        gridDimZ: z,
        blockDimX: threads,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: shared,
        kernelParams: pointers.as_mut_ptr(),
        extra: ptr::null_mut(),
        kern: ptr::null_mut(),
        ctx: ptr::null_mut(),
    };
    let mut node = ptr::null_mut();
    let behind = before.as_slice();
    // SAFETY: the parameters have the sizes that the kernel declares and are copied by the call; the node before is of this graph.
    unsafe {
        sys::cuGraphAddKernelNode_v2(&raw mut node, template.0, behind.as_ptr(), behind.len(), &raw const launch)
    }
    .result()?;
    Ok(node)
}

impl Drop for Graph {
    fn drop(&mut self) {
        // An error that was noted before, maybe of another party, is for whoever asks next.
        self.context.record_err(self.context.bind_to_thread());
        // SAFETY: it was instantiated, nobody else has it, and what was launched has ended or keeps what it needs.
        let _gone = unsafe { result::graph::exec_destroy(self.exec) };
    }
}
