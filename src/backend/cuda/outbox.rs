//! Messages that one queue puts into memory of a GPU and another takes, in the order of both queues and without the host:
//! between parties in this process, and between a party's kernels and its copies from and to the host.
//!
//! The sender's queue packs a message and has a mark behind that ([`Packet::ready`]); the receiver's queue waits for it, takes
//! the message, and has a mark behind that; then the memory is the sender's again, whose queue waits for that mark before it
//! packs anew.
//!
//! Each message has memory of its own, as long as all these take no more than a part of the GPU's, so that in each run of a plan
//! the same launches stand in line; others share what there is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{CudaSlice, CudaStream, result};

use super::gpu::{Gpu, failed};
use super::lane::{Mark, Queue};
use super::{out_of_memory, rounded};
use crate::backend::BackendError;

/// The part of a GPU's memory that messages have of their own.
const PART: usize = 16;

/// Memory of messages of its own is a multiple of so many words.
const STEP: usize = 1 << 9;

/// Memory for messages that a queue packs.
pub(super) struct Outbox {
    stream: Arc<CudaStream>,
    /// Words that messages may have of their own.
    most: usize,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    /// By the number of the message in a run: how many words its own memory has, and that, unless it is under way.
    own: Vec<(usize, Option<Slot>)>,
    /// Words of all these, or as many as they may have when there is no more memory.
    words: usize,
    /// The number of the next message.
    next: usize,
    /// For others: what receivers are done with, or will be.
    back: Vec<Slot>,
}

/// Memory of a message that may still be read.
struct Slot {
    words: CudaSlice<u64>,
    /// Comes when it has been read.
    read: Option<Arc<Mark>>,
}

/// A message on its way.
pub(super) struct Packet {
    /// Its memory, until this goes back.
    slot: Option<Slot>,
    /// The number of the message, if that is its own.
    own: Option<usize>,
    pub bytes: u64,
    /// Comes when it has been packed.
    packed: Option<Arc<Mark>>,
    home: Arc<Outbox>,
}

impl Outbox {
    /// An outbox of this queue.
    pub(super) fn new(gpu: &Gpu, stream: &Arc<CudaStream>) -> Arc<Outbox> {
        Arc::new(Outbox { stream: stream.clone(), most: gpu.words() / PART, slots: Mutex::default() })
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message is the first of a run.
    pub(super) fn restart(&self) {
        self.slots().next = 0;
    }

    /// A message of so many bytes that is still to be packed by this outbox's queue; until it is [`Packet::ready`], into
    /// [`Packet::words`].
    ///
    /// # Errors
    /// If the GPU fails or has no memory.
    pub(super) fn begin(self: &Arc<Outbox>, queue: &impl Queue, bytes: u64) -> Result<Packet, BackendError> {
        let words = bytes.div_ceil(8) as usize;
        let (slot, own) = self.room(queue, words)?;
        // From here on the memory goes back whatever fails.
        let packet = Packet { slot: Some(slot), own, bytes, packed: None, home: self.clone() };
        let read = packet.slot.as_ref().and_then(|slot| slot.read.as_ref());
        read.map_or(Ok(()), |read| queue.wait(read))?;
        Ok(packet)
    }

    /// Memory of at least so many words, and the number of the message if it is that one's own.
    fn room(&self, queue: &impl Queue, words: usize) -> Result<(Slot, Option<usize>), BackendError> {
        let mut slots = self.slots();
        let Slots { own, words: all, next, back } = &mut *slots;
        let number = *next;
        *next += 1;
        if own.len() <= number {
            own.resize_with(number + 1, || (0, None));
        }
        let (room, own) = &mut own[number];
        if *room >= words
            && let Some(slot) = own.take()
        {
            return Ok((slot, Some(number)));
        }
        // Memory is taken once: where a message of another plan was larger, or is still under way, it is anybody's.
        let size = words.next_multiple_of(STEP);
        if *room == 0 && *all + size <= self.most {
            match self.take(size) {
                Ok(words) => {
                    (*room, *all) = (size, *all + size);
                    return Ok((Slot { words, read: None }, Some(number)));
                }
                // Then there is none for any other, and what there is has to do.
                Err(BackendError::Memory { .. }) => *all = self.most,
                Err(other) => return Err(other),
            }
        }
        let fits = back.iter().enumerate().filter(|(_, slot)| slot.words.len() >= words);
        let least = fits.min_by_key(|(_, slot)| slot.words.len());
        // Where none is large enough, one goes for the one that is taken.
        let most = || back.iter().enumerate().max_by_key(|(_, slot)| slot.words.len());
        let at = least.or_else(most).map(|(at, _)| at);
        let old = at.map(|at| back.swap_remove(at));
        drop(slots);
        let Some(mut old) = old else {
            return Ok((Slot { words: self.take(rounded(words))?, read: None }, None));
        };
        if old.words.len() >= words {
            return Ok((old, None));
        }
        let read = old.read.as_ref().map_or(Ok(()), |read| queue.wait(read));
        let wiped = read.and_then(|()| queue.stream()?.memset_zeros(&mut old.words).map_err(failed));
        if let Err(error) = wiped {
            self.slots().back.push(old);
            return Err(error);
        }
        drop(old);
        Ok((Slot { words: self.take(rounded(words))?, read: None }, None))
    }

    /// New memory.
    #[allow(unsafe_code, reason = "memory that is written before it is read")]
    fn take(&self, words: usize) -> Result<CudaSlice<u64>, BackendError> {
        // SAFETY: a message is packed into the words that are unpacked.
        let new = unsafe { self.stream.alloc(words.max(1)) };
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

    /// Notes that what stands in line on the sender's queue packs it.
    ///
    /// # Errors
    /// If the GPU fails.
    pub(super) fn ready(&mut self, queue: &impl Queue) -> Result<(), BackendError> {
        self.packed = Some(queue.mark()?);
        Ok(())
    }

    /// Whether its memory is on the GPU of this queue.
    pub(super) fn is_on(&self, stream: &CudaStream) -> bool {
        let there = self.slot.as_ref().map(|slot| slot.words.context().cu_ctx());
        there == Some(stream.context().cu_ctx())
    }

    /// Where a receiver's queue, on this GPU, finds the message from here on. From another GPU than the sender's it is first
    /// copied to `room`.
    ///
    /// # Errors
    /// If a GPU fails or has no memory.
    #[allow(unsafe_code, reason = "a copy from one GPU to another")]
    pub(super) fn arrive(
        &self,
        gpu: &Gpu,
        queue: &impl Queue,
        room: &mut Option<CudaSlice<u64>>,
    ) -> Result<u64, BackendError> {
        let Some(slot) = &self.slot else { return Ok(0) };
        self.packed.as_ref().map_or(Ok(()), |packed| queue.wait(packed))?;
        let from = super::address(&slot.words, &self.home.stream);
        if self.is_on(queue.ahead()) {
            return Ok(from);
        }
        let words = self.bytes.div_ceil(8) as usize;
        let room = super::room(room, queue, words)?;
        let stream = queue.stream()?;
        let (here, there) = (stream.context(), slot.words.context());
        gpu.reach(here, there)?;
        assert!(room.len() >= words && slot.words.len() >= words, "both GPUs have room for the message");
        let to = super::address(room, stream);
        here.bind_to_thread().map_err(failed)?;
        // SAFETY: both have the room, which on this side is this queue's alone; on the other the message was packed before, and
        // stays until it `goes_back`.
        unsafe { result::memcpy_peer_async(here.cu_ctx(), to, there.cu_ctx(), from, 8 * words, stream.cu_stream()) }
            .map_err(failed)?;
        Ok(to)
    }

    /// Gives the memory back for when a mark comes, behind which it has been read.
    pub(super) fn goes_back(mut self, read: &Arc<Mark>) {
        if let Some(slot) = &mut self.slot {
            slot.read = Some(read.clone());
        }
    }
}

/// Its memory goes back, to be used when it has been read.
impl Drop for Packet {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let mut slots = self.home.slots();
        match self.own.and_then(|number| slots.own.get_mut(number)) {
            Some((_, own)) => *own = Some(slot),
            None => slots.back.push(slot),
        }
    }
}

/// Comes when the party and all messages are gone.
impl Drop for Outbox {
    fn drop(&mut self) {
        let slots = self.slots.get_mut().unwrap_or_else(PoisonError::into_inner);
        for Slot { words, read } in slots.own.iter_mut().filter_map(|(_, own)| own.as_mut()).chain(&mut slots.back) {
            // An error that was noted before comes instead of the wait; a device that fails here is not used again.
            let wait = || read.as_ref().map_or(Ok(()), |read| read.wait_on(&self.stream));
            let _waited = wait().or_else(|_| wait());
            let _cleared = self.stream.memset_zeros(words);
        }
    }
}
