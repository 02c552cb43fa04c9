//! Who does what when, simulated or measured, and what that time is spent on.
//!
//! The *way* of a run is the chain of computations and messages that it waits for, followed back from its end. What lies
//! on it adds up to the whole time, so a line's part of it is what the run is longer for that line.

use std::collections::BTreeMap;

use crate::plan::{Party, Plan};
use crate::span::Span;

/// What a party does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Takes the shares of its inputs, when the first party has all of its own already.
    Inputs,
    /// Runs a step, by its position in the round.
    Step(usize),
    /// Packs what it sends in the round.
    Pack,
    /// Waits for a piece of the round's message from a party, by its number.
    Wait(Party, usize),
    /// Unpacks it.
    Unpack(Party),
}

/// A party's doing, in seconds from the start of the first round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// What.
    pub what: What,
    /// In which round.
    pub round: usize,
    /// From when.
    pub start: f64,
    /// Until when.
    pub end: f64,
}

impl Slice {
    /// Seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.end - self.start
    }

    /// Whether it is time that the party waits.
    #[must_use]
    pub fn is_wait(&self) -> bool {
        matches!(self.what, What::Wait(..))
    }
}

/// A piece of a message between parties.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Message {
    /// Sender.
    pub from: Party,
    /// Receiver.
    pub to: Party,
    /// The round.
    pub round: usize,
    /// Its number among the pieces.
    pub piece: usize,
    /// Payload bytes.
    pub bytes: usize,
    /// When the sender handed it over.
    pub sent: f64,
    /// When the receiver could have it; measured: when it had taken it.
    pub arrived: f64,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Each party's doings, in order.
    pub slices: [Vec<Slice>; 3],
    /// All messages.
    pub messages: Vec<Message>,
}

/// Seconds of the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// A party computes, packs or unpacks.
    pub compute: f64,
    /// A message is on its way.
    pub network: f64,
}

impl Spent {
    /// Both.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.compute + self.network
    }
}

/// What a run's time is spent on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// From the start of the first round to the end of the last.
    pub seconds: f64,
    /// The part of it in which the way is at a party.
    pub compute: f64,
    /// The part of it in which it is between two.
    pub network: f64,
    /// The way by expression.
    pub lines: BTreeMap<Option<Span>, Spent>,
    /// The way by round.
    pub rounds: Vec<Spent>,
    /// Each party's seconds at work, and waiting until its own end.
    pub parties: [(f64, f64); 3],
}

/// A piece of the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece {
    /// A party's slice (party, index).
    At(Party, usize),
    /// A message (index), from when it was handed over until the receiver went on.
    Between(usize),
}

impl Timeline {
    /// Seconds until the last party is done.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.slices.iter().filter_map(|slices| slices.last()).map(|slice| slice.end).fold(0.0, f64::max)
    }

    /// The way, from its end to its start, each piece with its seconds.
    #[must_use]
    pub fn way(&self) -> Vec<(Piece, f64)> {
        let by_key: BTreeMap<(usize, Party, Party, usize), usize> =
            self.messages.iter().enumerate().map(|(at, m)| ((m.round, m.from, m.to, m.piece), at)).collect();
        let mut way = Vec::new();
        let end = |party: Party| self.slices[party.index()].last().map_or(0.0, |slice| slice.end);
        let Some(mut party) = Party::ALL.into_iter().max_by(|a, b| end(*a).total_cmp(&end(*b))) else { return way };
        let mut now = end(party);
        let mut at = self.slices[party.index()].len();
        while let Some(before) = at.checked_sub(1) {
            at = before;
            let slice = &self.slices[party.index()][at];
            match slice.what {
                What::Wait(from, piece) if slice.seconds() > 0.0 => {
                    let Some(number) = by_key.get(&(slice.round, from, party, piece)) else { continue };
                    let sent = self.messages[*number].sent.min(now);
                    way.push((Piece::Between(*number), now - sent));
                    now = sent;
                    party = from;
                    at = self.slices[party.index()].partition_point(|slice| slice.end <= now);
                }
                What::Wait(..) => {}
                // What lies between two slices is the earlier one's.
                What::Inputs | What::Step(_) | What::Pack | What::Unpack(_) => {
                    way.push((Piece::At(party, at), now - slice.start));
                    now = slice.start;
                }
            }
        }
        way
    }

    /// What the time is spent on.
    #[must_use]
    pub fn summary(&self, plan: &Plan) -> Summary {
        let mut summary = Summary {
            seconds: self.seconds(),
            rounds: vec![Spent::default(); plan.rounds.len()],
            ..Summary::default()
        };
        for (piece, seconds) in self.way() {
            let (round, add): (usize, fn(&mut Spent, f64)) = match piece {
                Piece::At(party, at) => {
                    summary.compute += seconds;
                    (self.slices[party.index()][at].round, |spent, seconds| spent.compute += seconds)
                }
                Piece::Between(number) => {
                    summary.network += seconds;
                    (self.messages[number].round, |spent, seconds| spent.network += seconds)
                }
            };
            add(&mut summary.rounds[round], seconds);
            for (span, part) in self.served(plan, piece) {
                add(summary.lines.entry(span).or_default(), seconds * part);
            }
        }
        for (party, slices) in summary.parties.iter_mut().zip(&self.slices) {
            for slice in slices {
                *(if slice.is_wait() { &mut party.1 } else { &mut party.0 }) += slice.seconds();
            }
        }
        summary
    }

    /// The expressions that a piece serves, with their parts of it, which add up to 1.
    fn served(&self, plan: &Plan, piece: Piece) -> Vec<(Option<Span>, f64)> {
        match piece {
            Piece::At(party, at) => served(plan, party, &self.slices[party.index()][at]),
            Piece::Between(number) => {
                let message = &self.messages[number];
                sent(plan, message.round, |from, to| from == message.from && to == message.to)
            }
        }
    }
}

/// The expressions that a party's slice serves, with their parts of it, which add up to 1.
#[must_use]
pub fn served(plan: &Plan, party: Party, slice: &Slice) -> Vec<(Option<Span>, f64)> {
    match slice.what {
        What::Inputs => vec![(None, 1.0)],
        What::Step(step) => vec![(plan.rounds[slice.round].steps[step].span, 1.0)],
        What::Pack => sent(plan, slice.round, |from, _| from == party),
        What::Wait(from, _) | What::Unpack(from) => sent(plan, slice.round, |f, t| f == from && t == party),
    }
}

/// The expressions of transfers, by bytes.
fn sent(plan: &Plan, round: usize, of: impl Fn(Party, Party) -> bool) -> Vec<(Option<Span>, f64)> {
    let mut bytes: BTreeMap<Option<Span>, f64> = BTreeMap::new();
    for send in plan.rounds[round].sends.iter().filter(|send| of(send.from, send.to)) {
        *bytes.entry(send.span).or_default() += plan.buf(send.source).wire_bytes() as f64;
    }
    let all: f64 = bytes.values().sum();
    let part = |bytes: f64| if all > 0.0 { bytes / all } else { 0.0 };
    bytes.into_iter().map(|(span, bytes)| (span, part(bytes))).collect()
}
