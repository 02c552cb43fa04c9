//! A queue between threads that keeps its memory: what is queued in one run takes none in the next.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The queue; clones are the same one. Whoever takes out of it also holds it, so that it has no end.
pub(super) struct Queue<T>(Arc<Shared<T>>);

struct Shared<T> {
    waiting: Mutex<VecDeque<T>>,
    came: Condvar,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        Queue(Arc::clone(&self.0))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue(Arc::new(Shared { waiting: Mutex::default(), came: Condvar::new() }))
    }
}

impl<T> Queue<T> {
    /// Puts an element at its end.
    pub(super) fn push(&self, element: T) {
        self.lock().push_back(element);
        self.0.came.notify_one();
    }

    /// Takes its first element, if there is one.
    pub(super) fn try_pop(&self) -> Option<T> {
        self.lock().pop_front()
    }

    /// Waits for its first element.
    pub(super) fn pop(&self) -> T {
        let mut waiting = self.lock();
        loop {
            match waiting.pop_front() {
                Some(element) => return element,
                None => waiting = self.0.came.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_comes_in_order() {
        let queue = Queue::default();
        assert_eq!(queue.try_pop(), None);
        let other = queue.clone();
        std::thread::scope(|scope| {
            let popped = scope.spawn(|| [(); 100].map(|()| queue.pop()));
            (0..100).for_each(|number| other.push(number));
            assert!(popped.join().unwrap().iter().copied().eq(0..100));
        });
        assert_eq!(other.try_pop(), None);
    }
}
