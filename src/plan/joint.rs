//! Steps that a device may run as one: element programs of the same elements, of which each next one reads words that those
//! before it read or make. So many words are made, read by the other programs on words, and taken bits of by those on planes
//! while they are in the first-level cache. What is only taken bits of needs no memory.

use std::collections::{BTreeMap, BTreeSet};

use super::course::Course;
use super::program::MOST;
use super::{Access, Buf, BufId, Kernel, Operand, Plan, Program, Step};

/// No more steps run as one.
pub const TOGETHER: usize = 6;

/// Whether an element program may run as one with those that its party runs before it: they have as many elements, and it
/// reads words that they read or make, element by element. Of what they make it reads nothing else.
#[must_use]
pub fn joins(bufs: &[Buf], before: &[&Step], next: &Step) -> bool {
    let Some(program) = program_of(next).filter(|_| before.len() < TOGETHER) else { return false };
    let elements = |step: &Step| step.outs.first().map(|id| (step.party, bufs[id.index()].len));
    let all = || before.iter().copied().chain([next]);
    let most = |count: fn(&Step) -> usize| all().map(count).sum::<usize>() <= MOST;
    let alike = before.iter().all(|step| program_of(step).is_some() && elements(step) == elements(next));
    let fits = most(|step| step.ins.len()) && most(|step| step.streams.len()) && most(|step| step.outs.len());
    if !(alike && fits) {
        return false;
    }
    let mut shares = false;
    for (at, operand) in next.ins.iter().enumerate() {
        let reads_words = in_order(operand) && (program.planes || program.reads_words(at));
        for (step, earlier) in before.iter().filter_map(|step| Some((step, program_of(step)?))) {
            let meets = step.outs.iter().any(|out| meet(bufs, *out, operand.buf));
            let linked = step.outs.contains(&operand.buf) && !earlier.planes && reads_words;
            if meets && !linked {
                return false;
            }
            let is_there = |op: &Operand| op.buf == operand.buf && in_order(op) && bufs[op.buf.index()].width > 1;
            shares |= meets || reads_words && step.ins.iter().any(is_there);
        }
    }
    shares
}

/// Whether a step may run as one with others at all.
#[must_use]
pub fn can_join(step: &Step) -> bool {
    program_of(step).is_some()
}

fn program_of(step: &Step) -> Option<&Program> {
    if let (Kernel::Map(program), false) = (&step.kernel, step.once) { Some(program) } else { None }
}

fn takes_bits(operand: &Operand) -> bool {
    matches!(operand.access, Access::Bits { .. })
}

/// Whether each element is read with the same element of the result.
fn in_order(operand: &Operand) -> bool {
    operand.access == Access::Dense || takes_bits(operand)
}

/// Whether two buffers have words in common.
fn meet(bufs: &[Buf], a: BufId, b: BufId) -> bool {
    let (a, b) = (place(bufs, a), place(bufs, b));
    a.0 == b.0 && a.1 < b.2 && b.1 < a.2
}

/// The storage of a buffer, and from where to where it is there.
pub(super) fn place(bufs: &[Buf], id: BufId) -> (BufId, usize, usize) {
    let buf = &bufs[id.index()];
    let (whole, start) = buf.storage(id);
    (whole, start, start + buf.words())
}

/// What steps of a course that run as one read from a cache: round, step and buffer, for those that read it after another and,
/// if it [passes](super::passing), for those that make it.
#[must_use]
pub fn near(plan: &Plan, course: &Course, passing: &[bool]) -> BTreeSet<(usize, usize, BufId)> {
    let mut near = BTreeSet::new();
    for (round, action) in course.actions() {
        let steps = |at: &usize| &plan.rounds[round].steps[*at];
        let on_planes = |at: &usize| program_of(steps(at)).is_some_and(|program| program.planes);
        let (planes, words): (Vec<usize>, Vec<usize>) = action.steps().iter().partition(|at| on_planes(at));
        // What was read before, and who made it.
        let mut known: BTreeMap<BufId, Option<usize>> = BTreeMap::new();
        for at in words.into_iter().chain(planes) {
            let step = steps(&at);
            let read = || step.ins.iter().filter(|operand| in_order(operand)).map(|operand| operand.buf);
            for (id, maker) in read().filter_map(|id| Some((id, known.get(&id)?))) {
                near.insert((round, at, id));
                near.extend(maker.filter(|_| passing[id.index()]).map(|maker| (round, maker, id)));
            }
            let has_words = |id: &BufId| plan.buf(*id).width > 1;
            read().filter(has_words).for_each(|id| _ = known.entry(id).or_default());
            known.extend(step.outs.iter().copied().filter(has_words).map(|id| (id, Some(at))));
        }
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::build::samples::{take, twice};
    use crate::plan::layout::Layout;
    use crate::plan::passing::passing;
    use crate::plan::{Input, Party};

    const LEN: usize = 640;
    const ME: Party = Party(0);

    fn launched(plan: &Plan) -> Vec<Vec<usize>> {
        let course = Course::of(plan, ME);
        course.actions().map(|(_, action)| action.steps().to_vec()).filter(|steps| !steps.is_empty()).collect()
    }

    #[test]
    fn what_is_taken_next_is_one_with_what_makes_it() {
        let mut b = Builder::new(Format::default());
        let x = b.input(ME, LEN);
        let words = twice(&mut b, x);
        let planes = take(&mut b, words, None);
        let input = Input { node: 0, owner: Some(0), len: LEN, bufs: [[x; 3]; 2] };
        let plan = Plan { owners: vec!["a".to_string()], inputs: vec![input], ..b.into_plan(&[planes]) };
        assert_eq!(launched(&plan), [[0, 1]]);
        let passes = passing(&plan, ME, &Course::of(&plan, ME));
        assert_eq!(plan.rounds[0].steps[0].free, [x]);
        assert_eq!([x, words, planes].map(|id| passes[id.index()]), [false, true, false]);
        // It is written while the operand is still read.
        let layout = Layout::of(&plan, ME, false);
        let [x, planes] = [x, planes].map(|id| layout.place(id).unwrap());
        assert!(planes.start >= x.end, "{planes:?} and {x:?}");
        let near = near(&plan, &Course::of(&plan, ME), &passes);
        assert_eq!(near, BTreeSet::from([(0, 0, words), (0, 1, words)]));
    }

    #[test]
    fn all_that_read_the_same_words_are_one() {
        // What others make of them, whether these are one with the steps before, and whether they leave the words none.
        type Other = fn(&mut Builder, BufId) -> Vec<BufId>;
        let others: [(Other, bool, bool); 4] = [
            (|b, words| vec![take(b, words, None)], true, true),
            (|b, words| vec![twice(b, words)], true, false),
            (|b, words| vec![b.send(words, Party(1), "words")], false, false),
            (
                |b, words| {
                    let kernel = Kernel::Concat { outer: 1, chunks: vec![LEN] };
                    vec![b.launch(ME, kernel, &[words], LEN)]
                },
                false,
                false,
            ),
        ];
        for (number, (other, one, passes)) in others.into_iter().enumerate() {
            let mut b = Builder::new(Format::default());
            let x = b.input(ME, LEN);
            let words = twice(&mut b, x);
            let planes = take(&mut b, words, None);
            let more = other(&mut b, words);
            let plan = b.into_plan(&[vec![planes], more.clone()].concat());
            let known = passing(&plan, ME, &Course::of(&plan, ME));
            let steps = &plan.rounds[0].steps;
            let at = |id: &BufId| steps.iter().position(|step| step.outs.contains(id));
            let mut both: Vec<usize> =
                [words, planes].iter().chain(more.iter().filter(|_| one)).filter_map(at).collect();
            both.sort_unstable();
            assert!(launched(&plan).contains(&both), "{number}: {:?}", launched(&plan));
            assert_eq!(known[words.index()], passes, "{number}");
            let readers = both.iter().filter(|at| passes || !steps[**at].outs.contains(&words));
            let expected: BTreeSet<_> = readers.map(|at| (0, *at, words)).collect();
            assert_eq!(near(&plan, &Course::of(&plan, ME), &known), expected, "{number}");
        }
    }

    #[test]
    fn what_reads_the_same_operand_is_one() {
        let mut b = Builder::new(Format::default());
        let x = b.input(ME, LEN);
        let kept = [take(&mut b, x, None), twice(&mut b, x), take(&mut b, x, None)];
        let plan = b.into_plan(&kept);
        assert_eq!(launched(&plan), [[0, 1, 2]]);
        // The program on words is the first to read it.
        let near = near(&plan, &Course::of(&plan, ME), &[false; 4]);
        assert_eq!(near, BTreeSet::from([(0, 0, x), (0, 2, x)]));
        // No more than so many.
        let mut b = Builder::new(Format::default());
        let x = b.input(ME, LEN);
        let kept: Vec<BufId> = (0..=TOGETHER).map(|_| take(&mut b, x, None)).collect();
        let plan = b.into_plan(&kept);
        assert_eq!(launched(&plan), [(0..TOGETHER).collect(), vec![TOGETHER]]);
    }

    #[test]
    fn what_is_sent_does_not_wait_for_what_only_the_next_reads() {
        for waits in [false, true] {
            let mut b = Builder::new(Format::default());
            let [x, there] = [ME, Party(1)].map(|party| b.input(party, LEN));
            let bit = take(&mut b, there, None);
            let bit = b.send(bit, ME, "bit");
            b.not_before(1);
            let words = twice(&mut b, x);
            let planes = take(&mut b, words, waits.then_some(bit));
            let plan = b.into_plan(&[planes, bit]);
            let wanted = if waits { vec![vec![0], vec![1]] } else { vec![vec![0, 1]] };
            assert_eq!(launched(&plan), wanted);
        }
    }

    #[test]
    fn other_steps_are_apart() {
        let mut b = Builder::new(Format::default());
        let [x, other] = [(); 2].map(|()| b.input(ME, LEN));
        let [shorter, part] = [b.input(ME, LEN / 2), b.part(x, 0, LEN / 2, 0)];
        let planes = take(&mut b, x, None);
        let kept = [
            planes,
            twice(&mut b, other),
            // Of planes that the first makes, and of a part of what it reads.
            take(&mut b, x, Some(planes)),
            twice(&mut b, shorter),
            twice(&mut b, part),
        ];
        let plan = b.into_plan(&kept);
        let steps: Vec<&Step> = plan.rounds[0].steps.iter().collect();
        let [first, next @ ..] = &steps[..] else { panic!("five steps") };
        assert!(next.iter().all(|next| !joins(&plan.bufs, &[first], next)));
        assert_eq!(launched(&plan), [[0], [1], [2], [3], [4]]);

        let mut b = Builder::new(Format::default());
        let x = b.input(ME, LEN);
        let words = twice(&mut b, x);
        let planes = take(&mut b, words, None);
        let plan = b.into_plan(&[planes]);
        let [first, second] = &plan.rounds[0].steps[..] else { panic!("two steps") };
        assert!(joins(&plan.bufs, &[first], second) && !joins(&plan.bufs, &[], second));
        let repeated = Access::Repeat { inner: 1, len: 3, start: 0 };
        let repeats = Operand { access: repeated, ..first.ins[0] };
        let mut crowded = second.clone();
        crowded.ins.extend((0..MOST).map(|_| second.ins[0]));
        for (first, second) in [
            (&Step { once: true, ..first.clone() }, second),
            (first, &Step { once: true, ..second.clone() }),
            (&Step { party: Party(1), ..first.clone() }, second),
            // It reads what the other one does, but not in order.
            (first, &Step { ins: vec![repeats], outs: second.outs.clone(), ..first.clone() }),
            (first, &crowded),
        ] {
            assert!(!joins(&plan.bufs, &[first], second), "{second:?}");
        }
        // A program on words, of bits that one on planes makes.
        let mut b = Builder::new(Format::default());
        let x = b.input(ME, LEN);
        let planes = take(&mut b, x, None);
        let name = "word";
        let mut m = b.ring_map(ME, name, LEN);
        let (x, bit) = (m.read(x), m.bit(planes, 0));
        let sum = m.add(x, bit);
        let sum = m.write(sum, 64);
        m.finish();
        let plan = b.into_plan(&[sum]);
        assert_eq!(launched(&plan), [[0], [1]]);
    }

    #[test]
    fn what_reads_a_result_at_another_place_is_apart() {
        // All of it, half of it, and what another step makes.
        for (start, one) in [(0, true), (LEN / 2, false), (LEN, true)] {
            let mut b = Builder::new(Format::default());
            let x = b.input(ME, LEN);
            let halves = [(); 2].map(|()| twice(&mut b, x));
            let whole = b.join(&halves);
            let part = b.part(whole, start, LEN, 0);
            let name = "sum";
            let mut m = b.ring_map(ME, name, LEN);
            let (x, part) = (m.read(x), m.read(part));
            let sum = m.add(x, part);
            let sum = m.write(sum, 64);
            m.finish();
            let plan = b.into_plan(&[whole, sum]);
            let [first, _, last] = &plan.rounds[0].steps[..] else { panic!("three steps") };
            assert_eq!(joins(&plan.bufs, &[first], last), one, "{start}");
        }
    }
}
