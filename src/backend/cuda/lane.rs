//! A queue of the GPU (a CUDA stream) with marks on it, for which other queues wait. A mark costs one call of the driver
//! however many messages it stands for, and a wait none if a later mark of the same queue was waited for before.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cudarc::driver::{CudaEvent, CudaStream};
use smallvec::SmallVec;

use super::gpu::failed;
use crate::backend::BackendError;

/// What messages are packed and taken on.
pub(super) trait Queue {
    /// Lets what comes next wait for a mark of another queue.
    fn wait(&self, mark: &Mark) -> Result<(), BackendError>;

    /// A mark behind what is in line so far, which is set before anybody can wait for it.
    fn mark(&self) -> Result<Arc<Mark>, BackendError>;

    /// The queue on the GPU, behind everything in line.
    fn stream(&self) -> Result<&Arc<CudaStream>, BackendError>;

    /// The queue on the GPU, before what is in line on the host.
    fn ahead(&self) -> &Arc<CudaStream>;
}

/// A point on a queue: it comes when all that was in line before it has run.
pub(super) struct Mark {
    /// The queue, and which of its marks.
    lane: u64,
    number: u64,
    event: CudaEvent,
    /// Whether it is in line: until then nobody may wait for it.
    set: AtomicBool,
}

impl Mark {
    /// Lets a queue wait for a mark that is set.
    pub(super) fn wait_on(&self, stream: &CudaStream) -> Result<(), BackendError> {
        stream.wait(&self.event).map_err(failed)
    }
}

/// A queue of the GPU.
pub(super) struct Lane {
    stream: Arc<CudaStream>,
    number: u64,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Marks made so far; those that nobody else has are made again.
    marks: Vec<Arc<Mark>>,
    /// Where to look for one.
    next: usize,
    made: u64,
    /// The last mark of each other queue that was waited for.
    waited: SmallVec<[(u64, u64); 8]>,
}

/// Marks that are looked at for one that nobody has.
const LOOK: usize = 4;

impl Lane {
    pub(super) fn new(stream: Arc<CudaStream>) -> Lane {
        static LANES: AtomicU64 = AtomicU64::new(0);
        Lane { stream, number: LANES.fetch_add(1, Ordering::Relaxed), state: RefCell::default() }
    }

    /// The queue on the GPU.
    pub(super) fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// A mark, which is then to be [`Lane::set`], in the order in which they are made.
    pub(super) fn make(&self) -> Result<Arc<Mark>, BackendError> {
        let State { marks, next, made, .. } = &mut *self.state.borrow_mut();
        *made += 1;
        for _ in 0..LOOK.min(marks.len()) {
            *next = (*next + 1) % marks.len();
            if let Some(mark) = Arc::get_mut(&mut marks[*next]) {
                mark.number = *made;
                *mark.set.get_mut() = false;
                return Ok(marks[*next].clone());
            }
        }
        let event = self.stream.context().new_event(None).map_err(failed)?;
        let mark = Arc::new(Mark { lane: self.number, number: *made, event, set: AtomicBool::new(false) });
        marks.push(mark.clone());
        Ok(mark)
    }

    /// Puts a mark in line.
    pub(super) fn set(&self, mark: &Mark) -> Result<(), BackendError> {
        mark.event.record(&self.stream).map_err(failed)?;
        mark.set.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether what comes next already comes after a mark.
    pub(super) fn is_behind(&self, mark: &Mark) -> bool {
        let waited = &self.state.borrow().waited;
        mark.lane == self.number || waited.iter().any(|(lane, number)| *lane == mark.lane && *number >= mark.number)
    }
}

impl Queue for Lane {
    fn wait(&self, mark: &Mark) -> Result<(), BackendError> {
        if self.is_behind(mark) {
            return Ok(());
        }
        if !mark.set.load(Ordering::Acquire) {
            return Err(BackendError::Device("a message came before it was packed: a mistake in smlc".to_string()));
        }
        mark.wait_on(&self.stream)?;
        let waited = &mut self.state.borrow_mut().waited;
        match waited.iter_mut().find(|(lane, _)| *lane == mark.lane) {
            Some((_, number)) => *number = mark.number,
            None => waited.push((mark.lane, mark.number)),
        }
        Ok(())
    }

    fn mark(&self) -> Result<Arc<Mark>, BackendError> {
        let mark = self.make()?;
        self.set(&mark)?;
        Ok(mark)
    }

    fn stream(&self) -> Result<&Arc<CudaStream>, BackendError> {
        Ok(&self.stream)
    }

    fn ahead(&self) -> &Arc<CudaStream> {
        &self.stream
    }
}
