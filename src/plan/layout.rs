//! Where a party's buffers are in its memory, planned before anything runs: a device takes its memory once and never again.
//!
//! A buffer has its place from the action of the party's [`Course`] that writes it until the one that frees it.
//! Places are given in that order, each the lowest that is free and large enough (first fit). Inputs are there from the
//! beginning and lie the lower the longer they live, so that the memory of one that dies joins what is free above it; those of
//! which something is computed once lie above, in the order of these steps, whose results then fill them from below. Where that
//! takes more than what is live at once, places are given in two other orders, too, each the lowest that is free for as long as
//! the buffer lives: the largest first, and the largest of size squared by time, unless too many are live at once (`PAIRS`).
//! What takes least memory is chosen. That comes within a twentieth of what is live at once for the examples
//! (`tests/examples.rs`); [`cost::memory`](super::cost::memory) counts that.
//!
//! A result never takes the place of an operand of its own step. At no example's peak would that save anything: it
//! comes where products and convolutions are computed, whose operands are read until the end.
//!
//! Parts of a buffer are where they belong in it. What no plan tells is not checked here: whether a buffer is
//! written before it is read is `plan::verify`'s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;

use super::course::{Action, Course};
use super::kept::{factors, kept};
use super::passing::passing;
use super::{Buf, BufId, Party, Plan};

/// Places begin at multiples of so many words: a line of a cache.
const LINE: usize = 8;

/// A party's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    words: usize,
    /// The place of each buffer, by number.
    places: Vec<Option<Range<usize>>>,
    /// Which buffers need no words of their own ([`passing`]), by number; none when empty.
    passing: Vec<bool>,
    /// Which buffers serve in each run as a factor of one product ([`factors`](super::kept::factors)), by number; none when empty.
    factors: Vec<bool>,
}

impl Layout {
    /// The memory of a party; what is [`kept`](super::kept::kept) outlives the last round, for the next run, if there may be one.
    #[must_use]
    pub fn of(plan: &Plan, party: Party, again: bool) -> Layout {
        let kept = if again { kept(plan, party) } else { Vec::new() };
        let course = Course::of(plan, party);
        let passing = passing(plan, party, &course);
        let lives = lives(plan, party, &course, &kept);
        let live = Live::of(&plan.bufs, &lives);
        let mut layout = first_fit(plan, &lives);
        for weight in [by_size, by_size_and_time] {
            if layout.words > live.most.saturating_add(live.most / 64) && live.pairs <= PAIRS {
                let other = heaviest_first(&plan.bufs, &lives, weight);
                layout = if other.words < layout.words { other } else { layout };
            }
        }
        let factors = if again { factors(plan, party) } else { Vec::new() };
        layout.with_parts(&plan.bufs).with_passing(passing).with_factors(factors)
    }

    /// Every buffer for itself.
    #[must_use]
    pub fn apart(bufs: &[Buf]) -> Layout {
        let mut layout = Layout { places: vec![None; bufs.len()], ..Layout::default() };
        for (place, buf) in layout.places.iter_mut().zip(bufs).filter(|(_, buf)| buf.part.is_none()) {
            *place = Some(layout.words..layout.words.saturating_add(buf.words()));
            layout.words = layout.words.saturating_add(lines(buf.words()));
        }
        layout.with_parts(bufs)
    }

    /// Words in all.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.words as u64).saturating_mul(size_of::<u64>() as u64)
    }

    /// How many buffers the plan has.
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.places.len()
    }

    /// The words of a buffer; `None` when the party never has it.
    #[must_use]
    pub fn place(&self, id: BufId) -> Option<Range<usize>> {
        self.places.get(id.index()).cloned().flatten()
    }

    /// The same with these buffers, by number, needing no words of their own.
    #[must_use]
    pub fn with_passing(self, passing: Vec<bool>) -> Layout {
        Layout { passing, ..self }
    }

    /// Whether a buffer needs no words of its own ([`passing`]). It has a place all the same, for devices that need one.
    #[must_use]
    pub fn passes(&self, id: BufId) -> bool {
        self.passing.get(id.index()).is_some_and(|passes| *passes)
    }

    /// The same with these buffers, by number, being factors that stay.
    #[must_use]
    pub fn with_factors(self, factors: Vec<bool>) -> Layout {
        Layout { factors, ..self }
    }

    /// Whether a buffer is computed once for all runs, and read by one product in each and by nothing else.
    #[must_use]
    pub fn is_factor(&self, id: BufId) -> bool {
        self.factors.get(id.index()).is_some_and(|is| *is)
    }

    fn with_parts(mut self, bufs: &[Buf]) -> Layout {
        for (id, buf) in bufs.iter().enumerate() {
            let Some(part) = buf.part else { continue };
            let Some(whole) = self.place(part.of) else { continue };
            let start = whole.start.saturating_add(part.start);
            let end = start.saturating_add(buf.words());
            self.places[id] = (end <= whole.end).then_some(start..end);
        }
        self
    }
}

/// From when until when a buffer has its place, in actions of its party.
struct Life {
    id: BufId,
    /// 0: from the beginning.
    from: usize,
    /// The last one before which it may not be overwritten.
    until: usize,
    /// Whether it stays in spite of the plan.
    kept: bool,
}

impl Life {
    /// Words of whole lines.
    fn size(&self, bufs: &[Buf]) -> usize {
        lines(bufs[self.id.index()].words())
    }
}

/// The lives of a party's buffers with storage, in order of birth.
fn lives(plan: &Plan, party: Party, course: &Course, kept: &[BufId]) -> Vec<Life> {
    let is_kept = |id: BufId| kept.binary_search(&id).is_ok();
    let mut lives = Lives { bufs: &plan.bufs, party, all: Vec::new(), at: vec![None; plan.bufs.len()] };
    for input in &plan.inputs {
        input.bufs.map(|bufs| bufs[party.index()]).into_iter().for_each(|id| lives.begin(id, 0, is_kept(id)));
    }
    for (now, (number, action)) in (1..).zip(course.actions()) {
        match action {
            Action::Launch(_) => {
                for step in action.steps().iter().map(|at| &plan.rounds[number].steps[*at]) {
                    step.outs.iter().for_each(|id| lives.begin(*id, now, is_kept(*id)));
                    step.free.iter().for_each(|id| lives.end(*id, now));
                }
            }
            Action::Begin(_) | Action::Send(_) => {}
            Action::Receive(piece) => {
                let sends = piece.sends.iter().map(|at| &plan.rounds[piece.round].sends[*at]);
                sends.for_each(|send| lives.begin(send.target, now, false));
            }
            Action::Free => {
                let sends = plan.rounds[number].sends.iter().filter(|send| send.from == party);
                sends.flat_map(|send| &send.free).for_each(|id| lives.end(*id, now));
            }
        }
    }
    if !kept.is_empty() {
        lives.spare(plan, party);
    }
    lives.all
}

/// Lives while a plan is followed.
struct Lives<'p> {
    bufs: &'p [Buf],
    party: Party,
    all: Vec<Life>,
    /// Which one is a buffer's.
    at: Vec<Option<usize>>,
}

impl Lives<'_> {
    /// In a further run an owner may give inputs anew while what was computed once of another's stays: so that does not lie
    /// where they will come.
    fn spare(&mut self, plan: &Plan, party: Party) {
        let owner = |id: BufId| {
            let input = plan.inputs.iter().find(|input| input.bufs.iter().any(|bufs| bufs[party.index()] == id));
            input.map(|input| input.owner)
        };
        let once = plan.rounds.iter().flat_map(|round| &round.steps).filter(|s| s.once && s.party == party);
        // When each owner's last is.
        let mut last = BTreeMap::new();
        let mut summed = Vec::new();
        for step in once {
            let at = step.outs.iter().filter_map(|id| self.at.get(id.index()).copied().flatten()).next_back();
            let Some(now) = at.map(|at| self.all[at].from) else { continue };
            for id in step.ins.iter().map(|operand| operand.buf) {
                let Some(owner) = owner(id) else { continue };
                let latest = last.entry(owner).or_insert(now);
                *latest = now.max(*latest);
                summed.push((id, owner));
            }
        }
        for (id, owner) in summed {
            let others = last.iter().filter(|(other, _)| **other != owner).map(|(_, now)| *now).max();
            if let (Some(others), Some(Some(at))) = (others, self.at.get(id.index())) {
                let until = &mut self.all[*at].until;
                *until = others.max(*until);
            }
        }
    }

    fn begin(&mut self, id: BufId, now: usize, kept: bool) {
        let Some(buf) = self.bufs.get(id.index()).filter(|buf| buf.party == self.party) else { return };
        let id = buf.storage(id).0;
        match self.at.get_mut(id.index()) {
            Some(at @ None) => {
                *at = Some(self.all.len());
                self.all.push(Life { id, from: now, until: usize::MAX, kept });
            }
            Some(Some(at)) => self.all[*at].kept |= kept,
            None => {}
        }
    }

    fn end(&mut self, id: BufId, now: usize) {
        if let Some(Some(at)) = self.at.get(id.index())
            && !self.all[*at].kept
        {
            self.all[*at].until = now;
        }
    }
}

/// Gives places in order of birth, each the lowest that is free.
fn first_fit(plan: &Plan, lives: &[Life]) -> Layout {
    let (mut inputs, others): (Vec<&Life>, Vec<&Life>) = lives.iter().partition(|life| life.from == 0);
    let once = plan.rounds.iter().flat_map(|round| &round.steps).filter(|step| step.once);
    let summed: BTreeSet<BufId> = once.flat_map(|step| &step.ins).map(|operand| operand.buf).collect();
    inputs.sort_by_key(|life| {
        let once = summed.contains(&life.id);
        (once, if once { life.until } else { usize::MAX - life.until }, life.id)
    });
    let mut memory = Memory::new(&plan.bufs);
    inputs.iter().chain(&others).for_each(|life| memory.place(life));
    memory.layout
}

/// What is live at once.
struct Live {
    /// The most words, each buffer's in whole lines.
    most: usize,
    /// Of how many two buffers both are live at once.
    pairs: usize,
}

impl Live {
    fn of(bufs: &[Buf], lives: &[Life]) -> Live {
        let mut events: Vec<(usize, bool, usize)> = Vec::with_capacity(2 * lives.len());
        for life in lives {
            let size = life.size(bufs);
            events.extend([(life.from, false, size), (life.until, true, size)]);
        }
        // In an action all begins before anything ends.
        events.sort_unstable();
        let mut live = Live { most: 0, pairs: 0 };
        let (mut buffers, mut words) = (0usize, 0usize);
        for (_, ends, size) in events {
            if ends {
                (buffers, words) = (buffers - 1, words.saturating_sub(size));
            } else {
                live.pairs = live.pairs.saturating_add(buffers);
                (buffers, words) = (buffers + 1, words.saturating_add(size));
            }
            live.most = live.most.max(words);
        }
        live
    }
}

/// For more pairs of buffers than so many, which is three times VGG-16's with 32 images, places are given in one order only:
/// it would take seconds.
const PAIRS: usize = 1 << 25;

/// What a buffer weighs, of its words and the actions in which it is there: the largest first, of these the longest-lived.
fn by_size(size: usize, time: usize) -> (u128, usize) {
    (size as u128, time)
}

/// The order of size times the root of time. Of the powers of time that were tried, from a quarter to two, this left least
/// between the buffers of ResNets with eight images.
fn by_size_and_time(size: usize, time: usize) -> (u128, usize) {
    let size = size as u128;
    (size.saturating_mul(size).saturating_mul(time as u128), time)
}

/// So many actions have a list of what begins in them, and one of what is there in any of them.
const LISTED: usize = 64;

/// Gives the heaviest their places first, each the lowest that is free from its birth to its end.
fn heaviest_first(bufs: &[Buf], lives: &[Life], weight: impl Fn(usize, usize) -> (u128, usize)) -> Layout {
    let mut layout = Layout { places: vec![None; bufs.len()], ..Layout::default() };
    let last = lives.iter().map(|life| life.from).max().unwrap_or(0);
    let until = |life: &Life| life.until.min(last);
    let weight = |life: &Life| weight(life.size(bufs), until(life).saturating_sub(life.from) + 1);
    let mut order: Vec<&Life> = lives.iter().collect();
    order.sort_by_key(|life| (Reverse(weight(life)), life.from));
    let lists = || vec![Vec::<(usize, usize, &Life)>::new(); last / LISTED + 1];
    let (mut born, mut there) = (lists(), lists());
    let mut taken = Vec::new();
    for life in order {
        let (first, end) = (life.from / LISTED, until(life) / LISTED);
        // What it meets is there when it begins, or begins while it is there: each is in one of these lists, once.
        let meets = |other: &Life| other.from <= life.until && life.from <= other.until;
        let others = there[first].iter().chain(born[first + 1..=end].iter().flatten());
        taken.clear();
        taken.extend(others.filter(|(_, _, other)| meets(other)).map(|(start, end, _)| (*start, *end)));
        taken.sort_unstable();
        let (size, mut start) = (life.size(bufs), 0usize);
        for (from, to) in &taken {
            if *from >= start.saturating_add(size) {
                break;
            }
            start = start.max(*to);
        }
        let placed = (start, start.saturating_add(size), life);
        born[first].push(placed);
        there[first..=end].iter_mut().for_each(|list| list.push(placed));
        layout.words = layout.words.max(placed.1);
        layout.places[life.id.index()] = Some(start..start.saturating_add(bufs[life.id.index()].words()));
    }
    layout
}

/// Memory while places are given.
struct Memory<'p> {
    bufs: &'p [Buf],
    layout: Layout,
    /// The gaps below the end, first word to end.
    gaps: BTreeMap<usize, usize>,
    /// What becomes free: after which step, from where to where.
    taken: BinaryHeap<Reverse<(usize, usize, usize)>>,
}

impl<'p> Memory<'p> {
    fn new(bufs: &'p [Buf]) -> Memory<'p> {
        let layout = Layout { places: vec![None; bufs.len()], ..Layout::default() };
        Memory { bufs, layout, gaps: BTreeMap::new(), taken: BinaryHeap::new() }
    }

    /// Gives a place; lives come in order of birth.
    fn place(&mut self, life: &Life) {
        while let Some(&Reverse((until, start, end))) = self.taken.peek()
            && until < life.from
        {
            self.taken.pop();
            self.release(start, end);
        }
        let (words, size) = (self.bufs[life.id.index()].words(), life.size(self.bufs));
        let gap = self.gaps.iter().find(|(start, end)| *end - *start >= size).map(|(start, end)| (*start, *end));
        let start = match gap {
            Some((start, end)) => {
                self.gaps.remove(&start);
                if start + size < end {
                    self.gaps.insert(start + size, end);
                }
                start
            }
            None => {
                // What is free at the end is made larger.
                let last = self.gaps.last_key_value().map(|(start, end)| (*start, *end));
                let start = match last.filter(|(_, end)| *end == self.layout.words) {
                    Some((start, _)) => {
                        self.gaps.remove(&start);
                        start
                    }
                    None => self.layout.words,
                };
                self.layout.words = start.saturating_add(size);
                start
            }
        };
        self.taken.push(Reverse((life.until, start, start.saturating_add(size))));
        self.layout.places[life.id.index()] = Some(start..start.saturating_add(words));
    }

    fn release(&mut self, mut start: usize, mut end: usize) {
        if let Some(next) = self.gaps.remove(&end) {
            end = next;
        }
        if let Some((before, _)) = self.gaps.range(..start).next_back().filter(|(_, end)| **end == start) {
            start = *before;
        }
        self.gaps.insert(start, end);
    }
}

/// Words of the whole lines that so many words take.
fn lines(words: usize) -> usize {
    words.checked_next_multiple_of(LINE).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::{Input, Kernel, View};

    /// A chain of copies at P0, the first of an input; the last stays.
    fn chain(lens: &[usize]) -> Plan {
        let mut b = Builder::new(Format::default());
        let mut last = b.input(Party(0), lens[0]);
        let input = last;
        for len in lens {
            let view = View { shape: vec![*len], strides: vec![0], start: 0, bounds: vec![], fill: 0 };
            last = b.launch(Party(0), Kernel::Copy(view), &[last], *len);
        }
        let input = Input { node: 0, owner: Some(0), len: lens[0], bufs: [[input; 3]; 2] };
        Plan { owners: vec!["a".to_string()], inputs: vec![input], ..b.into_plan(&[last]) }
    }

    #[test]
    fn what_is_dead_is_overwritten() {
        let layout = Layout::of(&chain(&[80; 10]), Party(0), false);
        assert_eq!(layout.words(), 160);
        let places: Vec<_> = (0..4).map(|id| layout.place(BufId(id))).collect();
        assert_eq!(places, [Some(0..80), Some(80..160), Some(0..80), Some(80..160)]);
        assert_eq!(Layout::of(&chain(&[80; 10]), Party(1), false).words(), 0);
    }

    #[test]
    fn what_is_kept_stays() {
        let layout = Layout::of(&chain(&[80; 10]), Party(0), true);
        assert_eq!(layout.words(), 240);
        let input = layout.place(BufId(0)).unwrap();
        assert!((1..11).all(|id| layout.place(BufId(id)).unwrap().start >= input.end));
    }

    #[test]
    fn the_end_grows() {
        // The third result does not fit in what is free, and begins there all the same.
        let plan = chain(&[8, 8, 24, 16]);
        let layout = first_fit(&plan, &lives(&plan, Party(0), &Course::of(&plan, Party(0)), &[]));
        let places: Vec<_> = (0..5).map(|id| layout.place(BufId(id)).unwrap()).collect();
        assert_eq!(places, [0..8, 8..16, 0..8, 8..32, 32..48]);
    }

    #[test]
    fn pairs_are_counted() {
        // At each step its operand and its result are there.
        let plan = chain(&[8, 16, 32]);
        let lives = lives(&plan, Party(0), &Course::of(&plan, Party(0)), &[]);
        let live = Live::of(&plan.bufs, &lives);
        assert_eq!((live.most, live.pairs), (48, 3));
    }

    #[test]
    fn the_largest_come_first_where_that_takes_less() {
        let mut b = Builder::new(Format::default());
        let x = b.input(Party(0), 8);
        let mut copy = |from, len| {
            let view = View { shape: vec![len], strides: vec![0], start: 0, bounds: vec![], fill: 0 };
            b.launch(Party(0), Kernel::Copy(view), &[from], len)
        };
        let a = copy(x, 16);
        let (kept, last) = (copy(a, 16), copy(x, 24));
        let input = Input { node: 0, owner: Some(0), len: 8, bufs: [[x; 3]; 2] };
        let plan = Plan { owners: vec!["a".to_string()], inputs: vec![input], ..b.into_plan(&[kept, last]) };
        let layout = Layout::of(&plan, Party(0), false);
        // One after the other, the last would not fit in what is free behind the first.
        let places = [x, a, kept, last].map(|id| layout.place(id).unwrap());
        assert_eq!(places, [40..48, 0..16, 24..40, 0..24]);
        assert_eq!(layout.words(), 48);
    }
}
