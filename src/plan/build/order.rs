//! The order of steps within a round: what is sent comes first, in the order of the transfers, and what a party computes for
//! itself after that, while its messages are on their way.

use std::cmp::Reverse;
use std::collections::BTreeMap;

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
    let mut next: BTreeMap<Party, Vec<usize>> = BTreeMap::new();
    for step in order.order.into_iter().rev() {
        next.entry(round.steps[step].party).or_default().push(step);
    }
    let new =
        round.steps.iter().map(|step| next.get_mut(&step.party).and_then(Vec::pop).map(|at| round.steps[at].clone()));
    round.steps = new.map(|step| step.expect("each party has as many steps as places")).collect();
}

/// Puts what is computed once before all else, the largest first: each result then fits where the operands of others were
/// ([`super::super::layout`]).
pub(super) fn once_first(bufs: &[Buf], round: &mut Round) {
    let words = |step: &Step| step.outs.iter().map(|id| bufs[id.index()].words()).sum::<usize>();
    round.steps.sort_by_key(|step| if step.once { (false, Reverse(words(step))) } else { (true, Reverse(0)) });
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
        let (whole, start, end) = place(self.bufs, id);
        let meets = |(from, to, _): &&(usize, usize, usize)| *from < end && start < *to;
        self.writers.get(&whole).into_iter().flatten().filter(meets).map(|writer| writer.2).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::{Kernel, View};

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
}
