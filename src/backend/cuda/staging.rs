//! Memory of the host that the GPU reaches by itself, for messages: the host goes on while they are copied.

#![allow(unsafe_code, reason = "copies that run while the host goes on")]

use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, PinnedHostSlice, result};

use super::gpu::failed;
use super::out_of_memory;
use crate::backend::BackendError;

/// Memory for a message.
pub(super) struct Staging {
    words: PinnedHostSlice<u64>,
    /// Comes when what was last in line here has been copied.
    copied: CudaEvent,
}

impl Staging {
    /// Memory for messages of so many words: what there is, if it has the room.
    pub(super) fn with_room<'s>(
        staging: &'s mut Option<Staging>,
        stream: &Arc<CudaStream>,
        words: usize,
    ) -> Result<&'s mut Staging, BackendError> {
        match staging {
            Some(there) if there.words.len() >= words => {}
            _ => *staging = Some(Staging::new(stream, words.next_power_of_two().max(1 << 12))?),
        }
        Ok(staging.as_mut().expect("memory was just taken if there was none"))
    }

    fn new(stream: &Arc<CudaStream>, words: usize) -> Result<Staging, BackendError> {
        let context = stream.context();
        let copied = context.new_event(None).map_err(failed)?;
        // Not write-combined, which would be slow to read.
        // SAFETY: only words that were written are copied or read.
        let words =
            unsafe { context.alloc_pinned_with_flags(words, 0) }.map_err(|error| out_of_memory(words, error))?;
        Ok(Staging { words, copied })
    }

    /// Puts a copy of `bytes` to the GPU, filled up to a word with zeros, in line. Waits until what was here before has been
    /// copied.
    pub(super) fn send(
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
        assert!(to.len() >= words, "the GPU has room for the message");
        let (to, _) = to.device_ptr_mut(stream);
        stream.context().bind_to_thread().map_err(failed)?;
        // SAFETY: there is room, and the words stay as they are until `copied` comes, which is waited for before they change or
        // are freed.
        unsafe { result::memcpy_htod_async(to, here, stream.cu_stream()) }.map_err(failed)?;
        self.copied.record(stream).map_err(failed)
    }

    /// The first `bytes` bytes at `from` on the GPU, when all that is in line before has run.
    pub(super) fn fetch(
        &mut self,
        stream: &CudaStream,
        from: &CudaSlice<u64>,
        bytes: usize,
    ) -> Result<&[u8], BackendError> {
        let words = bytes.div_ceil(8);
        let here = &mut self.words.as_mut_slice().map_err(failed)?[..words];
        assert!(from.len() >= words, "the GPU has the message");
        let (from, _) = from.device_ptr(stream);
        stream.context().bind_to_thread().map_err(failed)?;
        // SAFETY: the words are nobody else's until `copied` comes, which is waited for here.
        unsafe { result::memcpy_dtoh_async(here, from, stream.cu_stream()) }.map_err(failed)?;
        self.copied.record(stream).map_err(failed)?;
        self.copied.synchronize().map_err(failed)?;
        Ok(&bytemuck::cast_slice(self.words.as_slice().map_err(failed)?)[..bytes])
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // An error is noted by whoever waits for the stream.
        let _waited = self.copied.synchronize();
    }
}
