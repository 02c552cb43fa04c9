//! What was handed over before, by the words that describe it, each with what has been made of it since.

use std::collections::HashMap;

/// Descriptions of at most so many words, with what was made of them.
///
/// When there is no room for another, those go that neither this run nor the last one had: of plans whose tables or messages
/// lie elsewhere since.
pub(super) struct Known<T> {
    all: HashMap<Box<[u64]>, Entry<T>>,
    /// Words of all these.
    words: usize,
    most: usize,
    /// The number of the run, and of the one in which old ones went last.
    run: u64,
    swept: u64,
}

struct Entry<T> {
    made: Made<T>,
    /// The last run that had it.
    run: u64,
}

/// What was made of a description.
enum Made<T> {
    /// It came once.
    Nothing,
    It(T),
    /// It cannot be made.
    Never,
}

impl<T> Known<T> {
    /// Nothing is known.
    pub(super) fn new(most: usize) -> Known<T> {
        Known { all: HashMap::new(), words: 0, most, run: 1, swept: 0 }
    }

    /// Another run begins.
    pub(super) fn next_run(&mut self) {
        self.run += 1;
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.words = 0;
        self.swept = 0;
    }

    /// What was made of a description, or is made now as it comes again. `make` says `None` where that cannot be done, and is
    /// not asked again.
    ///
    /// # Errors
    /// That of `make`.
    pub(super) fn get<E>(
        &mut self,
        words: &[u64],
        make: impl FnOnce() -> Result<Option<T>, E>,
    ) -> Result<Option<&T>, E> {
        if !self.note(words) {
            return Ok(None);
        }
        let Some(entry) = self.all.get_mut(words) else { return Ok(None) };
        if matches!(entry.made, Made::Nothing) {
            entry.made = make()?.map_or(Made::Never, Made::It);
        }
        Ok(match &entry.made {
            Made::It(it) => Some(it),
            Made::Nothing | Made::Never => None,
        })
    }

    /// Whether a description came before; from now on it did, if there is room.
    fn note(&mut self, words: &[u64]) -> bool {
        if let Some(entry) = self.all.get_mut(words) {
            entry.run = self.run;
            return true;
        }
        if self.words + words.len() > self.most && self.swept != self.run {
            self.swept = self.run;
            let run = self.run;
            self.all.retain(|_, entry| entry.run + 1 >= run);
            self.words = self.all.keys().map(|words| words.len()).sum();
        }
        if self.words + words.len() <= self.most {
            self.words += words.len();
            self.all.insert(words.into(), Entry { made: Made::Nothing, run: self.run });
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// What is made of a description of ten words that begins like this, with how often something was made by now.
    fn ask(known: &mut Known<u64>, first: u64, made: &mut usize) -> Option<u64> {
        let make = || {
            *made += 1;
            Ok::<_, Infallible>(Some(first))
        };
        known.get(&[first; 10], make).unwrap().copied()
    }

    #[test]
    fn what_comes_again_is_made_once() {
        let (mut known, mut made) = (Known::new(100), 0);
        assert_eq!([1, 1, 1, 2].map(|first| ask(&mut known, first, &mut made)), [None, Some(1), Some(1), None]);
        assert_eq!(made, 1);
        known.clear();
        assert_eq!([1, 1].map(|first| ask(&mut known, first, &mut made)), [None, Some(1)]);
        assert_eq!(made, 2);
    }

    #[test]
    fn what_cannot_be_made_is_not_tried_again_and_errors_are_told() {
        let mut known: Known<u64> = Known::new(100);
        let never = |known: &mut Known<u64>| known.get(&[7], || Ok::<_, &str>(None)).unwrap().copied();
        assert_eq!([never(&mut known), never(&mut known)], [None, None]);
        assert_eq!(known.get(&[7], || Err("tried again")), Ok(None));
        assert_eq!(known.get(&[8], || Err("at once")), Ok(None));
        assert_eq!(known.get(&[8], || Err("a failure")), Err("a failure"));
        assert_eq!(known.get(&[8], || Ok::<_, &str>(Some(8))), Ok(Some(&8)));
    }

    #[test]
    fn old_ones_make_room_and_those_in_use_do_not() {
        let (mut known, mut made) = (Known::new(100), 0);
        // A plan with more than there is room for keeps what it has.
        for _ in 0..3 {
            let _made: Vec<_> = (0..12).map(|first| ask(&mut known, first, &mut made)).collect();
            known.next_run();
        }
        assert_eq!((made, known.words), (10, 100));
        // Then other memory is used: all are others.
        for run in 0..3 {
            let found: Vec<_> = (20..30).map(|first| ask(&mut known, first, &mut made)).collect();
            // The last run may still have its ones in the first.
            assert_eq!(found.iter().all(Option::is_some), run == 2, "{run}: {found:?}");
            known.next_run();
        }
        assert_eq!((made, known.words), (20, 100));
    }
}
