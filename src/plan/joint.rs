//! Pairs of steps that a device may run as one: an element program on words, and one on planes that takes bits of its
//! results. What nothing but the second reads then needs no memory.

use std::collections::BTreeSet;

use super::course::{Action, Course};
use super::{Access, BufId, Kernel, Plan, Step};

/// Whether the second step takes bits of what the first makes, and reads nothing else of it.
#[must_use]
pub fn are_joint(words: &Step, planes: &Step) -> bool {
    let of_planes = |step: &Step| if let Kernel::Map(program) = &step.kernel { Some(program.planes) } else { None };
    let mut linked = planes.ins.iter().filter(|operand| words.outs.contains(&operand.buf)).peekable();
    words.party == planes.party
        && !words.once
        && !planes.once
        && (of_planes(words), of_planes(planes)) == (Some(false), Some(true))
        && linked.peek().is_some()
        && linked.all(|operand| matches!(operand.access, Access::Bits { .. }))
}

/// What the second of two joint steps takes bits of.
pub fn links<'s>(words: &'s Step, planes: &'s Step) -> impl Iterator<Item = BufId> + 's {
    planes.ins.iter().map(|operand| operand.buf).filter(|id| words.outs.contains(id))
}

/// What joint steps of a course hand to each other without memory: round, step and buffer, for those that read it and, if it
/// [passes](super::passing), for those that make it.
#[must_use]
pub fn near(plan: &Plan, course: &Course, passing: &[bool]) -> BTreeSet<(usize, usize, BufId)> {
    let mut near = BTreeSet::new();
    for (round, action) in course.actions() {
        let Action::Both([first, second]) = action else { continue };
        let steps = &plan.rounds[round].steps;
        for id in links(&steps[*first], &steps[*second]) {
            near.insert((round, *second, id));
            if passing[id.index()] {
                near.insert((round, *first, id));
            }
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
    fn what_others_want_has_words() {
        type Other = fn(&mut Builder, BufId) -> Vec<BufId>;
        let others: [Other; 3] = [
            |b, words| vec![twice(b, words)],
            |b, words| vec![take(b, words, None)],
            |b, words| vec![b.send(words, Party(1), "words")],
        ];
        for (number, other) in others.into_iter().enumerate() {
            let mut b = Builder::new(Format::default());
            let x = b.input(ME, LEN);
            let words = twice(&mut b, x);
            let planes = take(&mut b, words, None);
            let kept = [vec![planes], other(&mut b, words)].concat();
            let plan = b.into_plan(&kept);
            let passes = passing(&plan, ME, &Course::of(&plan, ME));
            let round = &plan.rounds[0];
            let at = |id| round.steps.iter().position(|step| step.outs.contains(&id)).unwrap();
            let both = vec![at(words), at(planes)];
            assert!(launched(&plan).contains(&both), "{number}: {:?}", launched(&plan));
            assert!(!passes[words.index()], "{number}");
            assert_eq!(near(&plan, &Course::of(&plan, ME), &passes), BTreeSet::from([(0, both[1], words)]), "{number}");
        }
    }

    #[test]
    fn what_is_sent_does_not_wait_for_what_only_the_second_reads() {
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
        let x = b.input(ME, LEN);
        let words = twice(&mut b, x);
        let more = twice(&mut b, words);
        let planes = take(&mut b, x, None);
        let plan = b.into_plan(&[more, planes]);
        let steps = &plan.rounds[0].steps;
        assert!(!are_joint(&steps[0], &steps[1]) && !are_joint(&steps[0], &steps[2]));
        assert_eq!(launched(&plan), [[0], [1], [2]]);
        let mut b = Builder::new(Format::default());
        let x = b.input(ME, LEN);
        let words = twice(&mut b, x);
        let planes = take(&mut b, words, None);
        let plan = b.into_plan(&[planes]);
        let [first, second] = &plan.rounds[0].steps[..] else { panic!("two steps") };
        assert!(are_joint(first, second) && !are_joint(second, first));
        for (first, second) in [
            (&Step { once: true, ..first.clone() }, second),
            (first, &Step { once: true, ..second.clone() }),
            (&Step { party: Party(1), ..first.clone() }, second),
        ] {
            assert!(!are_joint(first, second));
        }
    }
}
