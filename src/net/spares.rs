//! Payloads that have served, to serve again: memory for a large one comes from the system page by page, which takes longer
//! than to write it, and once a run has been all that others need is there.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are kept at most.
const MOST: usize = 256;

/// Room of the smallest payloads. What has less, such as a key, did not come from here and is not kept.
const SMALL: usize = 64;

/// Spare payloads, which what is sent and what is received take and give back. None is kept before [`Spares::keep`].
#[derive(Default)]
pub struct Spares(Mutex<Kept>);

impl std::fmt::Debug for Spares {
    /// How much there is; what payloads hold is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Kept { payloads, bytes, room } = &*self.lock();
        f.debug_struct("Spares").field("payloads", &payloads.len()).field("bytes", bytes).field("room", room).finish()
    }
}

#[derive(Default)]
struct Kept {
    /// The smallest first.
    payloads: Vec<Vec<u8>>,
    /// Bytes of these, and of all that are kept at most.
    bytes: usize,
    room: usize,
}

impl Spares {
    /// Keeps so many bytes more from now on, for one more party that uses them.
    pub fn keep(&self, bytes: usize) {
        let mut kept = self.lock();
        kept.room = kept.room.saturating_add(bytes);
        kept.payloads.reserve(MOST + 1);
    }

    /// The smallest payload that has so many bytes without growing, or a new one. What it holds means nothing.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        self.find(bytes).unwrap_or_else(|| Vec::with_capacity(bytes.max(SMALL)))
    }

    /// The same with so many bytes in it, which mean nothing.
    #[must_use]
    pub fn take_filled(&self, bytes: usize) -> Vec<u8> {
        let mut payload = self.take(bytes);
        payload.resize(bytes, 0);
        payload
    }

    fn find(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut kept = self.lock();
        let at = kept.smallest(bytes);
        (at < kept.payloads.len()).then(|| kept.remove(at))
    }

    /// Keeps a payload, if there is room, and if it is not a small one such as a key.
    pub fn put(&self, payload: Vec<u8>) {
        if payload.capacity() < SMALL {
            return;
        }
        let mut kept = self.lock();
        kept.bytes += payload.capacity();
        let at = kept.smallest(payload.capacity());
        kept.payloads.insert(at, payload);
        // Large ones are worth the most.
        while kept.payloads.len() > MOST || kept.bytes > kept.room {
            kept.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Which is the smallest one that has so many bytes.
    fn smallest(&self, bytes: usize) -> usize {
        self.payloads.partition_point(|payload| payload.capacity() < bytes)
    }

    fn remove(&mut self, at: usize) -> Vec<u8> {
        let payload = self.payloads.remove(at);
        self.bytes -= payload.capacity();
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capacities of what is kept in [`SMALL`]s, in order.
    fn kept(spares: &Spares) -> Vec<usize> {
        let kept = spares.lock();
        assert_eq!(kept.bytes, kept.payloads.iter().map(Vec::capacity).sum::<usize>());
        kept.payloads.iter().map(|payload| payload.capacity() / SMALL).collect()
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
        assert_eq!(kept(&spares), [1], "small ones are not kept");
        assert_eq!(format!("{spares:?}"), "Spares { payloads: 1, bytes: 64, room: 640 }");
        assert_eq!((spares.take(8).capacity(), kept(&spares)), (SMALL, vec![]));
        assert_eq!(spares.take(8).capacity(), SMALL, "a new one that can be kept");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room() {
        let spares = Spares::default();
        put(&spares, [1]);
        assert!(kept(&spares).is_empty(), "there is none yet");
        spares.keep(2 * SMALL);
        spares.keep(3 * SMALL);
        put(&spares, [1, 2, 3]);
        assert_eq!(kept(&spares), [2, 3]);
        put(&spares, [6]);
        assert!(kept(&spares).is_empty(), "the largest went last, and was too large by itself");
        spares.keep(usize::MAX);
        put(&spares, 1..=MOST + 2);
        assert_eq!(kept(&spares), (3..=MOST + 2).collect::<Vec<_>>());
    }
}
