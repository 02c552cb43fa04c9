//! The plan's rules, checked on its text before anything runs.
//!
//! Besides being well formed (every buffer written once and before it is used, at its own party, in a round in which it is
//! there) a plan must be *masked*: each message is a value plus a stream whose key the receiver lacks, that mask occurs
//! nowhere else in the message, and no two messages share a mask. Only messages marked as openings are exempt; they carry
//! a share of a random bit that masks no other opening.
//!
//! This is a syntactic check of a sufficient condition. It does not prove the protocols, which `docs/protocols.md`
//! argues one by one; it makes a forgotten or reused mask a compile-time error.

use std::collections::{BTreeMap, BTreeSet};

use super::{BufId, Instr, Kernel, Party, Plan, Reg, Send, Step};

/// A broken rule: a mistake of the compiler or a damaged plan file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A structural rule.
    #[error("round {round}: {what}")]
    Structure {
        /// Index into the plan's rounds.
        round: usize,
        /// What is wrong.
        what: String,
    },
    /// A message that its receiver could read, or that shares its mask with another.
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
}

/// A stream plane: key, number, plane.
type Mask = (u8, u32, u16);

/// Checks a plan.
///
/// # Errors
/// Names the first rule that is broken.
pub fn verify(plan: &Plan) -> Result<(), VerifyError> {
    let mut there: BTreeSet<BufId> = BTreeSet::new();
    let mut checker = Checker { plan, writers: BTreeMap::new(), masks: BTreeSet::new(), openings: BTreeMap::new() };
    for input in &plan.inputs {
        for row in &input.bufs {
            for (party, id) in Party::ALL.iter().zip(row) {
                checker.buffer(0, *id, *party)?;
                there.insert(*id);
            }
        }
    }
    for (index, round) in plan.rounds.iter().enumerate() {
        for step in &round.steps {
            checker.step(index, step, &mut there)?;
        }
        let mut arriving = Vec::new();
        for send in &round.sends {
            checker.send(index, send, &there)?;
            arriving.push(send.target);
        }
        for id in arriving {
            if !there.insert(id) {
                return Err(VerifyError::Structure { round: index, what: format!("{id} arrives twice") });
            }
        }
    }
    for output in &plan.outputs {
        for (id, party) in output.bufs.iter().zip([Party(0), Party(1)]) {
            checker.buffer(plan.rounds.len(), *id, party)?;
            if !there.contains(id) {
                return Err(VerifyError::Structure {
                    round: plan.rounds.len(),
                    what: format!("output {id} is never written"),
                });
            }
        }
        // Owners may work with any party, so each half is masked: by the same stream of k1, which cancels in the sum.
        let half = |id: &BufId| checker.writers.get(id).and_then(|step| mask(step, *id, |key| key == 1));
        let (first, second) = (half(&output.bufs[0]), half(&output.bufs[1]));
        let Some(mask) = first.filter(|_| first == second) else {
            let what = format!("output `{}` is not masked", output.name);
            return Err(VerifyError::Structure { round: plan.rounds.len(), what });
        };
        if !checker.masks.insert(mask) {
            let what = format!("the mask of output `{}` serves another message", output.name);
            return Err(VerifyError::Structure { round: plan.rounds.len(), what });
        }
    }
    Ok(())
}

struct Checker<'p> {
    plan: &'p Plan,
    writers: BTreeMap<BufId, &'p Step>,
    /// Masks in use.
    masks: BTreeSet<Mask>,
    /// Random bits in use by openings: stream number and sender to what it sends.
    openings: BTreeMap<(u32, Party), BufId>,
}

impl<'p> Checker<'p> {
    fn buffer(&self, round: usize, id: BufId, party: Party) -> Result<(), VerifyError> {
        match self.plan.bufs.get(id.index()) {
            Some(buf) if buf.party == party => Ok(()),
            Some(buf) => {
                Err(VerifyError::Structure { round, what: format!("{party} uses {id}, which is {}'s", buf.party) })
            }
            None => Err(VerifyError::Structure { round, what: format!("{id} does not exist") }),
        }
    }

    fn step(&mut self, round: usize, step: &'p Step, there: &mut BTreeSet<BufId>) -> Result<(), VerifyError> {
        let structure = |what: String| VerifyError::Structure { round, what };
        for operand in &step.ins {
            self.buffer(round, operand.buf, step.party)?;
            if !there.contains(&operand.buf) {
                return Err(structure(format!("{} is used before it is there", operand.buf)));
            }
        }
        for stream in &step.streams {
            if !step.party.holds_key(stream.key) {
                return Err(structure(format!("{} draws from k{}, which it does not hold", step.party, stream.key)));
            }
        }
        for out in &step.outs {
            self.buffer(round, *out, step.party)?;
            if !there.insert(*out) {
                return Err(structure(format!("{out} is written twice")));
            }
            self.writers.insert(*out, step);
        }
        if let Kernel::Map(program) = &step.kernel {
            for (at, instr) in program.code.iter().enumerate() {
                if instr.operands().any(|r| r.0 as usize >= at) {
                    return Err(structure(format!("program `{}` uses a register before it is set", program.name)));
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, round: usize, send: &Send, there: &BTreeSet<BufId>) -> Result<(), VerifyError> {
        self.buffer(round, send.source, send.from)?;
        self.buffer(round, send.target, send.to)?;
        if !there.contains(&send.source) {
            return Err(VerifyError::Structure { round, what: format!("{} is sent before it is there", send.source) });
        }
        let (source, target) = (self.plan.buf(send.source), self.plan.buf(send.target));
        if (source.len, source.planes, source.width) != (target.len, target.planes, target.width) {
            return Err(VerifyError::Structure {
                round,
                what: format!("{} and {} differ in size", send.source, send.target),
            });
        }
        let error = |what: &str| VerifyError::Mask {
            round,
            from: send.from,
            to: send.to,
            name: send.name.clone(),
            what: what.to_string(),
        };
        let step =
            *self.writers.get(&send.source).ok_or_else(|| error("the message is no result of an element program"))?;
        let masks =
            masks(step, send.source, |key| !send.to.holds_key(key)).ok_or_else(|| error("a value is sent unmasked"))?;
        if let Some(r) = send.opening {
            // An opening discloses a sum that includes a random bit; the bit serves this opening only.
            if !has_summand(step, send.source, r) {
                return Err(error("an opening without its random bit"));
            }
            if *self.openings.entry((r, send.from)).or_insert(send.source) != send.source {
                return Err(error("its random bit masks another opening"));
            }
            return Ok(());
        }
        for mask in masks {
            if !self.masks.insert(mask) {
                return Err(error(&format!("its mask k{}#{} plane {} serves another message", mask.0, mask.1, mask.2)));
            }
        }
        Ok(())
    }
}

/// The mask of each plane of a buffer, or `None` if some plane has none.
fn masks(step: &Step, buf: BufId, lacks: impl Fn(u8) -> bool + Copy) -> Option<Vec<Mask>> {
    masks_by(step, buf, |key, _| lacks(key))
}

/// The same for streams chosen by key and number.
fn masks_by(step: &Step, buf: BufId, serves: impl Fn(u8, u32) -> bool + Copy) -> Option<Vec<Mask>> {
    let Kernel::Map(program) = &step.kernel else { return None };
    let output = step.outs.iter().position(|o| *o == buf)?;
    let values = program.code.iter().filter_map(|i| match i {
        Instr::Out { output: o, value, .. } if *o as usize == output => Some(*value),
        _ => None,
    });
    values.map(|value| value_mask(step, &program.code, value, serves)).collect()
}

/// The mask of a buffer of one plane.
fn mask(step: &Step, buf: BufId, lacks: impl Fn(u8) -> bool + Copy) -> Option<Mask> {
    masks(step, buf, lacks)?.first().copied()
}

/// A stream word that is a summand of the value with coefficient 1 or -1, that the receiver lacks, and on which nothing
/// else in the value depends.
fn value_mask(step: &Step, code: &[Instr], value: Reg, serves: impl Fn(u8, u32) -> bool) -> Option<Mask> {
    let mut summands = Vec::new();
    let mut others = Vec::new();
    linear_terms(code, value, None, &mut summands, &mut others);
    let depends = |root: Reg, on: Reg| {
        let mut stack = vec![root];
        let mut seen = BTreeSet::new();
        while let Some(reg) = stack.pop() {
            if reg == on {
                return true;
            }
            if seen.insert(reg) {
                stack.extend(code[reg.0 as usize].operands());
            }
        }
        false
    };
    summands.iter().enumerate().find_map(|(at, reg)| {
        let Instr::Prf { stream, plane } = code[reg.0 as usize] else { return None };
        let stream = step.streams.get(stream as usize)?;
        let once = summands.iter().enumerate().all(|(other, r)| other == at || r != reg)
            && others.iter().all(|o| !depends(*o, *reg));
        (serves(stream.key, stream.id) && once).then_some((stream.key, stream.id, plane))
    })
}

/// Splits a value into stream words that are summands of it and the other summands. A group is one kind of addition:
/// additions and subtractions modulo 2^64, or exclusive or. Reduction to low bits keeps either.
fn linear_terms(code: &[Instr], value: Reg, xor: Option<bool>, summands: &mut Vec<Reg>, others: &mut Vec<Reg>) {
    match code[value.0 as usize] {
        Instr::Prf { .. } => summands.push(value),
        Instr::Add(a, b) | Instr::Sub(a, b) if xor != Some(true) => {
            linear_terms(code, a, Some(false), summands, others);
            linear_terms(code, b, Some(false), summands, others);
        }
        Instr::Xor(a, b) if xor != Some(false) => {
            linear_terms(code, a, Some(true), summands, others);
            linear_terms(code, b, Some(true), summands, others);
        }
        _ => others.push(value),
    }
}

/// Whether every plane of an opening has a share of the random bit `r` as a summand, once.
fn has_summand(step: &Step, buf: BufId, r: u32) -> bool {
    masks_by(step, buf, |_, id| id == r).is_some()
}
