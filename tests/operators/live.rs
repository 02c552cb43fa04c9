//! What of a plan can reach a result: a mistake elsewhere is none.

use std::collections::BTreeSet;

use smlc::backend::cases::stream_key;
use smlc::backend::cpu::Cpu;
use smlc::backend::wire;
use smlc::backend::{Backend, BackendError, Launch};
use smlc::fixed::low_mask;
use smlc::plan::layout::Layout;
use smlc::plan::{Access, BufId, Instr, Kernel, Operand, Plan, Program, Step};

use crate::mutate::Mistake;
use crate::table::Random;

/// For each step, in the plan's order, and each of its instructions (one flag for other kernels), whether a result
/// depends on it; and the same for each transfer.
pub struct Live {
    steps: Vec<Vec<bool>>,
    sends: Vec<bool>,
}

fn planes(plan: &Plan, id: BufId) -> impl Iterator<Item = (BufId, usize)> {
    (0..plan.buf(id).planes).map(move |plane| (id, plane))
}

/// The instructions that matter when these planes of its results do, as (output, plane).
fn needed(program: &Program, wanted: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let mut live = vec![false; program.code.len()];
    for (at, instr) in program.code.iter().enumerate().rev() {
        if let Instr::Out { output, plane, .. } = instr {
            live[at] = wanted(usize::from(*output), usize::from(*plane));
        }
        if live[at] {
            instr.operands().for_each(|r| live[usize::from(r.0)] = true);
        }
    }
    live
}

impl Live {
    pub fn of(plan: &Plan) -> Live {
        let mut read: BTreeSet<(BufId, usize)> =
            plan.outputs.iter().flat_map(|o| o.bufs).flat_map(|id| planes(plan, id)).collect();
        let (mut steps, mut sends) = (Vec::new(), Vec::new());
        for round in plan.rounds.iter().rev() {
            for send in round.sends.iter().rev() {
                let all: Vec<usize> = (0..plan.buf(send.target).planes).collect();
                let wanted: Vec<usize> = all.into_iter().filter(|p| read.contains(&(send.target, *p))).collect();
                sends.push(!wanted.is_empty());
                read.extend(wanted.into_iter().map(|p| (send.source, p)));
            }
            for step in round.steps.iter().rev() {
                let Kernel::Map(program) = &step.kernel else {
                    let wanted = step.outs.iter().flat_map(|id| planes(plan, *id)).any(|at| read.contains(&at));
                    steps.push(vec![wanted]);
                    if wanted {
                        read.extend(step.ins.iter().flat_map(|i| planes(plan, i.buf)));
                    }
                    continue;
                };
                let live = needed(program, |output, plane| read.contains(&(step.outs[output], plane)));
                for (instr, _) in program.code.iter().zip(&live).filter(|(_, live)| **live) {
                    if let Instr::In { input, plane } | Instr::BitOf { input, plane } = instr {
                        let operand = step.ins[usize::from(*input)];
                        read.insert((operand.buf, if takes_bits(&operand) { 0 } else { usize::from(*plane) }));
                    }
                }
                steps.push(live);
            }
        }
        steps.reverse();
        sends.reverse();
        Live { steps, sends }
    }

    /// The flags of each step's instructions, in the plan's order.
    pub fn steps(&self) -> &[Vec<bool>] {
        &self.steps
    }

    /// Whether a result of the plan depends on what the mistake is about.
    pub fn has(&self, plan: &Plan, mistake: &Mistake) -> bool {
        let mut steps = plan.rounds.iter().flat_map(|r| &r.steps).zip(&self.steps);
        let mut sends = plan.rounds.iter().flat_map(|r| &r.sends).zip(&self.sends);
        match mistake {
            Mistake::Instr { party, program, at, .. } => {
                steps.any(|(step, live)| live.get(*at) == Some(&true) && runs(step, program) && step.party == *party)
            }
            Mistake::Stream { party, program, stream, .. } => {
                let draws = |instr: &Instr| matches!(instr, Instr::Prf { stream: s, .. } if usize::from(*s) == *stream);
                steps.any(|(step, live)| {
                    let mut drawn = program.code.iter().zip(live).filter(|(_, live)| **live);
                    step.party == *party && runs(step, program) && drawn.any(|(instr, _)| draws(instr))
                })
            }
            Mistake::Added { party, program } => steps.any(|(step, live)| {
                let taken = |instr: &Instr| match instr {
                    Instr::In { input, .. } => takes_bits(&step.ins[usize::from(*input)]),
                    _ => false,
                };
                let mut used = program.code.iter().zip(live).filter(|(_, live)| **live);
                step.party == *party && runs(step, program) && used.any(|(instr, _)| taken(instr))
            }),
            Mistake::Kernel { party, from: kernel, .. } => steps
                .any(|(step, live)| live[0] && party.is_none_or(|party| party == step.party) && step.kernel == *kernel),
            Mistake::Operands { kernel, .. } => steps.any(|(step, live)| live[0] && step.kernel == *kernel),
            Mistake::Flipped { name, from, to } | Mistake::Other { name, from, to } => {
                sends.any(|(send, live)| *live && (&send.name, send.from, send.to) == (name, *from, *to))
            }
        }
    }
}

fn takes_bits(operand: &Operand) -> bool {
    matches!(operand.access, Access::Bits { .. })
}

fn runs(step: &Step, program: &Program) -> bool {
    matches!(&step.kernel, Kernel::Map(p) if **p == *program)
}

/// The outputs of a program for random words.
fn results(program: &Program, ring: u32, live: &[bool], seed: u64) -> Vec<u64> {
    let drawn = |number: u64| Random(seed.wrapping_mul(0x9e37) ^ (number << 20)).next();
    let word = |kind: u64, index: u16, plane: u16| drawn(kind << 36 | u64::from(index) << 18 | u64::from(plane));
    let mut registers: Vec<u64> = Vec::with_capacity(program.code.len());
    let mut out = Vec::new();
    for (instr, live) in program.code.iter().zip(live) {
        let r = |r: &smlc::plan::Reg| registers[usize::from(r.0)];
        let value = match instr {
            Instr::In { input, plane } => word(1, *input, *plane),
            Instr::BitOf { input, plane } => word(1, *input, *plane) & 1,
            Instr::Prf { stream, plane } => word(2, *stream, *plane),
            Instr::Imm(c) => *c,
            Instr::Add(a, b) => r(a).wrapping_add(r(b)),
            Instr::Sub(a, b) => r(a).wrapping_sub(r(b)),
            Instr::Mul(a, b) => r(a).wrapping_mul(r(b)),
            Instr::And(a, b) => r(a) & r(b),
            Instr::Xor(a, b) => r(a) ^ r(b),
            Instr::Not(a) => !r(a),
            Instr::Shl(a, n) => r(a) << n,
            Instr::Shr(a, n) => r(a) >> n,
            Instr::Out { value, .. } => {
                let width = if program.planes { 64 } else { ring };
                if *live {
                    out.push(r(value) & low_mask(width));
                }
                0
            }
        };
        registers.push(value);
    }
    out
}

/// Whether a program computes the same with another instruction, whatever it reads: on 65,536 random bits of each plane
/// or as many words.
pub fn same(program: &Program, at: usize, to: Instr, ring: u32) -> bool {
    let mut other = program.clone();
    other.code[at] = to;
    let live = vec![true; program.code.len()];
    let words = if program.planes { 1024 } else { 4096 };
    (0..words).all(|seed| results(program, ring, &live, seed) == results(&other, ring, &live, seed))
}

/// Whether the first step in which two plans differ computes the same in both from random words.
pub fn same_step(plan: &Plan, other: &Plan) -> bool {
    let steps = |plan: &'_ Plan| plan.rounds.iter().flat_map(|r| r.steps.clone()).collect::<Vec<Step>>();
    let differs = steps(plan).into_iter().zip(steps(other)).find(|(a, b)| a != b);
    let alike = |a: &Step, b: &Step, seed| {
        let words = launched(plan, a, seed).expect("the right step fits its operands");
        launched(plan, b, seed).is_ok_and(|other| other == words)
    };
    differs.is_some_and(|(a, b)| (0..8).all(|seed| alike(&a, &b, seed)))
}

/// The meaning bits of a step's results.
fn launched(plan: &Plan, step: &Step, seed: u64) -> Result<Vec<Vec<u8>>, BackendError> {
    let keys = [stream_key(step.party.0), stream_key(step.party.plus(1).0)];
    let mut device = Cpu::new(step.party, keys);
    device.reserve(Layout::apart(&plan.bufs))?;
    for operand in &step.ins {
        // A part of a buffer is where it is in it.
        let whole = plan.buf(operand.buf).storage(operand.buf).0;
        let mut random = Random(seed << 32 | whole.index() as u64);
        let buf = plan.buf(whole);
        let mask = if buf.width == 1 { u64::MAX } else { low_mask(buf.width) };
        device.write(whole, &mut |words| words.fill_with(|| random.next() & mask))?;
    }
    let Step { kernel, ins, streams, outs, .. } = step;
    device.launch(Launch { kernel, ins, streams, outs, bufs: &plan.bufs, site: None })?;
    let packed = |id: &BufId| {
        let mut bytes = Vec::new();
        let buf = plan.buf(*id);
        let (whole, start) = buf.storage(*id);
        wire::pack(buf, &device.read(whole)?[start..start + buf.words()], &mut bytes);
        Ok(bytes)
    };
    outs.iter().map(packed).collect()
}
