//! The order of steps within a round: what is sent comes first, in the order of the transfers, and what a party computes for
//! itself after that, while its messages are on their way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use super::super::joint::are_joint;
use super::super::{Buf, BufId, Round, Step};

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

/// Puts each step behind the one that it is [joint](are_joint) with and that makes something for it alone, where what else it
/// reads is there by then.
pub(super) fn joint_next(bufs: &[Buf], rounds: &mut [Round], kept: &[BufId]) {
    let mut wanted = vec![0; bufs.len()];
    let read = rounds.iter().flat_map(|round| round.steps.iter().flat_map(|step| &step.ins)).map(|operand| operand.buf);
    let sent = rounds.iter().flat_map(|round| &round.sends).map(|send| send.source);
    read.chain(sent).chain(kept.iter().copied()).for_each(|id| wanted[id.index()] += 1);
    rounds.iter_mut().for_each(|round| joint_next_in(bufs, round, &wanted));
}

/// The same in a round; so often each buffer is wanted.
fn joint_next_in(bufs: &[Buf], round: &mut Round, wanted: &[usize]) {
    let steps = &round.steps;
    let writers = writers(bufs, steps);
    let mut readers: BTreeMap<BufId, Vec<usize>> = BTreeMap::new();
    for (at, operand) in steps.iter().enumerate().flat_map(|(at, step)| step.ins.iter().map(move |op| (at, op))) {
        readers.entry(operand.buf).or_default().push(at);
    }
    let mut placed = vec![false; steps.len()];
    let mut order = Vec::with_capacity(steps.len());
    for (first, step) in steps.iter().enumerate() {
        if std::mem::replace(&mut placed[first], true) {
            continue;
        }
        order.push(first);
        let there = |at: &usize| {
            let mut read = steps[*at].ins.iter().flat_map(|operand| meeting(bufs, &writers, operand.buf));
            read.all(|writer| placed[writer])
        };
        let alone = step.outs.iter().filter(|id| wanted[id.index()] == 1);
        let next = alone.filter_map(|id| readers.get(id)).flatten().copied();
        let joint = next.filter(|at| !placed[*at] && are_joint(step, &steps[*at]) && there(at)).min();
        if let Some(second) = joint {
            placed[second] = true;
            order.push(second);
        }
    }
    reorder(round, order);
}

/// Which steps write to a storage, and where.
fn writers(bufs: &[Buf], steps: &[Step]) -> BTreeMap<BufId, Vec<(usize, usize, usize)>> {
    let mut writers: BTreeMap<BufId, Vec<(usize, usize, usize)>> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        for id in &step.outs {
            let (whole, start, end) = place(bufs, *id);
            writers.entry(whole).or_default().push((start, end, at));
        }
    }
    writers
}

/// The storage of a buffer, and from where to where it is there.
fn place(bufs: &[Buf], id: BufId) -> (BufId, usize, usize) {
    let buf = &bufs[id.index()];
    let (whole, start) = buf.storage(id);
    (whole, start, start + buf.words())
}

/// The steps that write any of a buffer.
fn meeting(bufs: &[Buf], writers: &BTreeMap<BufId, Vec<(usize, usize, usize)>>, id: BufId) -> Vec<usize> {
    let (whole, start, end) = place(bufs, id);
    let meets = |(from, to, _): &&(usize, usize, usize)| *from < end && start < *to;
    writers.get(&whole).into_iter().flatten().filter(meets).map(|writer| writer.2).collect()
}

/// A new order while it is made.
struct Order<'r> {
    bufs: &'r [Buf],
    steps: &'r [Step],
    writers: BTreeMap<BufId, Vec<(usize, usize, usize)>>,
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

    #[test]
    fn what_takes_bits_comes_next() {
        let mut b = Builder::new(Format::default());
        let x = b.input(Party(0), 64);
        let [wanted, first, second, third] = [x; 4].map(|x| twice(&mut b, x));
        let late = take(&mut b, third, None);
        let waits = take(&mut b, second, Some(late));
        let next = take(&mut b, first, None);
        let last = take(&mut b, wanted, None);
        let kept = [late, waits, next, last, wanted];
        let (bufs, mut rounds) = b.finish(&kept, false);
        joint_next(&bufs, &mut rounds, &kept);
        let order: Vec<BufId> = rounds[0].steps.iter().map(|step| step.outs[0]).collect();
        // What waits for another's result stays behind it, and what takes bits of something that is wanted otherwise where it is.
        assert_eq!(order, [wanted, first, next, second, third, late, waits, last]);
    }
}
