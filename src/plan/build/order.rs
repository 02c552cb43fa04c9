//! The order of steps within a round: what is sent comes first, in the order of the transfers, and what a party computes for
//! itself after that, while its messages are on their way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::joint::{can_join, joins, place};
use super::super::{Buf, BufId, Party, Round, Step};

/// Reorders each party's steps of a round among the places that they have in it.
pub(super) fn sends_first(bufs: &[Buf], round: &mut Round) {
    let writers = writers(bufs, &round.steps);
    let mut order =
        Order { bufs, steps: &round.steps, writers, placed: vec![false; round.steps.len()], order: Vec::new() };
    for send in &round.sends {
        order.make(send.source);
    }
    (0..round.steps.len()).for_each(|step| order.step(step));
    let order = order.order;
    reorder(round, order);
}

/// Gives each party's steps, in this order, the places that they have in the round.
fn reorder(round: &mut Round, order: Vec<usize>) {
    let mut next: [VecDeque<usize>; 3] = Default::default();
    for at in order {
        next[round.steps[at].party.index()].push_back(at);
    }
    let new = round.steps.iter().map(|step| next[step.party.index()].pop_front().map(|at| round.steps[at].clone()));
    round.steps = new.map(|step| step.expect("each party has as many steps as places")).collect();
}

/// Puts what is computed once before all else, the largest first: each result then fits where the operands of others were
/// ([`super::super::layout`]).
pub(super) fn once_first(bufs: &[Buf], round: &mut Round) {
    let words = |step: &Step| step.outs.iter().map(|id| bufs[id.index()].words()).sum::<usize>();
    round.steps.sort_by_key(|step| if step.once { (false, Reverse(words(step))) } else { (true, Reverse(0)) });
}

/// Puts steps that may run [as one](joins) next to each other, where what else they read is there by then.
pub(super) fn joint_next(bufs: &[Buf], rounds: &mut [Round]) {
    let mut arriving = BTreeMap::new();
    for round in rounds {
        let order = Together::of(bufs, &round.steps, &arriving).order();
        reorder(round, order);
        // In a message from one party to another, what is sent first is there first.
        let sends = round.sends.iter().enumerate();
        arriving =
            sends.map(|(at, send)| (bufs[send.target.index()].storage(send.target).0, (send.from, at))).collect();
    }
}

/// A round while steps are put next to each other.
struct Together<'r> {
    bufs: &'r [Buf],
    steps: &'r [Step],
    writers: Writers,
    /// The element programs that read a buffer with words.
    readers: BTreeMap<BufId, Vec<usize>>,
    /// Who sent what in the round before, and as which transfer.
    arriving: &'r BTreeMap<BufId, (Party, usize)>,
    /// How far each party has taken the others' messages.
    taken: [[Option<usize>; 3]; 3],
    placed: Vec<bool>,
}

impl<'r> Together<'r> {
    fn of(bufs: &'r [Buf], steps: &'r [Step], arriving: &'r BTreeMap<BufId, (Party, usize)>) -> Together<'r> {
        let mut readers: BTreeMap<BufId, Vec<usize>> = BTreeMap::new();
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| can_join(step)) {
            for operand in step.ins.iter().filter(|operand| bufs[operand.buf.index()].width > 1) {
                readers.entry(operand.buf).or_default().push(at);
            }
        }
        let (writers, placed) = (writers(bufs, steps), vec![false; steps.len()]);
        Together { bufs, steps, writers, readers, arriving, taken: Default::default(), placed }
    }

    fn order(mut self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.steps.len());
        for first in 0..self.steps.len() {
            if !self.placed[first] {
                let mut group = vec![first];
                self.place(first);
                while let Some((before, next)) = self.next(&group) {
                    before.iter().chain([&next]).for_each(|at| self.place(*at));
                    order.extend(before);
                    group.push(next);
                }
                order.extend(group);
            }
        }
        order
    }

    fn place(&mut self, at: usize) {
        self.placed[at] = true;
        let step = &self.steps[at];
        for (from, sent) in self.arrivals(at).collect::<Vec<_>>() {
            let taken = &mut self.taken[step.party.index()][from.index()];
            *taken = (*taken).max(Some(sent));
        }
    }

    /// What a step reads of messages.
    fn arrivals(&self, at: usize) -> impl Iterator<Item = (Party, usize)> {
        let storage = |id: BufId| self.bufs[id.index()].storage(id).0;
        self.steps[at].ins.iter().filter_map(move |operand| self.arriving.get(&storage(operand.buf)).copied())
    }

    /// The first step that joins a group, and the steps that come before the group for it.
    fn next(&self, group: &[usize]) -> Option<(Vec<usize>, usize)> {
        if !can_join(&self.steps[group[0]]) {
            return None;
        }
        let steps: Vec<&Step> = group.iter().map(|at| &self.steps[*at]).collect();
        let shared = steps.iter().flat_map(|step| step.outs.iter().copied().chain(step.ins.iter().map(|op| op.buf)));
        let candidates: BTreeSet<usize> = shared.filter_map(|id| self.readers.get(&id)).flatten().copied().collect();
        let mut candidates = candidates.into_iter().filter(|at| !self.placed[*at]);
        candidates.find_map(|at| {
            if !(joins(self.bufs, &steps, &self.steps[at]) && self.has_arrived(at)) {
                return None;
            }
            let missing: BTreeSet<usize> = self.writers_of(at).filter(|writer| !self.placed[*writer]).collect();
            let there = |of: usize| self.placed[of] && !group.contains(&of);
            let soon = |at: &usize| self.has_arrived(*at) && self.writers_of(*at).all(there);
            missing.iter().all(soon).then(|| (missing.into_iter().collect(), at))
        })
    }

    /// Whether a step waits for no message that has not been taken.
    fn has_arrived(&self, at: usize) -> bool {
        let taken = &self.taken[self.steps[at].party.index()];
        self.arrivals(at).all(|(from, sent)| Some(sent) <= taken[from.index()])
    }

    fn writers_of(&self, at: usize) -> impl Iterator<Item = usize> {
        self.steps[at].ins.iter().flat_map(|operand| meeting(self.bufs, &self.writers, operand.buf))
    }
}

/// For each storage from where to where steps write to it.
type Writers = BTreeMap<BufId, Vec<(usize, usize, usize)>>;

/// Which steps write to a storage, and where.
fn writers(bufs: &[Buf], steps: &[Step]) -> Writers {
    let mut writers = Writers::new();
    for (at, step) in steps.iter().enumerate() {
        for id in &step.outs {
            let (whole, start, end) = place(bufs, *id);
            writers.entry(whole).or_default().push((start, end, at));
        }
    }
    writers
}

/// The steps that write any of a buffer.
fn meeting(bufs: &[Buf], writers: &Writers, id: BufId) -> Vec<usize> {
    let (whole, start, end) = place(bufs, id);
    let meets = |(from, to, _): &&(usize, usize, usize)| *from < end && start < *to;
    writers.get(&whole).into_iter().flatten().filter(meets).map(|writer| writer.2).collect()
}

/// A new order while it is made.
struct Order<'r> {
    bufs: &'r [Buf],
    steps: &'r [Step],
    writers: Writers,
    placed: Vec<bool>,
    order: Vec<usize>,
}

impl Order<'_> {
    /// Places the steps that write a buffer, after those whose results they read.
    fn make(&mut self, id: BufId) {
        self.writers_of(id).into_iter().for_each(|step| self.step(step));
    }

    /// Places a step after those whose results it reads.
    fn step(&mut self, at: usize) {
        // Steps that wait for others; a chain may be as long as the round.
        let mut waiting = vec![at];
        while let Some(&last) = waiting.last() {
            if self.placed[last] {
                waiting.pop();
                continue;
            }
            let before = self.steps[last].ins.iter().flat_map(|operand| self.writers_of(operand.buf));
            match before.into_iter().find(|step| !self.placed[*step]) {
                Some(step) => waiting.push(step),
                None => {
                    self.placed[last] = true;
                    self.order.push(last);
                }
            }
        }
    }

    fn writers_of(&self, id: BufId) -> Vec<usize> {
        meeting(self.bufs, &self.writers, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::build::samples::{take, twice};
    use crate::plan::{Kernel, Party, View};

    #[test]
    fn what_is_sent_comes_first() {
        let mut b = Builder::new(Format::default());
        let view = |len| View { shape: vec![len], strides: vec![0], start: 0, bounds: vec![], fill: 0 };
        let copy = |b: &mut Builder, from, len| b.launch(Party(0), Kernel::Copy(view(len)), &[from], len);
        let x = b.input(Party(0), 1);
        let own = copy(&mut b, x, 2);
        let first = copy(&mut b, x, 3);
        let other = copy(&mut b, own, 4);
        let sent = copy(&mut b, first, 5);
        let both = copy(&mut b, own, 6);
        b.send(sent, Party(1), "sent");
        b.send(both, Party(2), "both");
        let (bufs, rounds) = b.finish(&[other], false);
        let lens: Vec<usize> = rounds[0].steps.iter().map(|step| bufs[step.outs[0].index()].len).collect();
        assert_eq!(lens, [3, 5, 2, 6, 4]);
        // The last step that reads it now is not the one that was.
        assert_eq!(rounds[0].steps[4].free, [own]);
    }

    /// The first results of a round's steps, in order.
    fn made(round: &Round) -> Vec<BufId> {
        round.steps.iter().map(|step| step.outs[0]).collect()
    }

    #[test]
    fn what_reads_the_same_words_comes_next() {
        let mut b = Builder::new(Format::default());
        let [x, y, z] = [(); 3].map(|()| b.input(Party(0), 64));
        let [first, other] = [x, y].map(|x| twice(&mut b, x));
        let next = take(&mut b, first, None);
        let bit = take(&mut b, z, None);
        let with_bit = take(&mut b, first, Some(bit));
        let waits = take(&mut b, first, Some(next));
        let later = take(&mut b, other, None);
        let with_later = take(&mut b, first, Some(later));
        let kept = [next, with_bit, waits, with_later];
        let (bufs, mut rounds) = b.finish(&kept, false);
        joint_next(&bufs, &mut rounds);
        // The bit comes before what it is needed for; what needs more than that, or what these steps make, stays behind.
        assert_eq!(made(&rounds[0]), [bit, first, next, with_bit, other, later, waits, with_later]);
    }

    #[test]
    fn what_waits_for_a_message_stays_behind() {
        for (taken, is_next) in [(None, false), (Some(0), false), (Some(1), true), (Some(2), true)] {
            let mut b = Builder::new(Format::default());
            let [x, y, there] = [0, 0, 1].map(|party| b.input(Party(party), 64));
            let bits = [(); 3].map(|()| take(&mut b, there, None)).map(|bit| b.send(bit, Party(0), "bit"));
            b.not_before(1);
            let first = take(&mut b, x, taken.map(|at: usize| bits[at]));
            let other = twice(&mut b, y);
            let next = take(&mut b, x, Some(bits[1]));
            let kept = [[first, other, next], bits].concat();
            let (bufs, mut rounds) = b.finish(&kept, false);
            joint_next(&bufs, &mut rounds);
            let wanted = if is_next { [first, next, other] } else { [first, other, next] };
            assert_eq!(made(&rounds[1]), wanted, "{taken:?}");
        }
    }
}
