//! How far a queue of launches has come, to name the lines that a failure is from. Once a launch has failed the GPU answers
//! nothing any more, so the queue itself leaves a trail: behind each batch of launches it writes the batch's number to memory
//! of the host. Nobody waits for that.

#![allow(unsafe_code, reason = "memory that the GPU writes while the host reads it")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cudarc::driver::{CudaContext, CudaStream, DriverError, PinnedHostSlice, sys};

use super::gpu::{Gpu, failed};
use super::no_room;
use super::staging::FULL;
use crate::backend::BackendError;

/// The trail of a queue.
pub(super) struct Trail {
    _memory: PinnedHostSlice<u32>,
    /// The memory's one word: the number of the last batch that has run.
    word: *const AtomicU32,
    batches: Mutex<Batches>,
    /// The driver does not write.
    none: AtomicBool,
}

// SAFETY: the word is atomic, and stays as long as the memory.
unsafe impl Send for Trail {}
// SAFETY: as above.
unsafe impl Sync for Trail {}

#[derive(Default)]
struct Batches {
    /// The number of the last one.
    last: u32,
    /// Those that are not known to have run, each with the sites that it is of.
    under_way: VecDeque<(u32, Vec<usize>)>,
}

impl Trail {
    pub(super) fn new(gpu: &Gpu, context: &Arc<CudaContext>) -> Result<Arc<Trail>, BackendError> {
        // SAFETY: the word is written before anything reads it.
        let memory = unsafe { context.alloc_pinned_with_flags(1, sys::CU_MEMHOSTALLOC_DEVICEMAP) };
        let mut memory: PinnedHostSlice<u32> =
            memory.map_err(|error| no_room("the trail of launches, in memory of the host", 1, FULL, error))?;
        let word = memory.as_mut_ptr().map_err(failed)?;
        // SAFETY: the memory has one word, which nobody else knows of yet.
        unsafe { word.write(0) };
        let word = word.cast_const().cast();
        let trail = Arc::new(Trail { _memory: memory, word, batches: Mutex::default(), none: AtomicBool::new(false) });
        gpu.trails().add(&trail);
        Ok(trail)
    }

    fn batches(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a batch of launches of these sites; its number.
    pub(super) fn begin(&self, sites: Vec<usize>) -> u32 {
        let mut batches = self.batches();
        self.prune(&mut batches);
        batches.last = batches.last.wrapping_add(1);
        let number = batches.last;
        batches.under_way.push_back((number, sites));
        number
    }

    /// Ends a batch, all of which is in line on the GPU: its number is written behind it.
    pub(super) fn end(&self, stream: &CudaStream, number: u32) -> Result<(), DriverError> {
        if self.none.load(Ordering::Relaxed) {
            return Ok(());
        }
        // The GPU and the host have one name for memory that the driver gave.
        let at = self.word.expose_provenance() as sys::CUdeviceptr;
        // SAFETY: the word stays until the queue has run: its owner waits for that before it ends.
        match unsafe { sys::cuStreamWriteValue32_v2(stream.cu_stream(), at, number, 0) } {
            sys::CUresult::CUDA_ERROR_NOT_SUPPORTED => {
                self.none.store(true, Ordering::Relaxed);
                Ok(())
            }
            other => other.result(),
        }
    }

    /// Forgets batches that have run.
    fn prune(&self, batches: &mut Batches) {
        // SAFETY: the memory lives.
        let done = unsafe { &*self.word }.load(Ordering::Acquire);
        if self.none.load(Ordering::Relaxed) {
            batches.under_way.clear();
        }
        // Numbers go round.
        while batches.under_way.front().is_some_and(|(number, _)| number.wrapping_sub(done).cast_signed() <= 0) {
            batches.under_way.pop_front();
        }
    }

    /// The sites of the first batch that has not run, if one is known.
    pub(super) fn stopped(&self) -> Vec<usize> {
        let mut batches = self.batches();
        self.prune(&mut batches);
        batches.under_way.front().map(|(_, sites)| sites.clone()).unwrap_or_default()
    }
}

/// The trails of all queues of a GPU.
#[derive(Default)]
pub(super) struct Trails(Mutex<Vec<Weak<Trail>>>);

impl Trails {
    fn add(&self, trail: &Arc<Trail>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(trail));
    }

    /// The sites of the first batches that have not run, of each queue one: where a launch fails, all queues of the GPU stop.
    pub(super) fn stopped(&self) -> Vec<usize> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).flat_map(|trail| trail.stopped()).collect()
    }
}
