//! Memory of the host that the GPU reaches by itself, for messages that arrive: the host goes on while they are copied.

#![allow(unsafe_code, reason = "copies that run while the host goes on")]

use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtrMut, PinnedHostSlice, result};

use super::gpu::failed;
use super::out_of_memory;
use crate::backend::BackendError;

/// Memory for a message.
pub(super) struct Staging {
    words: PinnedHostSlice<u64>,
    /// Comes when what was last here has been copied.
    copied: CudaEvent,
}

impl Staging {
    /// Memory for messages of so many words.
    pub(super) fn new(stream: &Arc<CudaStream>, words: usize) -> Result<Staging, BackendError> {
        let context = stream.context();
        let copied = context.new_event(None).map_err(failed)?;
        // Not write-combined, which would be slow to read.
        // SAFETY: only words that were written are copied.
        let words =
            unsafe { context.alloc_pinned_with_flags(words, 0) }.map_err(|error| out_of_memory(words, error))?;
        Ok(Staging { words, copied })
    }

    /// Words that fit.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Puts a copy of `bytes`, filled up to a word with zeros, in line. Waits until what was here before has been copied.
    pub(super) fn copy(
        &mut self,
        stream: &CudaStream,
        bytes: &[u8],
        to: &mut CudaSlice<u64>,
    ) -> Result<(), BackendError> {
        self.copied.synchronize().map_err(failed)?;
        let words = bytes.len().div_ceil(8);
        let here = &mut self.words.as_mut_slice().map_err(failed)?[..words];
        if let Some(last) = here.last_mut() {
            *last = 0;
        }
        bytemuck::cast_slice_mut(here)[..bytes.len()].copy_from_slice(bytes);
        let (to, _) = to.device_ptr_mut(stream);
        stream.context().bind_to_thread().map_err(failed)?;
        // SAFETY: the words stay as they are until `copied` comes, which is waited for before they change or are freed; the
        // caller's memory has room for them.
        unsafe { result::memcpy_htod_async(to, here, stream.cu_stream()) }.map_err(failed)?;
        self.copied.record(stream).map_err(failed)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // An error is noted by whoever waits for the stream.
        let _waited = self.copied.synchronize();
    }
}
