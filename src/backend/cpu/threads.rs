//! Threads for large launches, shared by all devices that compute at the moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Bytes of a thread's stack: lists of steps that run as one take some hundreds of thousands.
const STACK: usize = 8 << 20;

/// So many threads. Devices with clones of this share them: a launch is cut into as many parts as it has threads when it
/// begins, for the threads of a pool, which steal them from each other.
#[derive(Clone, Debug)]
pub struct Threads {
    most: usize,
    /// Launches that are under way, if it matters.
    launches: Option<Arc<AtomicUsize>>,
}

impl Threads {
    /// The thread that launches, alone.
    pub const ONE: Threads = Threads { most: 1, launches: None };

    /// So many threads, at least one.
    #[must_use]
    pub fn new(most: usize) -> Threads {
        if most > 1 { Threads { most, launches: Some(Arc::default()) } } else { Threads::ONE }
    }

    /// Works in a pool of so many threads, of which this is the first one and the others sleep until a launch has parts for them.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, ThreadPoolBuildError> {
        if self.most == 1 {
            return Ok(work());
        }
        let current = std::thread::current();
        let name = current.name().unwrap_or("smlc").to_string();
        let pool = ThreadPoolBuilder::new().num_threads(self.most).thread_name(move |at| format!("{name}-{at}"));
        Ok(pool.stack_size(STACK).build()?.install(work))
    }

    /// All of them: a long launch is cut into as many parts, which threads steal that have nothing else to do by then.
    pub(super) fn all(&self) -> usize {
        self.most
    }

    /// A launch begins, which ends when this is dropped.
    pub(super) fn share(&self) -> Share<'_> {
        // The count only guides, so that no order with other memory is needed.
        let launches = self.launches.as_deref();
        let others = launches.map_or(0, |launches| launches.fetch_add(1, Ordering::Relaxed));
        Share { threads: (self.most / (others + 1)).max(1), launches }
    }
}

/// A launch's threads.
pub(super) struct Share<'a> {
    /// How many.
    pub threads: usize,
    launches: Option<&'a AtomicUsize>,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if let Some(launches) = self.launches {
            launches.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Works on the parts of a launch, which this thread and those of its pool take one after the other: a part is as large as the
/// lists of its words, so that it is made where it is worked on, and never waits on a stack. A thread of a pool allocates nothing
/// for that; for another one the program's pool works.
pub(super) fn each_part<P>(parts: impl Iterator<Item = P> + Send, work: impl Fn(P) + Sync) {
    let count = parts.size_hint().0;
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    several(count, &|| {
        while let Some(part) = next() {
            work(part);
        }
    });
}

/// Works so often, at least once, at the same time where threads have nothing else to do. What the work needs of the stack is not
/// this function's, which calls itself.
fn several(count: usize, work: &(dyn Fn() + Sync)) {
    if count < 2 {
        return work();
    }
    let half = count / 2;
    rayon::join(|| several(count - half, work), || several(half, work));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_share_threads_fairly() {
        let threads = Threads::new(8);
        let other = threads.clone();
        let first = threads.share();
        let second = other.share();
        let third = other.share();
        assert_eq!([&first, &second, &third].map(|share| share.threads), [8, 4, 2]);
        drop((first, third));
        assert_eq!(threads.share().threads, 4, "beside the second");
        drop(second);
        assert_eq!(threads.share().threads, 8);
    }

    #[test]
    fn each_part_is_worked_on_once() {
        // As large as lists are, and more of them than would lie on a stack.
        struct Part([usize; 1 << 14], usize);
        for count in [0, 1, 2, 3, 64, 1000] {
            let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let work = |part: Part| {
                assert!(part.0.iter().all(|word| *word == part.1));
                seen[part.1].fetch_add(1, Ordering::Relaxed);
            };
            let parts = || (0..count).map(|at| Part([at; 1 << 14], at));
            each_part(parts(), work);
            Threads::new(5).pool(|| each_part(parts(), work)).unwrap();
            assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) == 2), "{count} parts");
        }
    }

    #[test]
    fn each_launch_has_a_thread() {
        let threads = Threads::new(2);
        let shares = [(); 3].map(|()| threads.share());
        assert_eq!(shares.each_ref().map(|share| share.threads), [2, 1, 1]);
        assert_eq!([Threads::new(0), Threads::new(1), Threads::ONE].map(|one| one.share().threads), [1; 3]);
    }
}
