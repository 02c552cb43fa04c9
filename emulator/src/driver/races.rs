//! Races between streams: two pieces of work touch the same bytes, one of them writes, and neither waits for the other. Whether it
//! comes out in the order in which the work happened to be done is another matter.
//!
//! What comes before what is kept as vector clocks: each stream counts its work and knows how far it has to come after the others,
//! by events, and by what the host had waited for when it put work in line. That is known as soon as work is put in line, whenever
//! it is done. All threads of the host count as one, and launches of a graph as one after the other, which may hide a race. One is
//! made up only where memory is given back after a stream was destroyed for which the host had not waited. What is kept grows with
//! a run: this is for short ones. (The way is FastTrack's: Flanagan and Freund, 2009.)

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// How far each stream has come, as far as somebody knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(BTreeMap<usize, u64>);

impl Clock {
    fn join(&mut self, other: &Clock) {
        for (stream, number) in &other.0 {
            let mine = self.0.entry(*stream).or_default();
            *mine = (*mine).max(*number);
        }
    }

    fn holds(&self, other: &Clock) -> bool {
        other.0.iter().all(|(stream, number)| self.0.get(stream).is_some_and(|mine| mine >= number))
    }

    fn knows(&self, piece: Piece) -> bool {
        self.0.get(&piece.stream).is_some_and(|number| *number >= piece.number)
    }
}

/// A piece of work: the stream, and which of its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Piece {
    stream: usize,
    number: u64,
}

/// Where a piece of work stands in line, and what comes before it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    piece: Piece,
    after: Clock,
}

/// Who touched a byte: the last that wrote it, and those that have read it since, but for those that come before another of them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Touched {
    write: Option<Piece>,
    reads: Vec<Piece>,
}

/// What work does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// What is kept of all work so far.
#[derive(Default)]
pub(super) struct Races {
    host: Clock,
    /// What comes after all that is in line, and what has been done.
    streams: BTreeMap<usize, Clock>,
    done: BTreeMap<usize, Clock>,
    /// By event and by how often it had been recorded.
    events: BTreeMap<(usize, u64), Clock>,
    /// An event that was recorded too early as a mistake, and what it should have stood for.
    early: Option<((usize, u64), Clock)>,
    /// Streams that do not wait for as much as they should, as a mistake. It is one only if they know less when work that reads is put there next.
    missing: Vec<(usize, Clock)>,
    /// Whether a mistake has made a difference to what comes before what.
    mistaken: bool,
    names: HashMap<Piece, String>,
    /// For each byte of each buffer, by its address, which of `states` it is in; nobody has touched those in the first.
    bytes: BTreeMap<u64, Vec<u32>>,
    states: Vec<Touched>,
    numbers: HashMap<Touched, u32>,
}

impl Races {
    /// A piece of work is put in line, which may read memory of a device or not.
    pub fn put(&mut self, stream: usize, reads: bool, name: impl Into<String>) -> Standing {
        let clock = self.streams.entry(stream).or_default();
        clock.join(&self.host);
        let number = clock.0.entry(stream).or_default();
        *number += 1;
        let piece = Piece { stream, number: *number };
        let after = clock.clone();
        if reads {
            self.mistaken |= self.missing.iter().any(|(by, known)| *by == stream && !after.holds(known));
            self.missing.retain(|(by, _)| *by != stream);
        }
        self.names.insert(piece, name.into());
        Standing { piece, after }
    }

    /// A piece of work has been done.
    pub fn done(&mut self, standing: Standing) {
        self.done.insert(standing.piece.stream, standing.after);
    }

    /// An event is put in line, for so many times.
    pub fn record(&mut self, stream: usize, event: usize, count: u64) {
        let clock = self.streams.entry(stream).or_default().clone();
        self.events.insert((event, count), clock);
    }

    /// As a mistake it is put before all that is in line.
    pub fn record_early(&mut self, stream: usize, event: usize, count: u64) {
        let clock = self.streams.entry(stream).or_default().clone();
        self.early = Some(((event, count), clock));
        let done = self.done.entry(stream).or_default().clone();
        self.events.insert((event, count), done);
    }

    /// What is put in line from here on waits for an event; by the host or on a stream.
    pub fn wait(&mut self, by: Option<usize>, event: usize, count: u64) {
        let Some(known) = self.events.get(&(event, count)) else { return };
        match by {
            Some(stream) => self.streams.entry(stream).or_default().join(known),
            None => self.host.join(known),
        }
    }

    /// Whether that is known without waiting.
    pub fn is_known(&self, by: Option<usize>, event: usize, count: u64) -> bool {
        let mut mine = by.and_then(|stream| self.streams.get(&stream)).cloned().unwrap_or_default();
        // What the host knows counts for all that it puts in line.
        mine.join(&self.host);
        self.events.get(&(event, count)).is_none_or(|known| mine.holds(known))
    }

    /// Notes that a stream, or the host, does not wait for an event as it should: not at all, or because it was recorded too early.
    pub fn miss(&mut self, by: Option<usize>, event: usize, count: u64) {
        let early = self.early.as_ref().filter(|(early, _)| *early == (event, count)).map(|(_, clock)| clock);
        let Some(known) = early.or_else(|| self.events.get(&(event, count))).cloned() else { return };
        match by {
            Some(stream) => self.missing.push((stream, known)),
            None => self.mistaken |= !self.host.holds(&known),
        }
    }

    /// Whether an event was recorded too early as a mistake.
    pub fn is_early(&self, event: usize, count: u64) -> bool {
        self.early.as_ref().is_some_and(|(early, _)| *early == (event, count))
    }

    /// Whether a mistake has made a difference, of which this has not told yet.
    pub fn mistaken(&mut self) -> bool {
        std::mem::take(&mut self.mistaken)
    }

    /// The host has waited for all that was in line on a stream.
    pub fn host_drained(&mut self, stream: usize) {
        if let Some(known) = self.streams.get(&stream) {
            self.host.join(known);
        }
    }

    /// Whether it had known of all of it.
    pub fn is_drained(&self, stream: usize) -> bool {
        self.streams.get(&stream).is_none_or(|known| self.host.holds(known))
    }

    /// A piece of work touches bytes of the buffer at `base`, which has `length`.
    ///
    /// # Errors
    /// If it races with another piece of work: what both are.
    pub fn touch(
        &mut self,
        Standing { piece, after }: &Standing,
        (base, length): (u64, usize),
        range: Range<usize>,
        access: Access,
    ) -> Result<(), String> {
        self.check(after, (base, length), range.clone(), access, &self.name(*piece))?;
        let mut at = range.start;
        while at < range.end {
            let (end, state) = self.run(base, at, range.end);
            let touched = match access {
                Access::Write => Touched { write: Some(*piece), reads: Vec::new() },
                Access::Read => {
                    let mut touched = self.states[state as usize].clone();
                    touched.reads.retain(|read| !after.knows(*read));
                    touched.reads.push(*piece);
                    touched
                }
            };
            let number = self.number(touched);
            if let Some(bytes) = self.bytes.get_mut(&base) {
                bytes[at..end].fill(number);
            }
            at = end;
        }
        Ok(())
    }

    /// The host gives a buffer back, or writes it.
    ///
    /// # Errors
    /// If it has not waited for work that touches it.
    pub fn host_takes(&mut self, (base, length): (u64, usize), what: &str) -> Result<(), String> {
        let known = self.host.clone();
        self.check(&known, (base, length), 0..length, Access::Write, what)?;
        self.bytes.remove(&base);
        Ok(())
    }

    /// Whether who knows so much may touch these bytes.
    fn check(
        &mut self,
        known: &Clock,
        (base, length): (u64, usize),
        range: Range<usize>,
        access: Access,
        who: &str,
    ) -> Result<(), String> {
        if self.states.is_empty() {
            self.number(Touched::default());
        }
        self.bytes.entry(base).or_insert_with(|| vec![0; length]);
        let mut at = range.start;
        while at < range.end {
            let (end, state) = self.run(base, at, range.end);
            let Touched { write, reads } = &self.states[state as usize];
            let reads = if access == Access::Write { &reads[..] } else { &[] };
            if let Some(other) = write.iter().chain(reads).find(|other| !known.knows(**other)) {
                let (verb, has) = match (access, write == &Some(*other)) {
                    (Access::Read, _) => ("reads", "writes"),
                    (Access::Write, true) => ("writes", "writes"),
                    (Access::Write, false) => ("writes", "reads"),
                };
                let (address, other) = (base + at as u64, self.name(*other));
                return Err(format!(
                    "race: {who} {verb} {} bytes at {address:#x}, which {other} {has}, and does not wait for it",
                    end - at
                ));
            }
            at = end;
        }
        Ok(())
    }

    /// The end of the bytes from `at` on that are in the same state, and that.
    fn run(&self, base: u64, at: usize, end: usize) -> (usize, u32) {
        let bytes = self.bytes.get(&base).map_or(&[][..], |bytes| &bytes[at..end]);
        let state = bytes.first().copied().unwrap_or_default();
        let same = bytes.iter().take_while(|other| **other == state).count();
        (if same == 0 { end } else { at + same }, state)
    }

    fn number(&mut self, touched: Touched) -> u32 {
        if let Some(number) = self.numbers.get(&touched) {
            return *number;
        }
        let number = self.states.len() as u32;
        self.states.push(touched.clone());
        self.numbers.insert(touched, number);
        number
    }

    fn name(&self, piece: Piece) -> String {
        let name = self.names.get(&piece).map_or("work", String::as_str);
        format!("{name} (piece {} of stream {:#x})", piece.number, piece.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: (u64, usize) = (0x1000, 64);

    /// A stream does something to bytes.
    fn work(races: &mut Races, stream: usize, range: Range<usize>, access: Access) -> Result<(), String> {
        let standing = races.put(stream, true, format!("work of {stream}"));
        let touched = races.touch(&standing, BUFFER, range, access);
        races.done(standing);
        touched
    }

    #[test]
    fn a_stream_has_no_race_with_itself() {
        let mut races = Races::default();
        for access in [Access::Write, Access::Read, Access::Write, Access::Write] {
            assert_eq!(work(&mut races, 1, 0..64, access), Ok(()));
        }
    }

    #[test]
    fn streams_race_where_one_writes() {
        for (first, second, raced) in [
            (Access::Write, Access::Read, true),
            (Access::Read, Access::Write, true),
            (Access::Write, Access::Write, true),
            (Access::Read, Access::Read, false),
        ] {
            let mut races = Races::default();
            work(&mut races, 1, 0..10, first).unwrap();
            assert_eq!(work(&mut races, 2, 10..20, second), Ok(()), "other bytes");
            assert_eq!(work(&mut races, 2, 9..12, second).is_err(), raced, "{first:?}, {second:?}");
        }
    }

    #[test]
    fn events_order_streams_as_far_as_they_were_recorded() {
        let mut races = Races::default();
        work(&mut races, 1, 0..10, Access::Write).unwrap();
        races.record(1, 7, 1);
        work(&mut races, 1, 10..20, Access::Write).unwrap();
        races.record(1, 7, 2);
        races.wait(Some(2), 7, 1);
        assert_eq!(work(&mut races, 2, 0..10, Access::Read), Ok(()));
        let found = work(&mut races, 2, 8..12, Access::Read).unwrap_err();
        let wanted = "race: work of 2 (piece 2 of stream 0x2) reads 2 bytes at 0x100a, which work of 1 (piece 2";
        assert!(found.starts_with(wanted), "{found}");
        assert!(!races.is_known(Some(2), 7, 2));
        races.wait(Some(2), 7, 2);
        assert!(races.is_known(Some(2), 7, 2));
        assert_eq!(work(&mut races, 2, 8..12, Access::Read), Ok(()));
        // By way of another stream.
        races.record(2, 8, 1);
        races.wait(Some(3), 8, 1);
        assert_eq!(work(&mut races, 3, 0..64, Access::Write), Ok(()));
    }

    #[test]
    fn mistakes_are_told_where_they_make_a_difference() {
        let mut races = Races::default();
        work(&mut races, 1, 0..10, Access::Write).unwrap();
        let standing = races.put(1, true, "in line");
        races.record_early(1, 7, 1);
        races.touch(&standing, BUFFER, 10..20, Access::Write).unwrap();
        races.done(standing);
        races.record(1, 8, 1);
        assert!(races.is_early(7, 1) && !races.is_early(8, 1));
        races.wait(Some(2), 7, 1);
        races.miss(Some(2), 7, 1);
        assert!(!races.mistaken(), "nothing is in line behind it");
        assert_eq!(work(&mut races, 2, 0..10, Access::Read), Ok(()));
        assert!(races.mistaken() && !races.mistaken());
        assert!(work(&mut races, 2, 10..20, Access::Read).is_err());
        // One that is left out, and made up for before anything else is in line.
        races.miss(Some(3), 8, 1);
        races.wait(Some(3), 8, 1);
        assert_eq!(work(&mut races, 3, 10..20, Access::Read), Ok(()));
        assert!(!races.mistaken());
        races.miss(None, 8, 1);
        assert!(races.mistaken(), "the host goes on at once");
    }

    #[test]
    fn all_that_have_read_are_waited_for() {
        let mut races = Races::default();
        work(&mut races, 1, 0..10, Access::Read).unwrap();
        work(&mut races, 2, 0..10, Access::Read).unwrap();
        races.record(2, 7, 1);
        races.wait(Some(3), 7, 1);
        assert!(work(&mut races, 3, 0..10, Access::Write).unwrap_err().contains("which work of 1"));
        races.record(1, 8, 1);
        races.wait(Some(3), 8, 1);
        assert_eq!(work(&mut races, 3, 0..10, Access::Write), Ok(()));
    }

    #[test]
    fn the_host_orders_what_it_puts_in_line_later() {
        let mut races = Races::default();
        work(&mut races, 1, 0..10, Access::Write).unwrap();
        let early = races.put(2, true, "put in line before");
        assert!(races.host_takes(BUFFER, "the host").is_err() && !races.is_drained(1));
        races.host_drained(1);
        assert!(races.is_drained(1) && races.touch(&early, BUFFER, 0..1, Access::Read).is_err());
        assert_eq!(work(&mut races, 2, 0..1, Access::Read), Ok(()));
        assert!(races.host_takes(BUFFER, "the host").unwrap_err().contains("which work of 2"));
        races.record(2, 7, 1);
        races.wait(None, 7, 1);
        assert_eq!(races.host_takes(BUFFER, "the host"), Ok(()));
    }
}
