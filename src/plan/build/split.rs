//! An element program beside others of its round that write its operands, or read its results, in parts becomes one step for each
//! part. Then what is made is read while it is near ([`super::super::joint`]), or becomes part of what reads it
//! ([`super::fuse`]). Large parts of a buffer that nobody reads as a whole are buffers of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::{Access, Buf, BufId, Kernel, Operand, Program, Round, Step};
use super::into_parts::{Parts, Uses};

/// Parts of fewer elements are not worth steps of their own.
const LEAST: usize = 1 << 14;

/// Splits such programs of each round. The buffers `kept` are wanted behind the last one.
pub(super) fn split(bufs: &mut Vec<Buf>, parts: &mut Parts, rounds: &mut [Round], kept: &[BufId]) {
    let mut uses = Uses::of(bufs, parts, rounds, kept);
    for (number, round) in rounds.iter_mut().enumerate() {
        let mut done: Vec<Step> = Vec::with_capacity(round.steps.len());
        let mut left = std::mem::take(&mut round.steps).into_iter();
        let mut at = 0;
        while let Some(step) = left.next() {
            match cut(&uses, &done, &step, left.as_slice()) {
                Some(ranges) => {
                    uses.forget(&step, (number, at));
                    for range in &ranges {
                        let part = uses.restricted(&step, range);
                        uses.add(&part, (number, at));
                        done.push(part);
                    }
                }
                None => done.push(step),
            }
            at += 1;
        }
        round.steps = done;
    }
    set_apart(bufs, parts, rounds, kept);
}

fn program(step: &Step) -> Option<&Program> {
    if let (Kernel::Map(program), false) = (&step.kernel, step.once) { Some(program) } else { None }
}

/// The parts that a step is cut into, given those before and behind it in its round, if it is.
fn cut(uses: &Uses<'_>, before: &[Step], step: &Step, behind: &[Step]) -> Option<Vec<Range<usize>>> {
    let len = uses.len(*step.outs.first()?);
    // A stream is read from its beginning on.
    let is_plain = program(step).is_some_and(|program| !program.planes) && step.streams.is_empty() && len >= 2 * LEAST;
    if !is_plain || !step.outs.iter().all(|id| uses.is_whole(*id)) || !uses.read_by_words(step) {
        return None;
    }
    let near = |other: &&Step| other.party == step.party && program(other).is_some();
    let written = || before.iter().filter(near).flat_map(|other| other.outs.iter().copied());
    let read = || behind.iter().filter(near).flat_map(|other| other.ins.iter().map(|operand| operand.buf));
    let dense = step.ins.iter().filter(|operand| operand.access == Access::Dense).map(|operand| operand.buf);
    // What could become one with a step that reads the result as one stays with it.
    let of_one = behind.iter().filter(near).any(|other| {
        let reads = other.ins.iter().any(|operand| step.outs.contains(&operand.buf));
        reads && (!other.streams.is_empty() || program(other).is_some_and(|program| program.planes))
    });
    let dense = dense.filter(|_| !of_one);
    let wholes = step.outs.iter().copied().filter(|id| read().any(|part| uses.is_part(part, *id)));
    let mut wholes = wholes.chain(dense.filter(|id| written().any(|part| uses.is_part(part, *id))));
    wholes.find_map(|whole| {
        let mut ranges = uses.ranges(whole);
        ranges.sort_by_key(|range| range.start);
        let mut end = 0;
        let fit =
            ranges.iter().all(|range| range.start == std::mem::replace(&mut end, range.end) && range.len() >= LEAST);
        (fit && end == len).then_some(ranges)
    })
}

/// Makes large parts of buffers that are never wanted as a whole, and do not overlap, buffers of their own. Small ones would only
/// be harder to find places for.
fn set_apart(bufs: &mut [Buf], parts: &mut Parts, rounds: &[Round], kept: &[BufId]) {
    let sends = rounds.iter().flat_map(|round| &round.sends).flat_map(|send| [send.source, send.target]);
    let steps = || rounds.iter().flat_map(|round| &round.steps);
    let read = steps().flat_map(|step| step.ins.iter().map(|operand: &Operand| operand.buf));
    let written: BTreeSet<BufId> = steps().flat_map(|step| step.outs.iter().copied()).collect();
    let used: BTreeSet<BufId> = kept.iter().copied().chain(sends).chain(read).chain(written.iter().copied()).collect();
    let mut of: BTreeMap<BufId, Vec<(Range<usize>, BufId)>> = BTreeMap::new();
    for id in &used {
        if let Some(part) = bufs[id.index()].part {
            let range = part.start..part.start + bufs[id.index()].len;
            of.entry(part.of).or_default().push((range, *id));
        }
    }
    let mut none = BTreeSet::new();
    for (whole, mut all) in of {
        all.sort_by_key(|(range, _)| range.start);
        let apart = all.is_sorted_by(|(a, _), (b, _)| a.end <= b.start);
        let own = |(range, id): &(Range<usize>, BufId)| range.len() >= LEAST && written.contains(id);
        if apart && !used.contains(&whole) && all.iter().all(own) {
            all.iter().for_each(|(_, id)| bufs[id.index()].part = None);
            none.insert(whole);
        }
    }
    parts.retain(|(of, ..), _| !none.contains(of));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::Party;
    use crate::plan::build::Builder;
    use crate::plan::build::both::tests::{listed, named};
    use crate::plan::build::samples::{take, twice};

    const LEN: usize = 4 * LEAST;

    /// The steps of a plan of P0 that begins with twice an input.
    fn steps(with: impl FnOnce(&mut Builder, BufId) -> Vec<BufId>) -> Vec<(String, usize, usize)> {
        plan(with).1.into_iter().flat_map(|round| listed(vec![round])).collect()
    }

    fn plan(with: impl FnOnce(&mut Builder, BufId) -> Vec<BufId>) -> (Vec<Buf>, Vec<Round>) {
        let mut b = Builder::new(Format::default());
        let x = b.input(Party(0), LEN);
        let first = twice(&mut b, x);
        let kept = with(&mut b, first);
        b.finish(&kept, true)
    }

    fn halves(b: &mut Builder, x: BufId, later: [u32; 2]) -> [BufId; 2] {
        [0, 1].map(|half| b.part(x, half * LEN / 2, LEN / 2, later[half]))
    }

    #[test]
    fn what_is_read_in_parts_is_made_in_parts() {
        // Of bits of each half, twice.
        let of_both = |later| {
            move |b: &mut Builder, x: BufId| {
                let halves = halves(b, x, later);
                halves.into_iter().flat_map(|half| [take(b, half, None), take(b, half, None)]).collect()
            }
        };
        let taken = || vec![("take", 1, 1); 2];
        assert_eq!(
            steps(of_both([0, 0])),
            named(&[&[("twice", 1, 1)], &taken()[..], &[("twice", 1, 1)], &taken()].concat())
        );
        let (bufs, rounds) = plan(of_both([0, 0]));
        let all = || rounds[0].steps.iter().filter(|step| step.kernel.name() == "twice");
        let place = |id: BufId| bufs[id.index()].part.map(|part| part.start);
        // The input has parts; the halves are nobody's.
        assert_eq!(all().map(|step| place(step.ins[0].buf)).collect::<Vec<_>>(), [Some(0), Some(LEN / 2)]);
        assert_eq!(all().map(|step| place(step.outs[0])).collect::<Vec<_>>(), [None; 2]);
        // The other half is read in another round.
        let found = steps(of_both([0, 1]));
        assert_eq!(found.iter().filter(|step| step.0 == "twice").count(), 2, "{found:?}");
    }

    #[test]
    fn what_is_written_in_parts_is_read_in_parts() {
        let found = |more: bool| {
            steps(|b, x| {
                let parts = halves(b, x, [0; 2]).map(|half| twice(b, half));
                let whole = b.join(&parts);
                let last = twice(b, whole);
                b.not_before(1);
                let mut kept = vec![twice(b, last)];
                kept.extend(more.then_some(whole));
                kept
            })
        };
        let last = ("twice", 1, 1);
        assert_eq!(found(false), named(&[("twice+twice+twice", 1, 1), ("twice+twice+twice", 1, 1), last]));
        // Wanted as a whole, too: it is read as one.
        let both = [("twice+twice", 1, 1), ("twice+twice", 1, 1)];
        assert_eq!(found(true), named(&[&both[..], &[last; 2]].concat()));
    }

    #[test]
    fn slices_begin_anywhere_in_what_is_repeated() {
        let (_, rounds) = plan(|b, x| {
            let bias = b.input(Party(0), 3);
            let name = "bias";
            let mut m = b.ring_map(Party(0), name, LEN);
            let access = Access::Repeat { inner: 4, len: 3, start: 4 };
            let (x, bias) = (m.read(x), m.read(Operand { buf: bias, access }));
            let sum = m.add(x, bias);
            let sum = m.write(sum, 64);
            m.finish();
            halves(b, sum, [0; 2]).into_iter().flat_map(|half| [take(b, half, None), take(b, half, None)]).collect()
        });
        let ins = rounds[0].steps.iter().flat_map(|step| &step.ins);
        let starts = ins.filter_map(|operand| match operand.access {
            Access::Repeat { start, .. } => Some(start),
            _ => None,
        });
        assert_eq!(starts.collect::<Vec<_>>(), [4, (4 + LEN / 2) % 12]);
    }

    #[test]
    fn parts_of_what_is_received_or_read_as_a_whole_stay_parts() {
        /// Gives what is kept, and parts.
        type With<'w> = &'w dyn Fn(&mut Builder, BufId) -> (Vec<BufId>, Vec<BufId>);
        let parts = |with: With<'_>| {
            let mut parts = Vec::new();
            let (bufs, _) = plan(|b, x| {
                let (kept, found) = with(b, x);
                parts = found;
                kept
            });
            parts.into_iter().map(|id| bufs[id.index()].part.is_some()).collect::<Vec<_>>()
        };
        let of_halves = |b: &mut Builder, x: BufId| {
            let halves = halves(b, x, [0; 2]);
            (halves.map(|half| take(b, half, None)).to_vec(), halves.to_vec())
        };
        assert_eq!(parts(&of_halves), [false; 2]);
        assert_eq!(
            parts(&|b, x| {
                let received = b.send(x, Party(1), "x");
                of_halves(b, received)
            }),
            [true; 2]
        );
        assert_eq!(
            parts(&|b, x| {
                let (mut kept, halves) = of_halves(b, x);
                b.not_before(1);
                kept.push(twice(b, x));
                (kept, halves)
            }),
            [true; 2]
        );
        // Parts that overlap.
        assert_eq!(
            parts(&|b, x| {
                let parts = [(0, 3), (2, 2)].map(|(at, len)| b.part(x, at * LEAST, len * LEAST, 0));
                (parts.map(|part| take(b, part, None)).to_vec(), parts.to_vec())
            }),
            [true; 2]
        );
    }

    #[test]
    fn some_are_not_worth_it_or_cannot_be_split() {
        let whole = |with: &dyn Fn(&mut Builder, BufId) -> Vec<BufId>| {
            steps(with).into_iter().filter(|step| step.0 == "twice" && (step.1, step.2) == (1, 1)).count() == 1
        };
        // Sent; kept; of parts that overlap, do not reach the end, or are small; not read in this round.
        assert!(whole(&|b, x| {
            b.send(x, Party(1), "x");
            halves(b, x, [0; 2]).into_iter().flat_map(|half| [take(b, half, None), take(b, half, None)]).collect()
        }));
        assert!(whole(&|b, x| [vec![x], halves(b, x, [0; 2]).map(|half| take(b, half, None)).to_vec()].concat()));
        for parts in [[(0, 3), (2, 2)], [(0, 2), (2, 1)]] {
            assert!(whole(&|b, x| {
                parts.map(|(at, len)| b.part(x, at * LEAST, len * LEAST, 0)).map(|part| take(b, part, None)).to_vec()
            }));
        }
        assert!(whole(&|b, x| {
            let parts = [(0, 64), (64, LEN - 64)].map(|(at, len)| b.part(x, at, len, 0));
            parts.map(|part| take(b, part, None)).to_vec()
        }));
        assert!(whole(&|b, x| halves(b, x, [1; 2]).map(|half| take(b, half, None)).to_vec()));
        // A stream, which each slice would read from its beginning on.
        let found = steps(|b, x| {
            let stream = b.stream();
            let name = "masked";
            let mut m = b.ring_map(Party(0), name, LEN);
            let (x, mask) = (m.read(x), m.prf(0, stream, 64));
            let sum = m.add(x, mask);
            let sum = m.write(sum, 64);
            m.finish();
            halves(b, sum, [0; 2]).into_iter().flat_map(|half| [take(b, half, None), take(b, half, None)]).collect()
        });
        assert_eq!(found.iter().filter(|step| step.0.ends_with("masked")).count(), 1, "{found:?}");
    }
}
