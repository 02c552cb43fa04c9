//! Buffers that need no memory of their own: what they hold is only ever read from a message, only ever written to one, or whose
//! bits are only taken by steps that run as one with the step that makes it.
//!
//! A device that computes into the messages it sends and from those it receives, or runs steps as [one](super::joint),
//! need not write these buffers' words out.

use super::course::Course;
use super::{Access, Kernel, Party, Plan};

/// What a party does with a buffer.
#[derive(Clone, Copy, Debug, Default)]
struct Uses {
    /// The round of the element program that writes it.
    made: Option<usize>,
    /// The round in which it is sent.
    sent: Option<usize>,
    /// The round in which it was sent to the party, which has it in the next.
    taken: Option<usize>,
    /// The last round in which an element program reads it, element by element.
    read: Option<usize>,
    /// Whether a step that runs as one with the one that makes it takes its bits.
    near: bool,
    /// Whether anything else is done with it.
    other: bool,
}

impl Uses {
    /// An element program's result that is sent once, in the same round, and never read; or what is received and read by
    /// element programs alone, all of them in the round in which it comes; or of which only steps that run as one with its
    /// maker take bits.
    fn pass(&self) -> bool {
        match (self.made, self.sent, self.taken, self.read) {
            _ if self.other => false,
            (Some(made), Some(sent), None, None) => made == sent && !self.near,
            (Some(_), None, None, None) => self.near,
            (None, None, Some(taken), Some(read)) => read == taken + 1,
            _ => false,
        }
    }
}

/// For each buffer of the plan, whether it is the party's and needs no memory of its own; the course is the party's.
#[must_use]
pub fn passing(plan: &Plan, party: Party, course: &Course) -> Vec<bool> {
    let mut uses = vec![Uses::default(); plan.bufs.len()];
    let mut note = |id: super::BufId, what: &mut dyn FnMut(&mut Uses)| {
        if let Some(found) = uses.get_mut(id.index()) {
            what(found);
        }
    };
    for buf in &plan.bufs {
        buf.part.iter().for_each(|part| note(part.of, &mut |uses| uses.other = true));
    }
    let given = plan.inputs.iter().flat_map(|input| input.bufs.iter().flatten());
    let kept = plan.outputs.iter().flat_map(|output| &output.bufs);
    given.chain(kept).for_each(|id| note(*id, &mut |uses| uses.other = true));
    for (number, action) in course.actions() {
        let steps = || action.steps().iter().map(|at| &plan.rounds[number].steps[*at]);
        let made = |id| steps().any(|step| step.outs.contains(&id));
        for step in steps() {
            let program = if let Kernel::Map(program) = &step.kernel { Some(program) } else { None };
            for (at, operand) in step.ins.iter().enumerate() {
                let by_words = program.is_some_and(|program| program.reads_words(at));
                let plain = operand.access == Access::Dense && by_words;
                let near = made(operand.buf);
                note(operand.buf, &mut |uses| match plain {
                    true => uses.read = uses.read.max(Some(number)),
                    false if near => uses.near = true,
                    false => uses.other = true,
                });
            }
            step.outs.iter().for_each(|id| {
                note(*id, &mut |uses| if program.is_some() { uses.made = Some(number) } else { uses.other = true });
            });
        }
    }
    for (number, round) in plan.rounds.iter().enumerate() {
        for send in &round.sends {
            if send.from == party {
                note(send.source, &mut |uses| uses.other |= uses.sent.replace(number).is_some());
            }
            if send.to == party {
                note(send.target, &mut |uses| uses.taken = Some(number));
            }
        }
    }
    let mine = |buf: &super::Buf| buf.party == party && buf.part.is_none();
    plan.bufs.iter().zip(uses).map(|(buf, uses)| mine(buf) && uses.pass()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::build::samples::twice;
    use crate::plan::{BufId, View};

    const LEN: usize = 64;

    fn copy(b: &mut Builder, x: BufId, party: Party) -> BufId {
        let view = View { shape: vec![LEN], strides: vec![1], start: 0, bounds: vec![], fill: 0 };
        b.launch(party, Kernel::Copy(view), &[x], LEN)
    }

    #[test]
    fn what_only_messages_have_passes() {
        let [p0, p1, p2] = Party::ALL;
        let mut b = Builder::new(Format::default());
        let x = b.input(p0, LEN);
        let sent = twice(&mut b, x);
        let taken = b.send(sent, p1, "once");
        let result = twice(&mut b, taken);
        // Sent twice; read where it was made; made by another kernel; sent later.
        let both = twice(&mut b, x);
        let [to1, to2] = [p1, p2].map(|party| b.send(both, party, "both"));
        let read = twice(&mut b, x);
        let far = b.send(read, p2, "read");
        let reader = twice(&mut b, read);
        let moved = copy(&mut b, x, p0);
        let late = twice(&mut b, x);
        // Read by another kernel; sent on; read a round later.
        let to1 = copy(&mut b, to1, p1);
        let on = b.send(to2, p0, "on");
        let copied = b.send(moved, p2, "moved");
        let far_sum = twice(&mut b, far);
        b.not_before(b.ready(on));
        let kept = [result, reader, to1, on, far_sum].to_vec();
        let next = twice(&mut b, copied);
        let late = b.send(late, p1, "late");
        let last = twice(&mut b, late);
        let plan = b.into_plan(&[&kept[..], &[next, last]].concat());
        let all = Party::ALL.map(|party| passing(&plan, party, &Course::of(&plan, party)));
        let passes = |id: BufId| all.iter().any(|passing| passing[id.index()]);
        assert!(passes(sent) && passes(taken) && passes(far));
        for id in [x, both, read, moved, to2, result, on] {
            assert!(!passes(id), "{id}");
        }
        // Each is one party's.
        assert!(all[0][sent.index()] && all[1][taken.index()] && !all[1][sent.index()]);
    }
}
