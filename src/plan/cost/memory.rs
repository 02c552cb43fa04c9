//! How many bytes of buffers are live at each party, from the plan's own lists of what dies when.
//!
//! Counted are the words of buffers as a device holds them: inputs before the first round, results from their launch on,
//! received buffers from when their message is taken ([`Course`]), each until the step or the round that frees it. Not
//! counted are payloads on their way, and what a device keeps for itself.

use std::collections::BTreeMap;

use crate::plan::course::{Action, Course};
use crate::plan::{BufId, Party, Plan};
use crate::span::Span;

/// Live bytes over a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The most bytes at each party.
    pub peak: [u64; 3],
    /// The expression whose step or transfer makes the most of it; `None` before the first round.
    pub at: [Option<Span>; 3],
    /// The most bytes at any party while an expression's steps run, or when what it sends arrives.
    pub lines: BTreeMap<Span, u64>,
}

/// Follows the buffers of a plan.
#[must_use]
pub fn memory(plan: &Plan) -> Memory {
    let mut live = Live { plan, there: vec![false; plan.bufs.len()], bytes: [0; 3], memory: Memory::default() };
    for input in &plan.inputs {
        for id in input.bufs.iter().flatten() {
            live.add(*id);
        }
    }
    Party::ALL.into_iter().for_each(|party| live.note(party, None));
    for party in Party::ALL {
        for (number, action) in Course::of(plan, party).actions() {
            match action {
                Action::Launch(_) => {
                    let steps = || action.steps().iter().map(|at| &plan.rounds[number].steps[*at]);
                    steps().flat_map(|step| &step.outs).for_each(|id| live.add(*id));
                    steps().rev().for_each(|step| live.note(party, step.span));
                    steps().flat_map(|step| &step.free).for_each(|id| live.free(*id));
                }
                Action::Begin(_) | Action::Send(_) => {}
                Action::Receive(piece) => {
                    for send in piece.sends.iter().map(|at| &plan.rounds[piece.round].sends[*at]) {
                        live.add(send.target);
                        live.note(party, send.span);
                    }
                }
                Action::Free => {
                    let sends = plan.rounds[number].sends.iter().filter(|send| send.from == party);
                    sends.flat_map(|send| &send.free).for_each(|id| live.free(*id));
                }
            }
        }
    }
    live.memory
}

/// Buffers in the middle of a plan.
struct Live<'p> {
    plan: &'p Plan,
    there: Vec<bool>,
    bytes: [u64; 3],
    memory: Memory,
}

impl Live<'_> {
    /// A part stands for the buffer that it is a part of: that is there from the first part on.
    fn add(&mut self, id: BufId) {
        let id = self.plan.buf(id).storage(id).0;
        if !std::mem::replace(&mut self.there[id.index()], true) {
            let buf = self.plan.buf(id);
            let bytes = &mut self.bytes[buf.party.index()];
            *bytes = bytes.saturating_add(buf.memory_bytes());
        }
    }

    fn free(&mut self, id: BufId) {
        let id = self.plan.buf(id).storage(id).0;
        if std::mem::replace(&mut self.there[id.index()], false) {
            let buf = self.plan.buf(id);
            let bytes = &mut self.bytes[buf.party.index()];
            *bytes = bytes.saturating_sub(buf.memory_bytes());
        }
    }

    fn note(&mut self, party: Party, span: Option<Span>) {
        let bytes = self.bytes[party.index()];
        if bytes > self.memory.peak[party.index()] {
            self.memory.peak[party.index()] = bytes;
            self.memory.at[party.index()] = span;
        }
        if let Some(span) = span {
            let most = self.memory.lines.entry(span).or_default();
            *most = (*most).max(bytes);
        }
    }
}
