//! Element programs of a round of which one reads what the other writes become one: what nobody else wants is never
//! written, what both read is read once, and there is one launch less.
//!
//! Two steps of a party stay apart if a message had to wait for more than it says: when the first one's results go to a
//! peer, the second one's have to go there as well, or be a matter of a few instructions. They also stay apart when they
//! serve different expressions, so that time and memory are counted by line, unless nothing is left of the first one: then
//! it counts as the second one's.

use std::collections::{BTreeMap, BTreeSet};

use super::super::program::MOST_TAKEN;
use super::super::{Access, Buf, BufId, Kernel, Operand, Party, Round, Step};
use super::both;

/// A message can wait for so many instructions more.
const FEW: usize = 4;

/// Fuses the steps of each round. The buffers `kept` are wanted behind the last one.
pub(super) fn fuse(bufs: &[Buf], rounds: &mut [Round], kept: &[BufId]) {
    let mut wanted = Wanted::of(bufs, rounds, kept);
    for round in rounds {
        let mut peers: BTreeMap<BufId, BTreeSet<Party>> = BTreeMap::new();
        for send in &round.sends {
            peers.entry(send.source).or_default().insert(send.to);
        }
        let mut now = Now { bufs, peers, steps: round.steps.drain(..).map(Some).collect(), writers: BTreeMap::new() };
        for at in 0..now.steps.len() {
            now.fuse(at, &mut wanted);
        }
        round.steps = now.steps.into_iter().flatten().collect();
    }
}

/// Who wants what buffers hold.
struct Wanted {
    /// By how many steps a buffer is read.
    readers: Vec<usize>,
    /// Whether it is wanted otherwise, or shares memory with others.
    otherwise: Vec<bool>,
}

impl Wanted {
    fn of(bufs: &[Buf], rounds: &[Round], kept: &[BufId]) -> Wanted {
        let mut wanted = Wanted { readers: vec![0; bufs.len()], otherwise: vec![false; bufs.len()] };
        for round in rounds {
            let operands = round.steps.iter().flat_map(|step| &step.ins);
            operands.for_each(|operand| wanted.readers[operand.buf.index()] += 1);
            round.sends.iter().for_each(|send| wanted.otherwise[send.source.index()] = true);
        }
        kept.iter().for_each(|id| wanted.otherwise[id.index()] = true);
        for (at, part) in bufs.iter().enumerate().filter_map(|(at, buf)| Some((at, buf.part?))) {
            wanted.otherwise[at] = true;
            wanted.otherwise[part.of.index()] = true;
        }
        wanted
    }

    /// Whether it is for one step alone.
    fn is_for_one(&self, id: BufId) -> bool {
        self.readers[id.index()] == 1 && !self.otherwise[id.index()]
    }

    fn is_wanted(&self, id: BufId) -> bool {
        self.readers[id.index()] > 0 || self.otherwise[id.index()]
    }
}

/// A round.
struct Now<'b> {
    bufs: &'b [Buf],
    /// Who receives a buffer.
    peers: BTreeMap<BufId, BTreeSet<Party>>,
    /// In order; `None` where a step has become part of another one.
    steps: Vec<Option<Step>>,
    /// Which of the steps so far writes a buffer.
    writers: BTreeMap<BufId, usize>,
}

impl Now<'_> {
    /// Makes a step one with all that it can be.
    fn fuse(&mut self, at: usize, wanted: &mut Wanted) {
        let mut at = at;
        while let Some((first, place)) = self.partner(at, wanted) {
            let (Some(a), Some(b)) = (self.steps[first].take(), self.steps[at].take()) else { break };
            self.steps[place] = Some(merge(&a, &b, wanted));
            at = place;
        }
        let outs = self.steps[at].iter().flat_map(|step| &step.outs);
        self.writers.extend(outs.map(|id| (*id, at)));
    }

    /// The last step that step `second` can become one with, and at which of their places.
    fn partner(&self, second: usize, wanted: &Wanted) -> Option<(usize, usize)> {
        let b = self.steps[second].as_ref()?;
        let writers: BTreeSet<usize> =
            b.ins.iter().filter_map(|operand| self.writers.get(&operand.buf).copied()).collect();
        writers.into_iter().rev().find_map(|first| {
            let a = self.steps[first].as_ref().filter(|a| self.fit(a, b, wanted))?;
            let mut between = self.steps[first + 1..second].iter().flatten().filter(|step| step.party == b.party);
            // The second moves up past what it does not need, or the first down past what does not need it.
            if between.clone().all(|step| !self.reads(b, step)) {
                Some((first, first))
            } else {
                between.all(|step| !self.reads(step, a)).then_some((first, second))
            }
        })
    }

    /// The buffer with the storage.
    fn storage(&self, id: BufId) -> BufId {
        self.bufs[id.index()].storage(id).0
    }

    /// Whether a step reads what another one writes.
    fn reads(&self, step: &Step, writer: &Step) -> bool {
        let written = |id: BufId| writer.outs.iter().any(|out| self.storage(*out) == self.storage(id));
        step.ins.iter().any(|operand| written(operand.buf))
    }

    /// Whether two steps of which the second reads what the first writes can become one, but for what lies between them.
    fn fit(&self, a: &Step, b: &Step, wanted: &Wanted) -> bool {
        let (Kernel::Map(first), Kernel::Map(second)) = (&a.kernel, &b.kernel) else { return false };
        let len = |step: &Step| step.outs.first().map(|id| self.bufs[id.index()].len);
        let peers = |step: &Step| -> BTreeSet<Party> {
            step.outs.iter().filter_map(|id| self.peers.get(id)).flatten().copied().collect()
        };
        // Word by word, and under the name under which it was written; or nothing of it.
        let by_words = |(at, operand): (usize, &Operand)| match a.outs.contains(&operand.buf) {
            true => operand.access == Access::Dense && second.reads_words(at),
            false => a.outs.iter().all(|out| self.storage(*out) != self.storage(operand.buf)),
        };
        let reads = |id: &BufId| b.ins.iter().any(|operand| operand.buf == *id);
        (a.party, a.once, len(a)) == (b.party, b.once, len(b))
            && (a.span == b.span || a.outs.iter().all(|id| wanted.is_for_one(*id) && reads(id)))
            && both::fit((a, first), (b, second))
            && first.taken(&a.ins).chain(second.taken(&b.ins)).sum::<usize>() <= MOST_TAKEN
            && b.ins.iter().enumerate().all(by_words)
            && (second.code.len() <= FEW || peers(a).is_subset(&peers(b)))
    }
}

/// The step that does what two do one after the other.
fn merge(a: &Step, b: &Step, wanted: &mut Wanted) -> Step {
    for operand in b.ins.iter().filter(|operand| a.outs.contains(&operand.buf) || a.ins.contains(operand)) {
        wanted.readers[operand.buf.index()] -= 1;
    }
    both::merge(a, b, |id| b.outs.contains(&id) || wanted.is_wanted(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::build::both::LONGEST;
    use crate::plan::build::both::tests::{listed, named};
    use crate::plan::program::MOST;
    use crate::span::{Sources, Span};

    const LEN: usize = 4;

    /// `x + y` of a party, by an element program.
    fn add(b: &mut Builder, name: &str, sum: [BufId; 2]) -> BufId {
        multiple(b, name, sum, 1)
    }

    /// `2^(n - 1) (x + y)` of a party, by an element program of `n + 3` instructions.
    fn multiple(b: &mut Builder, name: &str, [x, y]: [BufId; 2], n: usize) -> BufId {
        let mut m = b.ring_map(Party(0), name, LEN);
        let (x, y) = (m.read(x), m.read(y));
        let sum = m.add(x, y);
        let sum = (1..n).fold(sum, |sum, _| m.add(sum, sum));
        let out = m.write(sum, 64);
        m.finish();
        out
    }

    /// Names of the steps, with how much each reads and writes.
    fn steps(b: Builder, kept: &[BufId]) -> Vec<(String, usize, usize)> {
        listed(b.finish(kept, true).1)
    }

    fn inputs(b: &mut Builder) -> [BufId; 3] {
        [0; 3].map(|_| b.input(Party(0), LEN))
    }

    #[test]
    fn a_chain_becomes_one_step() {
        let mut b = Builder::new(Format::default());
        let [x, y, z] = inputs(&mut b);
        let first = add(&mut b, "sum.a", [x, y]);
        let second = add(&mut b, "sum.b", [first, z]);
        let third = add(&mut b, "last", [second, x]);
        assert_eq!(steps(b, &[third]), named(&[("sum.a+b+last", 3, 1)]));
    }

    #[test]
    fn what_others_want_is_written() {
        let mut b = Builder::new(Format::default());
        let [x, y, z] = inputs(&mut b);
        let first = add(&mut b, "a", [x, y]);
        let second = add(&mut b, "b", [first, z]);
        assert_eq!(steps(b, &[first, second]), named(&[("a+b", 3, 2)]));
        // Read by two: both become part of it.
        let mut b = Builder::new(Format::default());
        let [x, y, z] = inputs(&mut b);
        let first = add(&mut b, "a", [x, y]);
        let kept = [add(&mut b, "b", [first, z]), add(&mut b, "c", [first, x])];
        assert_eq!(steps(b, &kept), named(&[("a+b+c", 3, 2)]));
    }

    #[test]
    fn no_message_waits_for_more() {
        // Of two steps the first one's result is sent; the second takes so many instructions more, or is sent as well.
        let found = |more: usize, both: bool| {
            let (mut b, to) = (Builder::new(Format::default()), Party(1));
            let [x, y, z] = inputs(&mut b);
            let first = add(&mut b, "a", [x, y]);
            b.send(first, to, "first");
            let second = multiple(&mut b, "b", [first, z], more);
            if both {
                b.send(second, to, "second");
            }
            steps(b, if both { &[] } else { std::slice::from_ref(&second) })
        };
        assert_eq!(found(2, false), named(&[("a", 2, 1), ("b", 2, 1)]));
        // It is a matter of a few instructions; they travel together.
        assert_eq!(found(1, false), named(&[("a+b", 3, 2)]));
        assert_eq!(found(2, true), named(&[("a+b", 3, 2)]));
    }

    #[test]
    fn what_lies_between_stays_in_order() {
        let mut b = Builder::new(Format::default());
        let [x, y, z] = inputs(&mut b);
        let first = add(&mut b, "a", [x, y]);
        let halves = [b.part(first, 0, LEN / 2, 0), b.part(first, LEN / 2, LEN / 2, 0)];
        // It needs the first one and is needed by the last.
        let kernel = Kernel::Concat { outer: 1, chunks: vec![LEN / 2; 2] };
        let turned = b.launch(Party(0), kernel, &[halves[1], halves[0]], LEN);
        let last = add(&mut b, "c", [turned, first]);
        let other = add(&mut b, "d", [last, z]);
        let found = steps(b, &[other]);
        assert_eq!(found, named(&[("a", 2, 1), ("concat", 2, 1), ("c+d", 3, 1)]));
    }

    #[test]
    fn steps_stay_small() {
        let mut b = Builder::new(Format::default());
        let mut sum = b.input(Party(0), LEN);
        for _ in 0..2 * MOST {
            let next = b.input(Party(0), LEN);
            sum = add(&mut b, "sum", [sum, next]);
        }
        let found: Vec<usize> = steps(b, &[sum]).into_iter().map(|(_, ins, _)| ins).collect();
        assert!((2..=4).contains(&found.len()) && found.iter().all(|ins| (2..=MOST).contains(ins)), "{found:?}");
        // As for instructions.
        let mut b = Builder::new(Format::default());
        let [x, y, z] = inputs(&mut b);
        let first = multiple(&mut b, "a", [x, y], LONGEST / 2);
        let second = multiple(&mut b, "b", [first, z], LONGEST / 2);
        assert_eq!(steps(b, &[second]).len(), 2);
    }

    #[test]
    fn expressions_stay_apart_unless_nothing_is_left_of_one() {
        let file = Sources::default().add("", "");
        let spans = [(0, 5), (10, 16)].map(|(from, to)| Some(Span::new(file, from, to)));
        let found = |is_kept: bool| {
            let mut b = Builder::new(Format::default());
            let [x, y, z] = inputs(&mut b);
            b.span = spans[0];
            let first = add(&mut b, "a", [x, y]);
            b.span = spans[1];
            let second = add(&mut b, "b", [first, z]);
            let kept = if is_kept { vec![first, second] } else { vec![second] };
            let (_, rounds) = b.finish(&kept, true);
            let steps = rounds.into_iter().flat_map(|round| round.steps);
            steps.map(|step| (step.kernel.name().to_string(), step.span)).collect::<Vec<_>>()
        };
        assert_eq!(found(true), [("a".to_string(), spans[0]), ("b".to_string(), spans[1])]);
        assert_eq!(found(false), [("a+b".to_string(), spans[1])]);
    }
}
