//! Threads for large launches, shared by all devices that compute at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

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
        Ok(pool.build()?.install(work))
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

/// Works on the parts of a launch: on the last one itself, on the others unless threads of the pool have stolen them by then. A
/// thread of a pool allocates nothing for that; for another one the program's pool works.
pub(super) fn each_part<P: Send>(parts: impl Iterator<Item = P> + Send, work: impl Fn(P) + Sync) {
    let mut parts = parts;
    if let Some(first) = parts.next() {
        offer(first, &mut parts, &work);
    }
}

/// Offers a part, and in turn those after it.
fn offer<P: Send>(part: P, others: &mut (impl Iterator<Item = P> + Send), work: &(impl Fn(P) + Sync)) {
    match others.next() {
        None => work(part),
        Some(next) => {
            rayon::join(|| offer(next, others, work), || work(part));
        }
    }
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
    fn each_launch_has_a_thread() {
        let threads = Threads::new(2);
        let shares = [(); 3].map(|()| threads.share());
        assert_eq!(shares.each_ref().map(|share| share.threads), [2, 1, 1]);
        assert_eq!([Threads::new(0), Threads::new(1), Threads::ONE].map(|one| one.share().threads), [1; 3]);
    }
}
