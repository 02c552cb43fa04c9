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

impl Who {
    #[inline]
    fn tag(self, epoch: u32) -> Tag {
        u64::from(epoch) << 32 | u64::from(self.warp_epoch << WARP_EPOCH | self.thread)
    }
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

#[derive(Clone, Copy, Debug, Default)]
struct Word {
    tags: Tags,
    /// Where its bytes have tags of their own, from 1; 0 if they have not.
    split: u32,
    /// Bits of the bytes that are written, and above them of those with a copy in flight.
    state: u8,
}

const WRITTEN: u8 = 0xf;

#[derive(Debug)]
pub(crate) struct Shared {
    bytes: Vec<u8>,
    words: Vec<Word>,
    splits: Vec<[Tags; 4]>,
    free: Vec<u32>,
    /// Counts barriers, over all blocks.
    epoch: u32,
}

impl Shared {
    pub fn new(bytes: usize) -> Shared {
        let count = bytes.div_ceil(4);
        let words = vec![Word::default(); count];
        Shared { bytes: vec![0; 4 * count], words, splits: Vec::new(), free: Vec::new(), epoch: 1 }
    }

    /// A new block: nothing is written.
    pub fn clear(&mut self) {
        self.bytes.fill(0xcd);
        self.words.iter_mut().for_each(|w| w.state = 0);
        self.barrier();
    }

    /// All threads of the block have met.
    pub fn barrier(&mut self) {
        self.epoch = self.epoch.checked_add(1).unwrap_or_else(|| {
            // Tags of the first epochs must not come alive again.
            self.words.iter_mut().for_each(|w| w.tags = Tags::default());
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
        if (start | bytes) & 3 != 0 {
            return self.touch_parts(start, bytes, touch, who);
        }
        let (epoch, mine) = (self.epoch, who.tag(self.epoch));
        for (i, word) in self.words[start / 4..(start + bytes) / 4].iter_mut().enumerate() {
            // The usual cases, in short: all bytes are written, or will be, and no tag of this epoch is in the way.
            let old_write = (word.tags.write >> 32) as u32 != epoch;
            if word.split == 0 && old_write && touch == Touch::Read && word.state == WRITTEN {
                word.tags.read = merged(word.tags.read, mine);
                continue;
            }
            let old_read = (word.tags.read >> 32) as u32 != epoch;
            if word.split == 0 && old_write && old_read && touch == Touch::Write && word.state <= WRITTEN {
                (word.tags.write, word.state) = (mine, WRITTEN);
                continue;
            }
            self.touch_word(start / 4 + i, WRITTEN, touch, who)?;
            return self.touch(start + 4 * (i + 1), bytes - 4 * (i + 1), touch, who);
        }
        Ok(())
    }

    /// An access that is not of whole words.
    fn touch_parts(&mut self, start: usize, bytes: usize, touch: Touch, who: Who) -> Result<(), Fault> {
        let (mut at, end) = (start, start + bytes);
        while at < end {
            let (word, stop) = (at / 4, end.min((at | 3) + 1));
            let mask = (WRITTEN << (at & 3)) & (WRITTEN >> (3 - ((stop - 1) & 3)));
            self.touch_word(word, mask, touch, who)?;
            at = stop;
        }
        Ok(())
    }

    fn touch_word(&mut self, at: usize, mask: u8, touch: Touch, who: Who) -> Result<(), Fault> {
        let word = &mut self.words[at];
        let flying = (word.state >> 4) & mask;
        if flying != 0 {
            return Err(Fault::InFlight(4 * at as u32 + flying.trailing_zeros()));
        }
        if touch == Touch::Write {
            word.state |= mask;
        } else if word.state & mask != mask {
            let byte = 4 * at as u64 + u64::from((!word.state & mask).trailing_zeros());
            return Err(Fault::Uninitialised { space: "shared", address: byte });
        }
        if mask == WRITTEN && word.split == 0 {
            return record(&mut word.tags, touch, who, self.epoch, 4 * at as u32);
        }
        self.touch_bytes(at, mask, touch, who)
    }

    fn touch_bytes(&mut self, at: usize, mask: u8, touch: Touch, who: Who) -> Result<(), Fault> {
        let word = &mut self.words[at];
        if word.split == 0 {
            let tags = [word.tags; 4];
            word.split = self.free.pop().unwrap_or_else(|| {
                self.splits.push(tags);
                self.splits.len() as u32
            });
            self.splits[word.split as usize - 1] = tags;
        }
        let tags = &mut self.splits[word.split as usize - 1];
        for (byte, tags) in tags.iter_mut().enumerate().filter(|(byte, _)| mask >> byte & 1 != 0) {
            record(tags, touch, who, self.epoch, (4 * at + byte) as u32)?;
        }
        if mask == WRITTEN {
            let current = |tag: Tag| if (tag >> 32) as u32 == self.epoch { tag } else { 0 };
            let alike = tags.map(|t| Tags { write: current(t.write), read: current(t.read) });
            if alike.iter().all(|t| *t == alike[0]) {
                self.free.push(word.split);
                (word.tags, word.split) = (alike[0], 0);
            }
        }
        Ok(())
    }

    /// Marks bytes as the target of a copy that has not landed.
    pub fn copy_starts(&mut self, start: usize, bytes: usize, who: Who) -> Result<(), Fault> {
        self.touch(start, bytes, Touch::Write, who)?;
        for word in start / 4..(start + bytes) / 4 {
            self.words[word].state = WRITTEN << 4;
        }
        Ok(())
    }

    /// The copy lands: from now on the bytes are there for the thread that waited.
    pub fn copy_lands(&mut self, start: usize, content: &[u8], who: Who) -> Result<(), Fault> {
        for word in start / 4..(start + content.len()) / 4 {
            self.words[word].state = 0;
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
    let differ = tag ^ mine;
    if differ >> 32 != 0 {
        mine
    } else if tag & WARPS != 0 || differ & THREAD >= 32 {
        tag | WARPS
    } else if differ >> WARP_EPOCH != 0 {
        mine
    } else if differ & THREAD != 0 {
        tag | LANES
    } else {
        tag
    }
}

#[inline]
fn record(tags: &mut Tags, touch: Touch, who: Who, epoch: u32, byte: u32) -> Result<(), Fault> {
    let mine = who.tag(epoch);
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
