//! Payloads that have served, to serve again: memory for a large one comes from the system page by page, which takes longer
//! than to write it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are kept at most.
const MOST: usize = 32;

/// Payloads of fewer bytes are not worth keeping.
const SMALL: usize = 64;

/// An endpoint's spare payloads, which what is sent and what is received take and give back. None is kept before
/// [`Spares::keep`].
#[derive(Debug, Default)]
pub struct Spares(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    payloads: Vec<Vec<u8>>,
    /// Bytes of all.
    room: usize,
}

impl Spares {
    /// Keeps so many bytes at most from now on.
    pub fn keep(&self, bytes: usize) {
        let mut kept = self.lock();
        kept.room = bytes;
        kept.fit();
    }

    /// The smallest payload that has so many bytes without growing, or a new one. What it holds means nothing.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        self.find(bytes).unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    /// The same with so many bytes in it, which mean nothing.
    #[must_use]
    pub fn take_filled(&self, bytes: usize) -> Vec<u8> {
        let Some(mut payload) = self.find(bytes) else { return vec![0; bytes] };
        payload.resize(bytes, 0);
        payload
    }

    fn find(&self, bytes: usize) -> Option<Vec<u8>> {
        if bytes < SMALL {
            return None;
        }
        let payloads = &mut self.lock().payloads;
        let fits = payloads.iter().enumerate().filter(|(_, payload)| payload.capacity() >= bytes);
        let (at, _) = fits.min_by_key(|(_, payload)| payload.capacity())?;
        Some(payloads.swap_remove(at))
    }

    /// Keeps a payload, if there is room, and if it is not a small one such as a key.
    pub fn put(&self, payload: Vec<u8>) {
        if payload.capacity() < SMALL {
            return;
        }
        let mut kept = self.lock();
        kept.payloads.push(payload);
        kept.fit();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets go of what there is no room for. Large ones are worth the most.
    fn fit(&mut self) {
        while self.payloads.len() > MOST || self.payloads.iter().map(Vec::capacity).sum::<usize>() > self.room {
            let least = self.payloads.iter().enumerate().min_by_key(|(_, payload)| payload.capacity());
            let Some((at, _)) = least else { break };
            self.payloads.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capacities of what is kept in [`SMALL`]s, in order.
    fn kept(spares: &Spares) -> Vec<usize> {
        let mut all: Vec<usize> = spares.lock().payloads.iter().map(|payload| payload.capacity() / SMALL).collect();
        all.sort_unstable();
        all
    }

    fn put(spares: &Spares, sizes: impl IntoIterator<Item = usize>) {
        sizes.into_iter().for_each(|size| spares.put(vec![1; size * SMALL]));
    }

    #[test]
    fn the_smallest_that_fits_serves_again() {
        let spares = Spares::default();
        spares.keep(10 * SMALL);
        put(&spares, [3, 1, 2, 4]);
        let bytes = SMALL + SMALL / 2;
        assert_eq!(spares.take(bytes).capacity(), 2 * SMALL);
        assert_eq!(spares.take_filled(bytes), vec![1; bytes]);
        assert_eq!(spares.take(bytes).capacity(), 4 * SMALL);
        assert_eq!(spares.take(bytes).capacity(), bytes, "a new one");
        assert_eq!(spares.take_filled(bytes), vec![0; bytes]);
        assert_eq!(kept(&spares), [1]);
        spares.put(vec![1; SMALL / 2]);
        assert_eq!((spares.take(8).capacity(), kept(&spares)), (8, vec![1]), "small ones are not kept, and take none");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room() {
        let spares = Spares::default();
        put(&spares, [1]);
        assert!(kept(&spares).is_empty(), "there is none yet");
        spares.keep(5 * SMALL);
        put(&spares, [1, 2, 3]);
        assert_eq!(kept(&spares), [2, 3]);
        put(&spares, [6]);
        assert!(kept(&spares).is_empty(), "the largest went last, and was too large by itself");
        spares.keep(usize::MAX);
        put(&spares, 1..=MOST + 2);
        assert_eq!(kept(&spares), (3..=MOST + 2).collect::<Vec<_>>());
        spares.keep(0);
        assert!(kept(&spares).is_empty());
    }
}
