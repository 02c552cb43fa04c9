//! Shared memory of a block, and who touched it since the last barrier.
//!
//! Every word of four bytes has a tag for the last write and one for the last reads. A tag is out of date once the
//! block has passed a barrier; within a warp, once the warp has ordered its accesses. Words whose bytes are touched
//! one by one have tags for each byte, until they are touched as a whole again.

use crate::error::Fault;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Read,
    Write,
    Atomic,
}

/// Who touches memory: a thread, and how often its warp has ordered its accesses since the last barrier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub thread: u32,
    pub warp_epoch: u32,
}

/// The block's epoch in the upper half; below the warp's epoch, flags and the thread.
type Tag = u64;

const THREAD: u64 = 0x3ff;
const ATOMIC: u64 = 1 << 10;
/// Other lanes of the warp, too.
const LANES: u64 = 1 << 11;
/// Other warps, too.
const WARPS: u64 = 1 << 12;
const WARP_EPOCH: u32 = 13;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tags {
    write: Tag,
    read: Tag,
}

#[derive(Debug)]
pub(crate) struct Shared {
    bytes: Vec<u8>,
    tags: Vec<Tags>,
    /// For words with tags for each byte: where those are, from 1.
    split: Vec<u32>,
    splits: Vec<[Tags; 4]>,
    free: Vec<u32>,
    /// For each word: bits of the bytes that are written, and above them of those with a copy in flight.
    states: Vec<u8>,
    /// Counts barriers, over all blocks.
    epoch: u32,
}

impl Shared {
    pub fn new(bytes: usize) -> Shared {
        let words = bytes.div_ceil(4);
        Shared {
            bytes: vec![0; 4 * words],
            tags: vec![Tags::default(); words],
            split: vec![0; words],
            splits: Vec::new(),
            free: Vec::new(),
            states: vec![0; words],
            epoch: 1,
        }
    }

    /// A new block: nothing is written.
    pub fn clear(&mut self) {
        self.bytes.fill(0xcd);
        self.states.fill(0);
        self.barrier();
    }

    /// All threads of the block have met.
    pub fn barrier(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or_else(|| {
            // Tags of the first epochs must not come alive again.
            self.tags.fill(Tags::default());
            self.splits.fill([Tags::default(); 4]);
            2
        });
    }

    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Checks and records an access. The caller has checked that the bytes are there.
    #[inline]
    pub fn touch(&mut self, start: usize, bytes: usize, touch: Touch, who: Who) -> Result<(), Fault> {
        let (mut at, end) = (start, start + bytes);
        while at < end {
            let (word, stop) = (at / 4, end.min((at | 3) + 1));
            let mask = (0xf_u8 << (at & 3)) & (0xf >> (3 - ((stop - 1) & 3)));
            self.touch_word(word, mask, touch, who)?;
            at = stop;
        }
        Ok(())
    }

    #[inline]
    fn touch_word(&mut self, word: usize, mask: u8, touch: Touch, who: Who) -> Result<(), Fault> {
        let state = self.states[word];
        if (state >> 4) & mask != 0 {
            return Err(Fault::InFlight(4 * word as u32 + ((state >> 4) & mask).trailing_zeros()));
        }
        if touch == Touch::Write {
            self.states[word] |= mask;
        } else if state & mask != mask {
            let byte = 4 * word as u64 + u64::from((!state & mask).trailing_zeros());
            return Err(Fault::Uninitialised { space: "shared", address: byte });
        }
        if mask == 0xf && self.split[word] == 0 {
            let byte = 4 * word as u32;
            return record(&mut self.tags[word], touch, who, self.epoch, byte);
        }
        self.touch_bytes(word, mask, touch, who)
    }

    fn touch_bytes(&mut self, word: usize, mask: u8, touch: Touch, who: Who) -> Result<(), Fault> {
        if self.split[word] == 0 {
            let tags = [self.tags[word]; 4];
            let at = self.free.pop().unwrap_or_else(|| {
                self.splits.push(tags);
                self.splits.len() as u32
            });
            self.split[word] = at;
            self.splits[at as usize - 1] = tags;
        }
        let at = self.split[word];
        let tags = &mut self.splits[at as usize - 1];
        for (byte, tags) in tags.iter_mut().enumerate().filter(|(byte, _)| mask >> byte & 1 != 0) {
            record(tags, touch, who, self.epoch, (4 * word + byte) as u32)?;
        }
        if mask == 0xf {
            let current = |tag: Tag| if (tag >> 32) as u32 == self.epoch { tag } else { 0 };
            let alike = tags.map(|t| Tags { write: current(t.write), read: current(t.read) });
            if alike.iter().all(|t| *t == alike[0]) {
                self.tags[word] = alike[0];
                self.split[word] = 0;
                self.free.push(at);
            }
        }
        Ok(())
    }

    /// Marks bytes as the target of a copy that has not landed.
    pub fn copy_starts(&mut self, start: usize, bytes: usize, who: Who) -> Result<(), Fault> {
        self.touch(start, bytes, Touch::Write, who)?;
        for word in start / 4..(start + bytes) / 4 {
            self.states[word] = 0xf0;
        }
        Ok(())
    }

    /// The copy lands: from now on the bytes are there for the thread that waited.
    pub fn copy_lands(&mut self, start: usize, content: &[u8], who: Who) -> Result<(), Fault> {
        for word in start / 4..(start + content.len()) / 4 {
            self.states[word] = 0;
        }
        self.touch(start, content.len(), Touch::Write, who)?;
        self.bytes[start..start + content.len()].copy_from_slice(content);
        Ok(())
    }

    #[inline]
    pub fn read(&self, start: usize, bytes: usize) -> u64 {
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(&self.bytes[start..start + bytes]);
        u64::from_le_bytes(value)
    }

    #[inline]
    pub fn write(&mut self, start: usize, bytes: usize, value: u64) {
        self.bytes[start..start + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    }
}

/// Whether an access by somebody else, not ordered before this one, is behind a tag.
#[inline]
fn conflicts(tag: Tag, epoch: u32, who: Who) -> bool {
    if (tag >> 32) as u32 != epoch {
        return false;
    }
    let thread = (tag & THREAD) as u32;
    if tag & WARPS != 0 || thread / 32 != who.thread / 32 {
        return true;
    }
    let warp_epoch = (tag as u32) >> WARP_EPOCH;
    warp_epoch == who.warp_epoch & (u32::MAX >> WARP_EPOCH) && (tag & LANES != 0 || thread != who.thread)
}

/// The tag of an access that adds to those behind an older tag.
#[inline]
fn merged(tag: Tag, mine: Tag) -> Tag {
    if tag >> 32 != mine >> 32 {
        return mine;
    }
    let (older, newer) = ((tag & THREAD) / 32, (mine & THREAD) / 32);
    if tag & WARPS != 0 || older != newer {
        return mine | WARPS;
    }
    let same_epoch = (tag as u32) >> WARP_EPOCH == (mine as u32) >> WARP_EPOCH;
    if same_epoch && (tag & LANES != 0 || tag & THREAD != mine & THREAD) { mine | LANES } else { mine }
}

#[inline]
fn record(tags: &mut Tags, touch: Touch, who: Who, epoch: u32, byte: u32) -> Result<(), Fault> {
    let low = who.warp_epoch << WARP_EPOCH | who.thread;
    let mine = u64::from(epoch) << 32 | u64::from(low);
    let both_atomic = touch == Touch::Atomic && tags.write & ATOMIC != 0;
    if conflicts(tags.write, epoch, who) && !both_atomic {
        let how = if tags.write & ATOMIC != 0 { "updated it" } else { "wrote" };
        return Err(race(tags.write, how, touch, byte));
    }
    if touch == Touch::Read {
        tags.read = merged(tags.read, mine);
        return Ok(());
    }
    if conflicts(tags.read, epoch, who) {
        return Err(race(tags.read, "read", touch, byte));
    }
    tags.write = match touch {
        Touch::Atomic if tags.write & ATOMIC != 0 => merged(tags.write, mine | ATOMIC),
        Touch::Atomic => mine | ATOMIC,
        _ => mine,
    };
    Ok(())
}

#[cold]
fn race(tag: Tag, how: &str, touch: Touch, byte: u32) -> Fault {
    let several = if tag & (LANES | WARPS) != 0 { " and others" } else { "" };
    let now = match touch {
        Touch::Read => "reads",
        Touch::Write => "writes",
        Touch::Atomic => "updates it",
    };
    Fault::Race { byte, earlier: format!("thread {}{several} {how}", tag & THREAD), now }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(thread: u32, warp_epoch: u32) -> Who {
        Who { thread, warp_epoch }
    }

    #[test]
    fn accesses_by_others_must_be_ordered() {
        use Touch::{Atomic, Read, Write};
        // First access, second access, whether they race. A warp epoch of 1 follows the warp's ordering point.
        let table = [
            ((Write, who(0, 0)), (Read, who(0, 0)), false),
            ((Write, who(0, 0)), (Read, who(1, 0)), true),
            ((Write, who(0, 0)), (Read, who(1, 1)), false),
            ((Write, who(0, 0)), (Read, who(32, 1)), true),
            ((Write, who(0, 0)), (Write, who(1, 0)), true),
            ((Read, who(0, 0)), (Write, who(1, 0)), true),
            ((Read, who(0, 0)), (Write, who(0, 0)), false),
            ((Read, who(0, 0)), (Read, who(1, 0)), false),
            ((Atomic, who(0, 0)), (Atomic, who(33, 0)), false),
            ((Atomic, who(0, 0)), (Read, who(33, 0)), true),
            ((Atomic, who(0, 0)), (Write, who(1, 0)), true),
            ((Read, who(0, 0)), (Atomic, who(33, 0)), true),
        ];
        for bytes in [1, 4, 8] {
            for (first, second, races) in table {
                let mut shared = Shared::new(16);
                shared.clear();
                shared.touch(0, 16, Write, who(5, 0)).unwrap();
                shared.barrier();
                shared.touch(4, bytes, first.0, first.1).unwrap();
                let found = shared.touch(4, bytes, second.0, second.1);
                assert_eq!(found.is_err(), races, "{bytes} {first:?} {second:?}");
                shared.barrier();
                shared.touch(0, 16, second.0, second.1).unwrap();
            }
        }
    }

    #[test]
    fn several_readers_are_remembered() {
        for (others, races) in [(vec![0], false), (vec![0, 1], true), (vec![1, 0], true), (vec![40, 0], true)] {
            let mut shared = Shared::new(4);
            shared.touch(0, 4, Touch::Write, who(9, 0)).unwrap();
            shared.barrier();
            others.iter().for_each(|t| shared.touch(0, 4, Touch::Read, who(*t, 0)).unwrap());
            assert_eq!(shared.touch(0, 4, Touch::Write, who(0, 0)).is_err(), races, "{others:?}");
        }
    }

    #[test]
    fn bytes_of_a_word_are_apart() {
        let mut shared = Shared::new(8);
        for i in 0..8 {
            shared.touch(i, 1, Touch::Write, who(i as u32, 0)).unwrap();
        }
        assert!(shared.touch(0, 4, Touch::Read, who(0, 0)).is_err());
        shared.barrier();
        shared.touch(0, 8, Touch::Read, who(0, 0)).unwrap();
        assert_eq!(shared.free.len(), 2, "words that are touched as a whole need no tags for bytes");
    }

    #[test]
    fn bytes_never_written_and_bytes_in_flight() {
        let mut shared = Shared::new(32);
        assert!(matches!(shared.touch(0, 1, Touch::Read, who(0, 0)), Err(Fault::Uninitialised { address: 0, .. })));
        shared.copy_starts(16, 16, who(0, 0)).unwrap();
        assert_eq!(shared.touch(20, 4, Touch::Read, who(0, 0)), Err(Fault::InFlight(20)));
        assert_eq!(shared.touch(24, 4, Touch::Write, who(0, 0)), Err(Fault::InFlight(24)));
        shared.copy_lands(16, &[7; 16], who(0, 0)).unwrap();
        shared.touch(16, 16, Touch::Read, who(0, 0)).unwrap();
        assert_eq!(shared.read(20, 4), 0x0707_0707);
        assert!(shared.touch(16, 4, Touch::Read, who(32, 0)).is_err());
        shared.clear();
        assert!(shared.touch(16, 4, Touch::Read, who(0, 0)).is_err());
    }
}
