//! Memory of the host that the GPU reaches by itself, for messages and tables: the host goes on while they are copied.

#![allow(unsafe_code, reason = "copies that run while the host goes on")]

use std::ptr::NonNull;
use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaStream, DevicePtrMut, PinnedHostSlice, result};

use super::gpu::failed;
use super::{no_room, rounded};
use crate::backend::BackendError;

/// Why the host has no room.
pub(super) const FULL: &str = "the host has no more that stays in place; fewer inputs at a time take less";

/// Memory for a message.
pub(super) struct Staging {
    words: PinnedHostSlice<u64>,
    /// Where they are: to ask `words` is to wait.
    base: NonNull<u64>,
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
            _ => {
                // What was there is given back first.
                *staging = None;
                *staging = Some(Staging::new(stream, "messages, in memory of the host", rounded(words))?);
            }
        }
        Ok(staging.as_mut().expect("memory was just taken if there was none"))
    }

    fn new(stream: &Arc<CudaStream>, what: &'static str, words: usize) -> Result<Staging, BackendError> {
        let context = stream.context();
        let copied = context.new_event(None).map_err(failed)?;
        // Not write-combined, which would be slow to read.
        // SAFETY: only words that were written are copied or read.
        let words =
            unsafe { context.alloc_pinned_with_flags(words, 0) }.map_err(|error| no_room(what, words, FULL, error))?;
        let mut words = words;
        let base = NonNull::new(words.as_mut_ptr().map_err(failed)?)
            .ok_or_else(|| BackendError::Device("it gave memory of the host at address 0".into()))?;
        Ok(Staging { words, base, copied })
    }

    /// The words in a range, which nothing that is under way reads or writes.
    fn here(&mut self, range: std::ops::Range<usize>) -> &mut [u64] {
        assert!(range.start <= range.end && range.end <= self.words.len(), "a range within the memory");
        // SAFETY: the range is within the memory, which was taken for words, any bytes of which are words, and lives as long as
        // `self`, which is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(range.start), range.len()) }
    }

    /// Puts a copy of `bytes` to the GPU, filled up to a word with zeros, in line. Waits until what was here before has been
    /// copied.
    pub(super) fn send(
        &mut self,
        stream: &CudaStream,
        bytes: &[u8],
        to: &mut impl DevicePtrMut<u64>,
    ) -> Result<(), BackendError> {
        self.copied.synchronize().map_err(failed)?;
        let words = bytes.len().div_ceil(8);
        let here = self.here(0..words);
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

    /// Puts a copy of `bytes` bytes at `from` on the GPU in line.
    ///
    /// # Safety
    /// There has to be a message of so many bytes, rounded up to words, until the copy has run. Nothing was put in line here since
    /// [`Staging::fetched`].
    pub(super) unsafe fn fetch(&mut self, stream: &CudaStream, from: u64, bytes: usize) -> Result<(), BackendError> {
        let here = self.here(0..bytes.div_ceil(8));
        stream.context().bind_to_thread().map_err(failed)?;
        // SAFETY: the words are nobody else's until `copied` comes, which is waited for before they are read or freed.
        unsafe { result::memcpy_dtoh_async(here, from, stream.cu_stream()) }.map_err(failed)?;
        self.copied.record(stream).map_err(failed)
    }

    /// The first `bytes` bytes of what was fetched, when they are there.
    pub(super) fn fetched(&mut self, bytes: usize) -> Result<&[u8], BackendError> {
        self.copied.synchronize().map_err(failed)?;
        Ok(&bytemuck::cast_slice(self.here(0..bytes.div_ceil(8)))[..bytes])
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // An error that was noted before, maybe of another party, comes instead of the wait: it is for whoever asks next.
        if let Err(error) = self.copied.synchronize() {
            let _waited = self.copied.synchronize();
            self.words.context().record_err::<()>(Err(error));
        }
    }
}

/// Memory for tables, many of which are on their way at a time. It has two halves; one is written again when all that was
/// copied out of it has been.
pub(super) struct Ring {
    halves: [Staging; 2],
    /// The half that is written, and the next word there.
    half: usize,
    next: usize,
    /// For tables that are larger than a half.
    large: Option<Staging>,
}

/// Words of a half: tables of a thousand launches and more.
const HALF: usize = 1 << 16;

impl Ring {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Ring, BackendError> {
        let halves = [
            Staging::new(stream, "tables, in memory of the host", HALF)?,
            Staging::new(stream, "tables, in memory of the host", HALF)?,
        ];
        Ok(Ring { halves, half: 0, next: 0, large: None })
    }

    /// Puts a copy of `words` to the GPU in line.
    pub(super) fn copy(
        &mut self,
        stream: &Arc<CudaStream>,
        words: &[u64],
        to: &mut impl DevicePtrMut<u64>,
    ) -> Result<(), BackendError> {
        if words.len() > HALF {
            return Staging::with_room(&mut self.large, stream, words.len())?.send(
                stream,
                bytemuck::cast_slice(words),
                to,
            );
        }
        if self.next + words.len() > HALF {
            self.halves[self.half].copied.record(stream).map_err(failed)?;
            (self.half, self.next) = (1 - self.half, 0);
            self.halves[self.half].copied.synchronize().map_err(failed)?;
        }
        let here = self.halves[self.half].here(self.next..self.next + words.len());
        here.copy_from_slice(words);
        assert!(to.len() >= words.len(), "the GPU has room for the table");
        let (to, _) = to.device_ptr_mut(stream);
        stream.context().bind_to_thread().map_err(failed)?;
        // SAFETY: there is room, and the words stay as they are until the half is written again, before which the copies out of it
        // are waited for, or is freed.
        unsafe { result::memcpy_htod_async(to, here, stream.cu_stream()) }.map_err(failed)?;
        self.next += words.len();
        Ok(())
    }
}
