//! A party's memory: taken once for a plan, in large pages where the system has them.
//!
//! A launch needs some words to read and others to write at the same time: [`Memory::split`] hands them out, and refuses
//! words that are both.

use std::ops::Range;

use memmap2::MmapMut;
use smallvec::SmallVec;

use crate::backend::check::misfit;
use crate::backend::places::Places;
use crate::backend::{BUFFERS, BackendError, LESS};
use crate::plan::layout::Layout;
use crate::plan::program::ROOM;

/// Memory of so many bytes is worth large pages.
const LARGE: usize = 4 << 20;

/// Words of a launch's operands, or of its results.
pub(super) type Ranges = SmallVec<[Range<usize>; ROOM]>;

/// Places of buffers, and the words there.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub places: Places,
    map: Option<MmapMut>,
}

/// The words of a launch.
#[derive(Default)]
pub(super) struct Split<'m> {
    pub ins: SmallVec<[&'m [u64]; ROOM]>,
    pub outs: SmallVec<[&'m mut [u64]; ROOM]>,
}

impl Memory {
    /// Forgets all buffers and has room for others.
    pub(super) fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        let bytes = layout.bytes();
        let room = self.map.as_ref().map_or(0, |map| map.len() as u64);
        if bytes > room {
            self.map = None;
            let refused = |cause: String| {
                let cause = format!("{cause}; {LESS}");
                BackendError::Memory { bytes, what: BUFFERS, cause }
            };
            let size = usize::try_from(bytes).map_err(|error| refused(error.to_string()))?;
            let map = MmapMut::map_anon(size).map_err(|error| refused(error.to_string()))?;
            #[cfg(target_os = "linux")]
            if size >= LARGE {
                // Without them it is only slower.
                let _ = map.advise(memmap2::Advice::HugePage);
            }
            self.map = Some(map);
        }
        self.places.reset(layout);
        Ok(())
    }

    pub(super) fn words(&self) -> &[u64] {
        self.map.as_deref().map_or(&[], bytemuck::cast_slice)
    }

    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        self.map.as_deref_mut().map_or(&mut [], bytemuck::cast_slice_mut)
    }

    /// Words to read and words to write, to lists that are empty: those are too large to be handed back.
    pub(super) fn split<'m>(
        &'m mut self,
        ins: &[Range<usize>],
        outs: &[Range<usize>],
        split: &mut Split<'m>,
    ) -> Result<(), BackendError> {
        let mut order: SmallVec<[usize; ROOM]> = (0..outs.len()).collect();
        order.sort_unstable_by_key(|out| outs[*out].start);
        split.outs.extend(outs.iter().map(|_| &mut [][..]));
        // What lies between the results, with where it begins.
        let mut between: SmallVec<[(usize, &[u64]); ROOM + 1]> = SmallVec::new();
        let (mut rest, mut at) = (self.words_mut(), 0);
        for out in order {
            let Range { start, end } = outs[out].clone();
            if start < at {
                return misfit("words are written twice");
            }
            let (before, from) = rest.split_at_mut(start - at);
            let (words, behind) = from.split_at_mut(end - start);
            between.push((at, before));
            split.outs[out] = words;
            (rest, at) = (behind, end);
        }
        between.push((at, rest));
        for range in ins {
            let place = between.partition_point(|(start, _)| *start <= range.start) - 1;
            let (start, words) = between[place];
            match words.get(range.start - start..range.end - start) {
                Some(words) => split.ins.push(words),
                None => return misfit("words are written while they are in use"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Buf, BufId, Party};

    #[expect(clippy::single_range_in_vec_init, reason = "a list of ranges that may have one")]
    #[test]
    fn words_are_read_or_written() {
        let mut memory = Memory::default();
        memory.reserve(Layout::apart(&[Buf::ring(Party(0), 100, 64)])).unwrap();
        memory.words_mut().iter_mut().enumerate().for_each(|(at, word)| *word = at as u64);
        let mut split = |ins: &[Range<usize>], outs: &[Range<usize>]| {
            let mut split = Split::default();
            memory.split(ins, outs, &mut split).map_err(|e| e.to_string())?;
            Ok::<_, String>((split.ins.iter().map(|w| w.to_vec()).collect::<Vec<_>>(), split.outs.len()))
        };
        let got = split(&[8..10, 40..42, 8..9], &[50..60, 10..20]).unwrap();
        assert_eq!(got, (vec![vec![8, 9], vec![40, 41], vec![8]], 2));
        assert!(split(&[8..11], &[10..20]).is_err());
        assert!(split(&[19..21], &[10..20]).is_err());
        assert!(split(&[12..13], &[10..20]).is_err());
        assert!(split(&[], &[10..20, 19..30]).is_err());
        assert!(split(&[9..21], &[10..20]).is_err());
        assert_eq!(split(&[9..9], &[]).unwrap().0, [Vec::<u64>::new()]);
    }

    #[test]
    fn memory_is_used_again() {
        let mut memory = Memory::default();
        memory.reserve(Layout::apart(&[Buf::ring(Party(0), 100, 64)])).unwrap();
        let before = memory.words().as_ptr();
        memory.places.make(BufId(0)).unwrap();
        memory.places.find(BufId(0)).unwrap();
        memory.reserve(Layout::apart(&[Buf::ring(Party(0), 50, 64)])).unwrap();
        assert_eq!(memory.words().as_ptr(), before);
        assert!(matches!(memory.places.find(BufId(0)), Err(BackendError::Missing(BufId(0)))));
        assert!(matches!(memory.places.make(BufId(1)), Err(BackendError::Missing(BufId(1)))));
    }

    #[test]
    fn too_much_is_refused() {
        let layout = Layout::apart(&[Buf::ring(Party(0), usize::MAX / 64, 64), Buf::ring(Party(0), usize::MAX, 64)]);
        assert!(matches!(Memory::default().reserve(layout), Err(BackendError::Memory { .. })));
    }
}
