//! Whether what each party receives is masked.
//!
//! # What is checked
//! For each party P, number the planes of all messages that P receives, openings included. Each must be
//! `m_i = g_i + s_i` (or `g_i - s_i`, or exclusive or), where
//! - `s_i` is a stream plane under the key that P lacks, at least as wide as the message, and serves no other message to P;
//! - for some order of the messages, neither `g_i` nor any `m_j` before `m_i` depends on `s_i`. Dependence is followed
//!   through all steps, buffers and messages of all parties, at the grain of whole tensors (of planes, for bits): a part of
//!   a buffer depends on all that the buffer does.
//!
//! # What follows
//! Fix all inputs and all other streams. The map from `(s_1, ..., s_n)` to `(m_1, ..., m_n)` is triangular with
//! coefficients 1 and -1, so it is a bijection: if the streams are uniform, the messages are jointly uniform, whatever
//! the secrets. A simulator that knows P's input shares and keys draws P's messages at random. This covers masks
//! that are forgotten, too narrow, used twice or cancelled, within a message, through a buffer or between messages.
//!
//! An output's two halves must be masked by one stream plane of k1 with opposite signs, which occurs in neither of them
//! otherwise and, as above with P0's half as one more message to P2, masks nothing else: the halves tell their sum only.
//!
//! # What does not follow
//! That the protocol computes what the graph says; anything about parties that deviate or pool their views; what an
//! owner and a party learn together beyond the declared result (the rounding bit of a truncation is a function of
//! the secret and one party's view); that inputs were shared with fresh seeds, that keys are used for one run, and that
//! the runtime and the devices do what the plan says. The check refuses some sound protocols, too.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::Dfs;

use super::VerifyError;
use crate::plan::{Access, BufId, Instr, Kernel, Output, Party, Plan, Program, Reg, Send, Step};

/// A stream plane: key, number, plane.
type Mask = (u8, u32, u16);

/// Checks all messages and outputs of a plan of good form.
pub(super) fn check(plan: &Plan) -> Result<(), VerifyError> {
    let mut flow = Dataflow::new(plan);
    for party in Party::ALL {
        let mut messages = Vec::new();
        for (round, send) in
            plan.rounds.iter().enumerate().flat_map(|(r, round)| round.sends.iter().map(move |s| (r, s)))
        {
            if send.to == party {
                messages.extend((0..plan.buf(send.source).planes).map(|plane| flow.message(round, send, plane)));
            }
        }
        if party == Party(2) {
            messages.extend(plan.outputs.iter().flat_map(|o| flow.output(o)));
        }
        flow.jointly_uniform(&messages)?;
    }
    Ok(())
}

/// Who depends on whom: nodes are stream planes, registers of programs and planes of buffers.
struct Dataflow<'p> {
    plan: &'p Plan,
    graph: DiGraph<(), ()>,
    /// Plane 0 of each buffer; the others follow. Parts have that of the whole.
    bufs: Vec<NodeIndex>,
    masks: BTreeMap<Mask, NodeIndex>,
    /// The element program that writes a buffer, and its first register.
    writers: BTreeMap<BufId, (&'p Step, &'p Program, NodeIndex)>,
}

/// A summand of a value.
#[derive(Clone, Copy)]
struct Summand {
    node: NodeIndex,
    /// The stream plane that it is, if it is one and counts once.
    stream: Option<(Mask, u32)>,
    sign: Sign,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
    Xor,
}

/// A plane that somebody receives.
struct Message<'p> {
    subject: Subject<'p>,
    /// Summands of the value, and for an output those of the other half.
    values: Vec<Vec<Summand>>,
    /// Streams that could mask all of them.
    candidates: Vec<Mask>,
}

enum Subject<'p> {
    Send(usize, &'p Send),
    Output(&'p Output),
}

/// Adds nodes with consecutive numbers and returns the first.
fn nodes(graph: &mut DiGraph<(), ()>, count: usize) -> NodeIndex {
    let first = NodeIndex::new(graph.node_count());
    for _ in 0..count {
        graph.add_node(());
    }
    first
}

fn after(first: NodeIndex, steps: usize) -> NodeIndex {
    NodeIndex::new(first.index() + steps)
}

impl<'p> Dataflow<'p> {
    fn new(plan: &'p Plan) -> Dataflow<'p> {
        let mut graph = DiGraph::new();
        let mut bufs: Vec<NodeIndex> = plan.bufs.iter().map(|buf| nodes(&mut graph, buf.planes)).collect();
        for (at, buf) in plan.bufs.iter().enumerate() {
            bufs[at] = bufs[buf.storage(BufId(at as u32)).0.index()];
        }
        let mut flow = Dataflow { plan, graph, bufs, masks: BTreeMap::new(), writers: BTreeMap::new() };
        for round in &plan.rounds {
            round.steps.iter().for_each(|step| flow.step(step));
            for send in &round.sends {
                for plane in 0..plan.buf(send.source).planes {
                    let (source, target) = (flow.plane(send.source, plane), flow.plane(send.target, plane));
                    flow.graph.add_edge(source, target, ());
                }
            }
        }
        flow
    }

    fn plane(&self, buf: BufId, plane: usize) -> NodeIndex {
        after(self.bufs[buf.index()], plane)
    }

    fn step(&mut self, step: &'p Step) {
        let Kernel::Map(program) = &step.kernel else {
            for (operand, out) in step.ins.iter().flat_map(|i| step.outs.iter().map(move |o| (i.buf, *o))) {
                for to in 0..self.plan.buf(out).planes {
                    for from in 0..self.plan.buf(operand).planes {
                        self.graph.add_edge(self.plane(operand, from), self.plane(out, to), ());
                    }
                }
            }
            return;
        };
        let first = nodes(&mut self.graph, program.code.len());
        for (at, instr) in program.code.iter().enumerate() {
            let here = after(first, at);
            for operand in instr.operands() {
                self.graph.add_edge(after(first, usize::from(operand.0)), here, ());
            }
            match *instr {
                Instr::In { input, plane } | Instr::BitOf { input, plane } => {
                    let operand = step.ins[usize::from(input)];
                    let words = matches!(operand.access, Access::Bits { .. });
                    let from = self.plane(operand.buf, if words { 0 } else { usize::from(plane) });
                    self.graph.add_edge(from, here, ());
                }
                Instr::Prf { stream, plane } => {
                    let stream = step.streams[usize::from(stream)];
                    let mask = (stream.key, stream.id, plane);
                    let node = *self.masks.entry(mask).or_insert_with(|| self.graph.add_node(()));
                    self.graph.add_edge(node, here, ());
                }
                Instr::Out { output, plane, .. } => {
                    let to = self.plane(step.outs[usize::from(output)], usize::from(plane));
                    self.graph.add_edge(here, to, ());
                }
                _ => {}
            }
        }
        self.writers.extend(step.outs.iter().map(|out| (*out, (step, &**program, first))));
    }

    fn message(&self, round: usize, send: &'p Send, plane: usize) -> Message<'p> {
        let value = self.summands(send.source, plane);
        let width = self.plan.buf(send.source).width;
        let masks = value.iter().filter_map(|s| s.stream);
        let masks = masks.filter(|((key, ..), bits)| !send.to.holds_key(*key) && *bits >= width);
        Message {
            candidates: masks.map(|(mask, _)| mask).collect(),
            subject: Subject::Send(round, send),
            values: vec![value],
        }
    }

    /// The halves of an output, or of each of its parts if they are written in parts. Parts of one half that are none of the other
    /// have no mask.
    fn output(&self, output: &'p Output) -> Vec<Message<'p>> {
        let [first, second] = output.bufs.map(|id| self.parts(id));
        let places = first.keys().chain(second.keys()).collect::<BTreeSet<_>>();
        let halves = places.into_iter().map(|place| [&first, &second].map(|parts| parts.get(place).copied()));
        halves.map(|halves| self.halves(output, halves)).collect()
    }

    /// What a buffer is written in by element programs, by first element and length; the buffer itself if that is not all of it.
    fn parts(&self, whole: BufId) -> BTreeMap<(usize, usize), BufId> {
        let place = |id: &BufId| {
            let (of, start) = self.plan.buf(*id).storage(*id);
            (of == whole).then(|| ((start, self.plan.buf(*id).len), *id))
        };
        let written = self.writers.keys().filter_map(place).collect::<BTreeMap<_, _>>();
        let len = self.plan.buf(whole).len;
        // Parts do not overlap.
        let all = written.keys().map(|(_, len)| len).sum::<usize>() == len;
        if all { written } else { BTreeMap::from([((0, len), whole)]) }
    }

    fn halves(&self, output: &'p Output, halves: [Option<BufId>; 2]) -> Message<'p> {
        let [first, second] = halves.map(|half| half.map_or_else(Vec::new, |id| self.summands(id, 0)));
        let width = self.plan.buf(output.bufs[0]).width;
        let cancels = |s: &Summand, mask: Mask| {
            let other = second.iter().find(|o| o.stream.is_some_and(|(m, _)| m == mask));
            other.is_some_and(|o| matches!((s.sign, o.sign), (Sign::Plus, Sign::Minus) | (Sign::Minus, Sign::Plus)))
        };
        let masks = first.iter().filter_map(|s| s.stream.map(|(mask, bits)| (s, mask, bits)));
        let masks = masks.filter(|(s, mask, bits)| mask.0 == 1 && *bits >= width && cancels(s, *mask));
        Message {
            candidates: masks.map(|(_, mask, _)| mask).collect(),
            subject: Subject::Output(output),
            values: vec![first, second],
        }
    }

    /// The summands of a plane that an element program writes: none for other kernels, whose results are never masked.
    fn summands(&self, buf: BufId, plane: usize) -> Vec<Summand> {
        let Some((step, program, first)) = self.writers.get(&buf) else { return Vec::new() };
        let root = program.code.iter().find_map(|instr| match *instr {
            Instr::Out { output, plane: p, value } => {
                (step.outs[usize::from(output)] == buf && usize::from(p) == plane).then_some(value)
            }
            _ => None,
        });
        let mut summands = Vec::new();
        let mut seen = BTreeSet::new();
        let mut stack: Vec<(Reg, Sign)> = root.into_iter().map(|r| (r, Sign::Plus)).collect();
        // All additions of a value are of one kind: modulo 2^64, or exclusive or.
        let mut xor = None;
        while let Some((reg, sign)) = stack.pop() {
            let first_time = seen.insert(reg);
            let flipped = if sign == Sign::Plus { Sign::Minus } else { Sign::Plus };
            match program.code[usize::from(reg.0)] {
                Instr::Add(a, b) if first_time && xor != Some(true) => {
                    xor = Some(false);
                    stack.extend([(a, sign), (b, sign)]);
                }
                Instr::Sub(a, b) if first_time && xor != Some(true) => {
                    xor = Some(false);
                    stack.extend([(a, sign), (b, flipped)]);
                }
                Instr::Xor(a, b) if first_time && xor != Some(false) => {
                    xor = Some(true);
                    stack.extend([(a, Sign::Xor), (b, Sign::Xor)]);
                }
                instr => {
                    let stream = match instr {
                        Instr::Prf { stream, plane } if first_time => {
                            let stream = step.streams[usize::from(stream)];
                            Some(((stream.key, stream.id, plane), stream.bits))
                        }
                        _ => None,
                    };
                    summands.push(Summand { node: after(*first, usize::from(reg.0)), stream, sign });
                }
            }
        }
        summands
    }

    /// Gives each message a mask and looks for an order.
    fn jointly_uniform(&mut self, messages: &[Message<'p>]) -> Result<(), VerifyError> {
        // Messages with a choice (openings) take what the others leave.
        let mut order: Vec<usize> = (0..messages.len()).collect();
        order.sort_by_key(|i| messages[*i].candidates.len());
        let mut taken = BTreeSet::new();
        let flow = self.graph.node_count();
        let mut masked = Vec::new();
        for message in order.into_iter().map(|i| &messages[i]) {
            let mask = match message.candidates.iter().find(|mask| taken.insert(**mask)) {
                Some(mask) => *mask,
                None if message.candidates.is_empty() => return Err(message.error("it is not masked")),
                None => return Err(message.error("its mask serves another message")),
            };
            for value in &message.values {
                // What remains of the value without its mask comes before the mask.
                let node = self.graph.add_node(());
                let rest = value.iter().filter(|s| s.stream.is_none_or(|(m, _)| m != mask));
                let twice = value.iter().filter(|s| s.stream.is_some_and(|(m, _)| m == mask)).skip(1);
                for summand in rest.chain(twice) {
                    self.graph.add_edge(summand.node, node, ());
                }
                self.graph.add_edge(node, self.masks[&mask], ());
                masked.push((message, node, mask));
            }
        }
        if toposort(&self.graph, None).is_ok() {
            // Other parties' messages come after the dataflow alone.
            for node in (flow..self.graph.node_count()).rev() {
                self.graph.remove_node(NodeIndex::new(node));
            }
            return Ok(());
        }
        let circular = masked.iter().find(|(_, node, mask)| {
            let mut search = Dfs::new(&self.graph, self.masks[mask]);
            std::iter::from_fn(|| search.next(&self.graph)).any(|found| found == *node)
        });
        let (message, _, (key, id, plane)) = circular.expect("without the masks' edges the plan has no circle");
        Err(message.error(&format!("its mask k{key}#{id} plane {plane} occurs in it again, or in an earlier message")))
    }
}

impl Message<'_> {
    fn error(&self, what: &str) -> VerifyError {
        let what = what.to_string();
        match self.subject {
            Subject::Send(round, Send { from, to, name, .. }) => {
                VerifyError::Mask { round, from: *from, to: *to, name: name.clone(), what }
            }
            Subject::Output(Output { name, .. }) => VerifyError::Output { name: name.clone(), what },
        }
    }
}
