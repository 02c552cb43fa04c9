//! GPUs of one process that reach each other's memory, so that messages go from one to the other and not through the host.
//!
//! All objects of a context that [`Gpu::context`] gives are the GPU's one primary context, so leave is asked once for each
//! ordered pair of GPUs. Messages lie in the memory pool of their GPU, which gives leave by itself; that to the context is for
//! memory outside of pools. Where there is no way from one GPU to the other the driver copies through the host.

#![allow(unsafe_code, reason = "calls of the CUDA driver")]

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, DriverError, result, sys};

use super::gpu::{Gpu, failed};
use crate::backend::BackendError;

/// Contexts of other GPUs whose memory was asked for. They stay as long as this GPU is open: leave ends with them.
#[derive(Default)]
pub(super) struct Peers(Mutex<Vec<Arc<CudaContext>>>);

impl Gpu {
    /// Lets this GPU, by its context `here`, read the memory of another one, if that is possible.
    ///
    /// # Errors
    /// If the GPU fails.
    pub(super) fn reach(&self, here: &CudaContext, there: &Arc<CudaContext>) -> Result<(), BackendError> {
        let mut known = self.peers().0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|context| context.cu_ctx() == there.cu_ctx()) {
            reach(here, there).map_err(failed)?;
            known.push(there.clone());
        }
        Ok(())
    }
}

fn reach(here: &CudaContext, there: &CudaContext) -> Result<(), DriverError> {
    use sys::CUresult;
    here.bind_to_thread()?;
    let mut can = 0;
    // SAFETY: writes a number that lives until the call is over.
    unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, here.cu_device(), there.cu_device()) }.result()?;
    if can == 0 {
        return Ok(());
    }
    // SAFETY: the context lives.
    match unsafe { sys::cuCtxEnablePeerAccess(there.cu_ctx(), 0) } {
        CUresult::CUDA_SUCCESS | CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED => {}
        // A GPU has a few peers at most, and a system may keep them from each other.
        CUresult::CUDA_ERROR_PEER_ACCESS_UNSUPPORTED
        | CUresult::CUDA_ERROR_TOO_MANY_PEERS
        | CUresult::CUDA_ERROR_NOT_PERMITTED
        | CUresult::CUDA_ERROR_NOT_SUPPORTED => return Ok(()),
        other => return other.result(),
    }
    if !there.has_async_alloc() {
        return Ok(());
    }
    let access = sys::CUmemAccessDesc {
        location: sys::CUmemLocation {
            type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: here.cu_device(),
        },
        flags: sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
    };
    // SAFETY: the pool is the device's, and the description is one.
    unsafe {
        let pool = result::device::get_default_mem_pool(there.cu_device())?;
        sys::cuMemPoolSetAccess(pool, &raw const access, 1).result()
    }
}
