//! The plan's rules, checked on its text before anything runs.
//!
//! *Form*: every element of a buffer is written once, and before it is used, at its own party, in a round in which it is
//! there and not freed; programs read and write planes that exist; a stream number has one element width and one length
//! in the whole plan, so that no keystream bytes are drawn under two names.
//!
//! *Masks*: see [`masks`]. A plan that passes shows each party messages that are jointly uniform whatever the secrets.

mod masks;

use std::collections::{BTreeMap, BTreeSet};

use super::{Access, BufId, Instr, Kernel, Part, Party, Plan, Program, Send, Step, Stream, are_places};
use crate::graph::{MAX_ELEMENTS, Receiver};
use crate::label::Label;

/// A broken rule: a mistake of the compiler or a damaged plan file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A rule of form.
    #[error("round {round}: {what}")]
    Structure {
        /// Index into the plan's rounds.
        round: usize,
        /// What is wrong.
        what: String,
    },
    /// A message from which its receiver could learn something.
    #[error("round {round}: {from} -> {to} `{name}`: {what}")]
    Mask {
        /// Index into the plan's rounds.
        round: usize,
        /// Sender.
        from: Party,
        /// Receiver.
        to: Party,
        /// The message's name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// An output whose halves say more than their sum.
    #[error("output `{name}`: {what}")]
    Output {
        /// The output's name.
        name: String,
        /// What is wrong.
        what: String,
    },
}

/// Checks a plan.
///
/// # Errors
/// Names the first rule that is broken.
pub fn verify(plan: &Plan) -> Result<(), VerifyError> {
    let end = plan.rounds.len();
    let error = |round: usize| move |what: String| VerifyError::Structure { round, what };
    header(plan).map_err(error(0))?;
    let (there, freed, streams) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    let mut form = Form { plan, there, freed, streams, begun: [false; 3] };
    form.inputs().map_err(error(0))?;
    for (index, round) in plan.rounds.iter().enumerate() {
        for step in &round.steps {
            form.step(step).map_err(error(index))?;
            form.frees(&step.free, step.party).map_err(error(index))?;
        }
        for send in &round.sends {
            form.send(send).map_err(error(index))?;
            form.frees(&send.free, send.from).map_err(error(index))?;
        }
        for send in &round.sends {
            form.arrives(send.target).map_err(error(index))?;
        }
    }
    form.outputs().map_err(error(end))?;
    masks::check(plan)
}

/// A buffer has at most so many planes: those of a comparison in blocks of up to 10 bits.
const MAX_PLANES: usize = 1 << 12;

/// The number format, the owners, and sizes with which arithmetic does not overflow.
fn header(plan: &Plan) -> Result<(), String> {
    plan.format.validate().map_err(|e| e.to_string())?;
    ensure(plan.owners.len() <= Label::MAX_OWNERS, || "too many owners".to_string())?;
    for (index, buf) in plan.bufs.iter().enumerate() {
        let sound = (1..=64).contains(&buf.width) && (buf.planes == 1 || buf.width == 1);
        ensure(sound && (1..=MAX_PLANES).contains(&buf.planes), || {
            format!("b{index} is neither of words nor of planes")
        })?;
        ensure((1..=MAX_ELEMENTS).contains(&buf.len), || format!("b{index} has {} elements", buf.len))?;
    }
    for (index, buf) in plan.bufs.iter().enumerate() {
        let Some(Part { of, start }) = buf.part else { continue };
        let within = plan.bufs.get(of.index()).is_some_and(|whole| {
            let alike = (whole.party, whole.width, whole.planes) == (buf.party, buf.width, buf.planes);
            alike && whole.part.is_none() && start.checked_add(buf.len).is_some_and(|end| end <= whole.len)
        });
        ensure(within && buf.width > 1, || format!("b{index} is no part of {of}"))?;
    }
    let known = |owner: u32| (owner as usize) < plan.owners.len();
    for input in &plan.inputs {
        ensure(input.owner.is_none_or(known), || format!("the input %{} is of an unknown owner", input.node))?;
    }
    for output in &plan.outputs {
        let receiver = match output.to {
            Receiver::Owner(owner) => known(owner.0),
            Receiver::All => true,
        };
        ensure(receiver, || format!("output `{}` is for an unknown owner", output.name))?;
        ensure(output.scale < plan.format.ring, || {
            format!("output `{}` has more fraction bits than bits", output.name)
        })?;
    }
    Ok(())
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

struct Form<'p> {
    plan: &'p Plan,
    /// The ranges of elements that are there, in buffers with storage of their own: by where they begin, where they end.
    there: BTreeMap<BufId, BTreeMap<usize, usize>>,
    /// Those whose storage was given back.
    freed: BTreeSet<BufId>,
    /// Whether a party has a step that is for one run.
    begun: [bool; 3],
    /// Element width and words a plane of each stream number.
    streams: BTreeMap<u32, (u32, usize)>,
}

impl Form<'_> {
    /// The buffer exists and is this party's.
    fn owned(&self, id: BufId, party: Party) -> Result<(), String> {
        let buf = self.plan.bufs.get(id.index()).ok_or_else(|| format!("{id} does not exist"))?;
        ensure(party.0 < 3, || format!("there is no {party}"))?;
        ensure(buf.party == party, || format!("{party} uses {id}, which is {}'s", buf.party))
    }

    /// The buffer can be used by this party now.
    fn usable(&self, id: BufId, party: Party) -> Result<(), String> {
        self.owned(id, party)?;
        let (whole, start, end) = self.range(id);
        let ranges = self.there.get(&whole);
        let covers = ranges.and_then(|r| r.range(..=start).next_back()).is_some_and(|(_, last)| end <= *last);
        ensure(covers, || format!("{id} is used before it is there"))?;
        ensure(!self.freed.contains(&whole), || format!("{id} is used after it was freed"))
    }

    /// The buffer with the storage, and which of its elements are meant.
    fn range(&self, id: BufId) -> (BufId, usize, usize) {
        let buf = self.plan.buf(id);
        let (whole, start) = buf.storage(id);
        (whole, start, start + buf.len)
    }

    fn arrives(&mut self, id: BufId) -> Result<(), String> {
        let (whole, mut start, mut end) = self.range(id);
        ensure(!self.freed.contains(&whole), || format!("{id} is written after it was freed"))?;
        let ranges = self.there.entry(whole).or_default();
        let before = ranges.range(..end).next_back().map(|(first, last)| (*first, *last));
        ensure(before.is_none_or(|(_, last)| last <= start), || format!("{id} is written twice"))?;
        // Neighbours become one range.
        if let Some((first, last)) = before
            && last == start
        {
            start = first;
        }
        if let Some(last) = ranges.remove(&end) {
            end = last;
        }
        ranges.insert(start, end);
        Ok(())
    }

    /// Storage that a party gives back.
    fn frees(&mut self, ids: &[BufId], party: Party) -> Result<(), String> {
        for id in ids {
            self.owned(*id, party)?;
            let there = self.plan.buf(*id).part.is_none() && self.there.contains_key(id);
            ensure(there && self.freed.insert(*id), || format!("{id} is freed, which holds no storage"))?;
        }
        Ok(())
    }

    fn inputs(&mut self) -> Result<(), String> {
        for input in &self.plan.inputs {
            let rows = if input.owner.is_none() && input.bufs[0] == input.bufs[1] { 1 } else { 2 };
            for row in &input.bufs[..rows] {
                for (party, id) in Party::ALL.iter().zip(row) {
                    self.owned(*id, *party)?;
                    self.arrives(*id)?;
                    ensure(self.plan.buf(*id).part.is_none(), || format!("{id} is an input and a part"))?;
                    let len = self.plan.buf(*id).len;
                    ensure(len == input.len, || format!("{id} has {len} elements of an input of {}", input.len))?;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        for operand in &step.ins {
            self.usable(operand.buf, step.party)?;
            let addressed = !matches!(operand.access, Access::Repeat { inner: 0, .. } | Access::Repeat { len: 0, .. });
            ensure(addressed, || format!("{} is read by an axis without elements", operand.buf))?;
        }
        let inputs = || step.ins.iter().all(|operand| self.plan.is_input(operand.buf));
        let whole = || step.outs.iter().all(|id| self.plan.buf(*id).part.is_none());
        ensure(!step.once || step.streams.is_empty() && inputs() && whole(), || {
            "a step for all runs draws a stream, reads what is no input, or writes a part".to_string()
        })?;
        // Where another result was, one of these could not stay.
        let begun = &mut self.begun[step.party.index()];
        *begun |= !step.once;
        ensure(!step.once || !*begun, || "a step for all runs comes behind one that is not".to_string())?;
        let mut used: Vec<BufId> = step.ins.iter().map(|i| self.range(i.buf).0).collect();
        for out in &step.outs {
            self.owned(*out, step.party)?;
            let whole = self.range(*out).0;
            ensure(!used.contains(&whole), || format!("{whole} is written while it is in use"))?;
            used.push(whole);
            self.arrives(*out)?;
        }
        let stride = |id: &BufId| self.plan.buf(*id).stride();
        let words = step.outs.first().map(stride).ok_or("a step without a result")?;
        let Kernel::Map(program) = &step.kernel else {
            let what = || "another number of results than its kernel has".to_string();
            let results = if let Kernel::Lookup(table) = &step.kernel { table.terms.len() } else { 1 };
            ensure(step.outs.len() == results, what)?;
            ensure(step.streams.is_empty(), || "only element programs draw streams".to_string())?;
            let sound = match &step.kernel {
                Kernel::OneHot { places, shift, .. } | Kernel::Rotate { places, shift } => are_places(*places, *shift),
                Kernel::Lookup(table) => table.is_sound(),
                _ => true,
            };
            ensure(sound, || "a table whose sizes do not fit together".to_string())?;
            let ring = |id: BufId| self.plan.buf(id).planes == 1;
            let words = step.ins.iter().all(|i| ring(i.buf));
            let dense = step.ins.iter().all(|i| i.access == Access::Dense);
            ensure(dense, || "only element programs address operands otherwise than word by word".to_string())?;
            let results = step.outs.iter().all(|o| ring(*o));
            return ensure(words && results, || "only element programs take several planes".to_string());
        };
        ensure(step.outs.iter().all(|o| stride(o) == words), || {
            format!("results of program `{}` differ in size", program.name)
        })?;
        for stream in &step.streams {
            self.stream(stream, step.party, program, words)?;
        }
        self.program(step, program).map_err(|what| format!("program `{}`: {what}", program.name))
    }

    fn stream(&mut self, stream: &Stream, party: Party, program: &Program, words: usize) -> Result<(), String> {
        let Stream { key, id, bits } = *stream;
        ensure(party.holds_key(key), || format!("{party} draws from k{key}, which it does not hold"))?;
        let sound = (1..=64).contains(&bits) && (bits == 1) == program.planes;
        ensure(sound, || format!("program `{}` draws {bits} bits", program.name))?;
        // Another width or length would read the same keystream bytes at other positions.
        let first = *self.streams.entry(id).or_insert((bits, words));
        ensure(first == (bits, words), || format!("stream #{id} is drawn in two ways"))
    }

    /// Registers are set before they are read; planes exist; every plane of every result is written once.
    fn program(&self, step: &Step, program: &Program) -> Result<(), String> {
        let mut written = BTreeSet::new();
        for (at, instr) in program.code.iter().enumerate() {
            let set = |r: super::Reg| {
                let r = usize::from(r.0);
                r < at && !matches!(program.code[r], Instr::Out { .. })
            };
            ensure(instr.operands().all(set), || "a register is read before it is set".to_string())?;
            let operand = |input: u16| step.ins.get(usize::from(input)).map(|o| (self.plan.buf(o.buf), o.access));
            let fits = match *instr {
                Instr::In { input, plane } => operand(input).is_some_and(|(b, access)| match access {
                    Access::Bits { from, .. } => {
                        b.width > 1 && program.planes && u64::from(from) + u64::from(plane) < u64::from(b.width)
                    }
                    _ => (b.width == 1) == program.planes && usize::from(plane) < b.planes,
                }),
                Instr::BitOf { input, plane } => operand(input).is_some_and(|(b, access)| {
                    let bits = b.width == 1 && !matches!(access, Access::Bits { .. });
                    bits && !program.planes && usize::from(plane) < b.planes
                }),
                Instr::Prf { stream, plane } => {
                    usize::from(stream) < step.streams.len() && (program.planes || plane == 0)
                }
                Instr::Out { output, plane, .. } => {
                    let buf = step.outs.get(usize::from(output)).map(|o| self.plan.buf(*o));
                    buf.is_some_and(|b| (b.width == 1) == program.planes && usize::from(plane) < b.planes)
                        && written.insert((output, plane))
                }
                Instr::Shl(_, bits) | Instr::Shr(_, bits) => bits < 64,
                _ => true,
            };
            ensure(fits, || format!("{instr:?} does not fit its operands"))?;
        }
        let planes: usize = step.outs.iter().map(|o| self.plan.buf(*o).planes).sum();
        ensure(written.len() == planes, || "a plane of a result is never written".to_string())
    }

    fn send(&self, send: &Send) -> Result<(), String> {
        self.usable(send.source, send.from)?;
        self.owned(send.target, send.to)?;
        ensure(send.from != send.to, || format!("{} sends to itself", send.from))?;
        let (source, target) = (self.plan.buf(send.source), self.plan.buf(send.target));
        ensure(source.part.is_none() && target.part.is_none(), || "a part of a buffer travels".to_string())?;
        let alike = (source.len, source.planes, source.width) == (target.len, target.planes, target.width);
        ensure(alike, || format!("{} and {} differ in size", send.source, send.target))
    }

    fn outputs(&self) -> Result<(), String> {
        let mut names = std::collections::BTreeSet::new();
        for output in &self.plan.outputs {
            ensure(names.insert(&output.name), || format!("two outputs `{}`", output.name))?;
            for (id, party) in output.bufs.iter().zip([Party(0), Party(1)]) {
                self.usable(*id, party)?;
                let (buf, first) = (self.plan.buf(*id), self.plan.buf(output.bufs[0]));
                let len = output.shape.iter().fold(1usize, |len, n| len.saturating_mul(*n));
                let sound = buf.part.is_none()
                    && buf.width > 1
                    && (buf.len, buf.width) == (first.len, first.width)
                    && len == buf.len;
                ensure(sound, || format!("the halves of output `{}` differ in size", output.name))?;
            }
        }
        Ok(())
    }
}
