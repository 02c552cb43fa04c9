//! An element program whose results are read in parts only, each by one element program of the same round, becomes part of
//! each of those: a bias that is added to a product of which slices are truncated is added slice by slice, and the sum is
//! never written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::{Access, Buf, BufId, Kernel, Operand, Part, Round, Step};
use super::both;

/// Parts by the buffer, the first element and the length.
pub(super) type Parts = BTreeMap<(BufId, usize, usize), BufId>;

/// Merges such programs of each round. The buffers `kept` are wanted behind the last one.
pub(super) fn merge(bufs: &mut Vec<Buf>, parts: &mut Parts, rounds: &mut [Round], kept: &[BufId]) {
    let mut uses = Uses::of(bufs, parts, rounds, kept);
    for (number, round) in rounds.iter_mut().enumerate() {
        let mut steps: Vec<Option<Step>> = round.steps.drain(..).map(Some).collect();
        // The last first: what it reads may then be read in parts only.
        for at in (0..steps.len()).rev() {
            let Some(readers) = uses.readers(&steps, number, at) else { continue };
            let Some(first) = steps[at].take() else { continue };
            uses.forget(&first, (number, at));
            for (reader, range) in readers {
                let Some(second) = steps[reader].take() else { continue };
                let part = uses.restricted(&first, &range);
                let merged = both::merge(&part, &second, |id| second.outs.contains(&id));
                uses.forget(&second, (number, reader));
                uses.note(&merged, (number, reader));
                steps[reader] = Some(merged);
            }
        }
        round.steps = steps.into_iter().flatten().collect();
    }
}

/// Who wants what buffers hold.
pub(super) struct Uses<'b> {
    bufs: &'b mut Vec<Buf>,
    known: &'b mut Parts,
    /// The steps that read a buffer, by round and position.
    readers: BTreeMap<BufId, BTreeSet<(usize, usize)>>,
    /// The parts of a buffer.
    parts: BTreeMap<BufId, Vec<BufId>>,
    /// Buffers that travel, or are kept, and parts that are written.
    otherwise: BTreeSet<BufId>,
}

impl<'b> Uses<'b> {
    pub(super) fn of(bufs: &'b mut Vec<Buf>, known: &'b mut Parts, rounds: &[Round], kept: &[BufId]) -> Uses<'b> {
        let sends = rounds.iter().flat_map(|round| &round.sends).flat_map(|send| [send.source, send.target]);
        let steps = || rounds.iter().enumerate().flat_map(|(number, r)| (0..).zip(&r.steps).map(move |s| (number, s)));
        let written = steps().flat_map(|(_, (_, step))| step.outs.iter().copied());
        let written = written.filter(|id| bufs[id.index()].part.is_some());
        let otherwise = kept.iter().copied().chain(sends).chain(written).collect();
        let mut parts: BTreeMap<BufId, Vec<BufId>> = BTreeMap::new();
        for (id, part) in (0..).zip(&*bufs).filter_map(|(id, buf)| Some((BufId(id), buf.part?))) {
            parts.entry(part.of).or_default().push(id);
        }
        let mut uses = Uses { bufs, known, readers: BTreeMap::new(), parts, otherwise };
        steps().for_each(|(number, (at, step))| uses.note(step, (number, at)));
        uses
    }

    fn note(&mut self, step: &Step, place: (usize, usize)) {
        for operand in &step.ins {
            self.readers.entry(operand.buf).or_default().insert(place);
        }
    }

    pub(super) fn forget(&mut self, step: &Step, place: (usize, usize)) {
        for operand in &step.ins {
            self.readers.entry(operand.buf).or_default().remove(&place);
        }
    }

    /// The steps that a step becomes part of, and which elements each of them reads, if it is one of those meant here.
    fn readers(&self, steps: &[Option<Step>], round: usize, at: usize) -> Option<BTreeMap<usize, Range<usize>>> {
        let a = steps[at].as_ref()?;
        let Kernel::Map(first) = &a.kernel else { return None };
        if first.planes || a.once || !a.streams.is_empty() || !self.read_by_words(a) {
            return None;
        }
        let mut found: BTreeMap<usize, Range<usize>> = BTreeMap::new();
        for out in &a.outs {
            let parts = self.parts.get(out).into_iter().flatten();
            if self.otherwise.contains(out) || self.readers.get(out).is_some_and(|readers| !readers.is_empty()) {
                return None;
            }
            for id in parts {
                let Part { start, .. } = self.bufs[id.index()].part?;
                let range = start..start + self.bufs[id.index()].len;
                if self.otherwise.contains(id) {
                    return None;
                }
                for (other, reader) in self.readers.get(id).into_iter().flatten() {
                    if *other != round {
                        return None;
                    }
                    let b = steps[*reader].as_ref()?;
                    let Kernel::Map(second) = &b.kernel else { return None };
                    let dense = |(number, operand): (usize, &Operand)| {
                        operand.buf != *id || operand.access == Access::Dense && second.reads_words(number)
                    };
                    let whole = b.outs.first().is_some_and(|out| self.bufs[out.index()].len == range.len());
                    let alike = a.party == b.party && !b.once && both::fit((a, first), (b, second));
                    let one = found.insert(*reader, range.clone()).is_none_or(|other| other == range);
                    if !(alike && whole && one && b.ins.iter().enumerate().all(dense)) {
                        return None;
                    }
                }
            }
        }
        // Each element is computed once.
        let mut ranges: Vec<&Range<usize>> = found.values().collect();
        ranges.sort_by_key(|range| range.start);
        let apart = ranges.is_sorted_by(|a, b| a.end <= b.start);
        (apart && !found.is_empty()).then_some(found)
    }

    /// Notes a step that writes parts.
    pub(super) fn add(&mut self, step: &Step, place: (usize, usize)) {
        self.note(step, place);
        self.otherwise.extend(&step.outs);
    }

    /// Whether an element program reads words, of buffers that are its party's alone.
    pub(super) fn read_by_words(&self, step: &Step) -> bool {
        let Kernel::Map(program) = &step.kernel else { return false };
        step.ins.iter().enumerate().all(|(number, operand)| {
            let (buf, whole) = (&self.bufs[operand.buf.index()], self.storage(operand.buf));
            // What is received may be read where the message lies, if it is read as a whole.
            let there = buf.width > 1 && program.reads_words(number) && !self.otherwise.contains(&whole);
            there && !matches!(operand.access, Access::Bits { .. })
        })
    }

    fn storage(&self, id: BufId) -> BufId {
        self.bufs[id.index()].storage(id).0
    }

    /// Elements of a buffer.
    pub(super) fn len(&self, id: BufId) -> usize {
        self.bufs[id.index()].len
    }

    /// Whether a buffer has words of its own, and is its party's alone.
    pub(super) fn is_whole(&self, id: BufId) -> bool {
        let buf = &self.bufs[id.index()];
        buf.part.is_none() && buf.width > 1 && !self.otherwise.contains(&id)
    }

    /// Whether a buffer is part of another one.
    pub(super) fn is_part(&self, id: BufId, of: BufId) -> bool {
        self.bufs[id.index()].part.is_some_and(|part| part.of == of)
    }

    /// The parts of a buffer that are read or written.
    pub(super) fn ranges(&self, whole: BufId) -> Vec<Range<usize>> {
        let parts = self.parts.get(&whole).into_iter().flatten().filter(|id| {
            self.otherwise.contains(id) || self.readers.get(id).is_some_and(|readers| !readers.is_empty())
        });
        let ranges = parts.filter_map(|id| {
            let Part { start, .. } = self.bufs[id.index()].part?;
            Some(start..start + self.bufs[id.index()].len)
        });
        ranges.collect()
    }

    /// The step that computes some elements alone.
    pub(super) fn restricted(&mut self, step: &Step, range: &Range<usize>) -> Step {
        let operand = |operand: &Operand| match operand.access {
            Access::Repeat { inner, len, start } => {
                let start = (start + range.start) % (inner * len);
                Operand { access: Access::Repeat { inner, len, start }, ..*operand }
            }
            access => Operand { buf: self.part(operand.buf, range), access },
        };
        let ins = step.ins.iter().map(operand).collect();
        let outs = step.outs.iter().map(|out| self.part(*out, range)).collect();
        Step { ins, outs, ..step.clone() }
    }

    /// Some elements of a buffer.
    fn part(&mut self, id: BufId, range: &Range<usize>) -> BufId {
        let (of, offset) = self.bufs[id.index()].storage(id);
        let start = offset + range.start;
        if range.len() == self.bufs[id.index()].len {
            return id;
        }
        *self.known.entry((of, start, range.len())).or_insert_with(|| {
            let part = BufId(self.bufs.len() as u32);
            self.bufs.push(self.bufs[of.index()].section(of, start, range.len()));
            self.parts.entry(of).or_default().push(part);
            part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::Party;
    use crate::plan::build::Builder;
    use crate::plan::build::both::tests::{listed, named};
    use crate::plan::build::samples::twice;

    /// Elements, of which a bias has three for every four.
    const LEN: usize = 24;
    const BIAS: Access = Access::Repeat { inner: 4, len: 3, start: 0 };

    /// `x + bias` of P0, by an element program.
    fn biased(b: &mut Builder, x: BufId, bias: BufId) -> BufId {
        let name = "bias";
        let mut m = b.ring_map(Party(0), name, LEN);
        let (x, bias) = (m.read(x), m.read(Operand { buf: bias, access: BIAS }));
        let sum = m.add(x, bias);
        let sum = m.write(sum, 64);
        m.finish();
        sum
    }

    /// The steps that `with` makes of a biased sum.
    fn steps(with: impl FnOnce(&mut Builder, BufId) -> Vec<BufId>) -> Vec<(String, usize, usize)> {
        listed(plan(with).1)
    }

    fn plan(with: impl FnOnce(&mut Builder, BufId) -> Vec<BufId>) -> (Vec<Buf>, Vec<Round>) {
        let mut b = Builder::new(Format::default());
        let [x, bias] = [LEN, 3].map(|len| b.input(Party(0), len));
        let sum = biased(&mut b, x, bias);
        let kept = with(&mut b, sum);
        b.finish(&kept, true)
    }

    /// Both halves of a sum, doubled.
    fn halves(b: &mut Builder, sum: BufId) -> Vec<BufId> {
        [0, LEN / 2].map(|start| b.part(sum, start, LEN / 2, 0)).map(|half| twice(b, half)).to_vec()
    }

    #[test]
    fn what_is_read_in_parts_is_computed_there() {
        assert_eq!(steps(halves), named(&[("bias+twice", 2, 1), ("bias+twice", 2, 1)]));
        let (bufs, rounds) = plan(|b, sum| {
            // Uneven ones, of which the second begins within an element of the bias, and of a sum of sums.
            let bias = b.input(Party(0), 3);
            let sum = biased(b, sum, bias);
            [(0, 10), (10, 14)].map(|(start, len)| b.part(sum, start, len, 0)).map(|part| twice(b, part)).to_vec()
        });
        let steps = &rounds[0].steps;
        let names: Vec<&str> = steps.iter().map(|step| step.kernel.name()).collect();
        assert_eq!(names, ["bias+bias+twice"; 2]);
        for (step, start, len) in [(&steps[0], 0, 10), (&steps[1], 10, 14)] {
            let accesses = step.ins.iter().map(|operand| (&bufs[operand.buf.index()], operand.access));
            let (dense, repeated): (Vec<_>, Vec<_>) = accesses.partition(|(_, access)| *access == Access::Dense);
            assert!(
                repeated.len() == 2
                    && repeated.iter().all(|(buf, access)| {
                        (buf.part, *access) == (None, Access::Repeat { inner: 4, len: 3, start: start % 12 })
                    })
            );
            let [(part, _)] = dense[..] else { panic!("{dense:?}") };
            assert_eq!((part.part.map(|part| part.start), part.len), (Some(start), len));
        }
    }

    #[test]
    fn what_is_wanted_otherwise_is_computed_once() {
        let apart = |more: usize| {
            let mut all = vec![("bias", 2, 1)];
            all.extend(vec![("twice", 1, 1); 2 + more]);
            named(&all)
        };
        // Kept, sent, or read twice; as a whole by another, which becomes one with it.
        assert_eq!(steps(|b, sum| [halves(b, sum), vec![sum]].concat()), apart(0));
        assert_eq!(
            steps(|b, sum| {
                b.send(sum, Party(1), "sum");
                halves(b, sum)
            }),
            apart(0)
        );
        let whole = steps(|b, sum| [halves(b, sum), vec![twice(b, sum)]].concat());
        assert_eq!(whole, named(&[("bias+twice", 2, 2), ("twice", 1, 1), ("twice", 1, 1)]));
        assert_eq!(steps(|b, sum| [halves(b, sum), halves(b, sum)].concat()), apart(2));
        let middle = |b: &mut Builder, sum| {
            let middle = b.part(sum, 4, 12, 0);
            vec![twice(b, middle)]
        };
        assert_eq!(steps(|b, sum| [halves(b, sum), middle(b, sum)].concat()), apart(1));
        // In another round, which has more steps.
        let later = |b: &mut Builder, sum: BufId| {
            let parts = [(0, 8, 0), (8, 4, 1), (12, 4, 1), (16, 8, 1)];
            let parts = parts.map(|(start, len, later)| b.part(sum, start, len, later));
            parts.map(|part| twice(b, part)).to_vec()
        };
        assert_eq!(steps(later), apart(2));
        // Read by a kernel.
        let copied = |b: &mut Builder, sum: BufId| {
            let half = b.part(sum, 0, LEN / 2, 0);
            let kernel = Kernel::Concat { outer: 1, chunks: vec![LEN / 2; 2] };
            vec![b.launch(Party(0), kernel, &[half, half], LEN)]
        };
        assert_eq!(steps(copied), named(&[("bias", 2, 1), ("concat", 2, 1)]));
    }
}
