//! Messages that one queue puts into memory of a GPU and another takes, in the order of both queues and without the host:
//! between parties in this process, and between a party's kernels and its copies from and to the host.
//!
//! The sender's queue packs a message and notes when it has ([`Packet::ready`]); the receiver's queue waits for that, takes
//! it, and notes when it has; then the memory is the sender's again, whose queue waits for that before it packs anew.

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, result};

use super::gpu::failed;
use super::{out_of_memory, rounded};
use crate::backend::BackendError;

/// Memory for messages that a queue packs.
pub(super) struct Outbox {
    stream: Arc<CudaStream>,
    /// What receivers are done with, or will be.
    back: Mutex<Vec<Slot>>,
}

/// Memory of a message that may still be read.
struct Slot {
    words: CudaSlice<u64>,
    /// Comes when it has been read.
    read: Option<CudaEvent>,
}

/// A message on its way.
pub(super) struct Packet {
    /// Its memory, until this goes back.
    slot: Option<Slot>,
    pub bytes: u64,
    /// Comes when it has been packed.
    packed: Option<CudaEvent>,
    home: Arc<Outbox>,
}

impl Outbox {
    /// An outbox of this queue.
    pub(super) fn new(stream: &Arc<CudaStream>) -> Arc<Outbox> {
        Arc::new(Outbox { stream: stream.clone(), back: Mutex::default() })
    }

    /// A message of so many bytes that is still to be packed; until it is [`Packet::ready`], into [`Packet::words`].
    ///
    /// # Errors
    /// If the GPU fails or has no memory.
    pub(super) fn begin(self: &Arc<Outbox>, bytes: u64) -> Result<Packet, BackendError> {
        let words = self.room(bytes.div_ceil(8) as usize)?;
        // From here on the memory goes back whatever fails.
        Ok(Packet { slot: Some(Slot { words, read: None }), bytes, packed: None, home: self.clone() })
    }

    /// Takes memory back.
    fn back(&self, slot: Slot) {
        self.back.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }

    /// Memory of at least so many words that nothing in line behind still finds in use.
    #[allow(unsafe_code, reason = "memory that is written before it is read")]
    fn room(&self, words: usize) -> Result<CudaSlice<u64>, BackendError> {
        let old = {
            let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = back.iter().enumerate().filter(|(_, slot)| slot.words.len() >= words);
            let least = fits.min_by_key(|(_, slot)| slot.words.len());
            // Where none is large enough, one goes for the one that is taken.
            let most = || back.iter().enumerate().max_by_key(|(_, slot)| slot.words.len());
            let at = least.or_else(most).map(|(at, _)| at);
            at.map(|at| back.swap_remove(at))
        };
        if let Some(mut old) = old {
            let ready = old.read.iter().try_for_each(|read| self.stream.wait(read));
            let large = old.words.len() >= words;
            let ready = ready.and_then(|()| if large { Ok(()) } else { self.stream.memset_zeros(&mut old.words) });
            if let Err(error) = ready {
                self.back(old);
                return Err(failed(error));
            }
            if large {
                return Ok(old.words);
            }
        }
        // SAFETY: a message is packed into the words that are unpacked.
        let new = unsafe { self.stream.alloc(rounded(words)) };
        new.map_err(|error| out_of_memory("messages between parties", words, error))
    }
}

impl Packet {
    /// Its memory.
    pub(super) fn words(&mut self) -> Option<&mut CudaSlice<u64>> {
        self.slot.as_mut().map(|slot| &mut slot.words)
    }

    /// The same, to be read.
    pub(super) fn memory(&self) -> Option<&CudaSlice<u64>> {
        self.slot.as_ref().map(|slot| &slot.words)
    }

    /// Where the sender's queue writes it.
    pub(super) fn address(&self) -> u64 {
        self.slot.as_ref().map_or(0, |slot| super::address(&slot.words, &self.home.stream))
    }

    /// Notes that what is in line on the sender's queue packs it.
    ///
    /// # Errors
    /// If the GPU fails.
    pub(super) fn ready(&mut self) -> Result<(), BackendError> {
        self.packed = Some(self.home.stream.record_event(None).map_err(failed)?);
        Ok(())
    }

    /// Whether its memory is on the GPU of this queue.
    pub(super) fn is_on(&self, stream: &CudaStream) -> bool {
        let there = self.slot.as_ref().map(|slot| slot.words.context().cu_ctx());
        there == Some(stream.context().cu_ctx())
    }

    /// Where a receiver's queue finds the message from here on. From another GPU than the sender's it is first copied to
    /// `room`.
    ///
    /// # Errors
    /// If a GPU fails or has no memory.
    #[allow(unsafe_code, reason = "a copy from one GPU to another")]
    pub(super) fn arrive(
        &self,
        stream: &Arc<CudaStream>,
        room: &mut Option<CudaSlice<u64>>,
    ) -> Result<u64, BackendError> {
        let Some(slot) = &self.slot else { return Ok(0) };
        self.packed.iter().try_for_each(|packed| stream.wait(packed)).map_err(failed)?;
        let (here, there) = (stream.context(), slot.words.context());
        let from = super::address(&slot.words, &self.home.stream);
        if here.cu_ctx() == there.cu_ctx() {
            return Ok(from);
        }
        let words = self.bytes.div_ceil(8) as usize;
        let room = super::room(room, stream, words)?;
        assert!(room.len() >= words && slot.words.len() >= words, "both GPUs have room for the message");
        let to = super::address(room, stream);
        here.bind_to_thread().map_err(failed)?;
        // SAFETY: both have the room, which on this side is this queue's alone; on the other the message was packed before, and
        // stays until it `was_read`.
        unsafe { result::memcpy_peer_async(here.cu_ctx(), to, there.cu_ctx(), from, 8 * words, stream.cu_stream()) }
            .map_err(failed)?;
        Ok(to)
    }

    /// Gives the memory back for when what is in line on the receiver's queue has read it.
    ///
    /// # Errors
    /// If the GPU fails.
    pub(super) fn was_read(mut self, stream: &CudaStream) -> Result<(), BackendError> {
        let Some(slot) = &mut self.slot else { return Ok(()) };
        match stream.record_event(None) {
            Ok(read) => slot.read = Some(read),
            Err(error) => {
                // Then it has been read when all has run.
                let _ended = stream.synchronize();
                return Err(failed(error));
            }
        }
        Ok(())
    }
}

/// Its memory goes back, to be used when it has been read.
impl Drop for Packet {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.home.back(slot);
        }
    }
}

/// Comes when the party and all messages are gone.
impl Drop for Outbox {
    fn drop(&mut self) {
        let back = self.back.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Slot { words, read } in back {
            // An error that was noted before comes instead of the wait; a device that fails here is not used again.
            let wait = || read.iter().try_for_each(|read| self.stream.wait(read));
            let _waited = wait().or_else(|_| wait());
            let _cleared = self.stream.memset_zeros(words);
        }
    }
}
