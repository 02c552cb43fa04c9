//! Two steps of which the second reads what the first writes, as one.

use std::collections::BTreeMap;

use super::super::program::MOST;
use super::super::{BufId, Instr, Kernel, Operand, Program, Reg, Step, Stream};
use super::map::{Code, number};

/// No program becomes longer than so many instructions.
pub(super) const LONGEST: usize = 1 << 10;

/// Whether two element programs are of one kind, and what they would be together is not too large.
pub(super) fn fit((a, first): (&Step, &Program), (b, second): (&Step, &Program)) -> bool {
    let counts = [a.ins.len() + b.ins.len(), a.streams.len() + b.streams.len(), a.outs.len() + b.outs.len()];
    first.planes == second.planes
        && first.code.len() + second.code.len() <= LONGEST
        && counts.iter().all(|count| *count <= MOST)
}

/// The step of two element programs that writes those results that are `wanted`. It serves the second one's expression.
pub(super) fn merge(a: &Step, b: &Step, wanted: impl Fn(BufId) -> bool) -> Step {
    let (Kernel::Map(first), Kernel::Map(second)) = (&a.kernel, &b.kernel) else {
        unreachable!("element programs become one")
    };
    let mut both = Both::default();
    both.append(a, first);
    both.append(b, second);
    let Both { code, ins, streams, outs, .. } = both.only(wanted);
    let program = Program { name: joined(&first.name, &second.name), planes: first.planes, code: code.instrs };
    Step { kernel: program.into(), ins, streams, outs, ..b.clone() }
}

/// `sign.blocks` and `sign.tree` become `sign.blocks+tree`.
fn joined(first: &str, second: &str) -> String {
    let family = first.split_once('.').map(|(family, _)| family);
    let rest = second.split_once('.').filter(|(other, _)| Some(*other) == family).map_or(second, |(_, rest)| rest);
    format!("{first}+{rest}")
}

/// Two programs, one after the other.
#[derive(Default)]
struct Both {
    code: Code,
    ins: Vec<Operand>,
    streams: Vec<Stream>,
    outs: Vec<BufId>,
    /// What was written to a plane of a result.
    written: BTreeMap<(BufId, u16), Reg>,
}

impl Both {
    fn append(&mut self, step: &Step, program: &Program) {
        let mut regs: Vec<Reg> = Vec::with_capacity(program.code.len());
        for instr in &program.code {
            let instr = instr.map(|reg| regs[usize::from(reg.0)]);
            let known = match instr {
                Instr::In { input, plane } => self.written.get(&(step.ins[usize::from(input)].buf, plane)).copied(),
                _ => None,
            };
            if let Instr::Out { output, plane, value } = instr {
                self.written.insert((step.outs[usize::from(output)], plane), value);
            }
            regs.push(known.unwrap_or_else(|| self.push(instr, &step.ins, &step.streams, &step.outs)));
        }
    }

    /// Adds an instruction that numbers operands, streams and results as they are listed there.
    fn push(&mut self, instr: Instr, ins: &[Operand], streams: &[Stream], outs: &[BufId]) -> Reg {
        let mut instr = instr;
        match &mut instr {
            Instr::In { input, .. } | Instr::BitOf { input, .. } => {
                *input = number(&mut self.ins, ins[usize::from(*input)]);
            }
            Instr::Prf { stream, .. } => *stream = number(&mut self.streams, streams[usize::from(*stream)]),
            Instr::Out { output, .. } => *output = number(&mut self.outs, outs[usize::from(*output)]),
            _ => {}
        }
        self.code.push(instr)
    }

    /// What it takes to write the results that are wanted.
    fn only(&self, wanted: impl Fn(BufId) -> bool) -> Both {
        let code = &self.code.instrs;
        let mut used = vec![false; code.len()];
        for (at, instr) in code.iter().enumerate().rev() {
            used[at] |= matches!(instr, Instr::Out { output, .. } if wanted(self.outs[usize::from(*output)]));
            if used[at] {
                instr.operands().for_each(|reg| used[usize::from(reg.0)] = true);
            }
        }
        let mut only = Both::default();
        let mut regs = vec![Reg(0); code.len()];
        for (at, instr) in code.iter().enumerate().filter(|(at, _)| used[*at]) {
            let instr = instr.map(|reg| regs[usize::from(reg.0)]);
            regs[at] = only.push(instr, &self.ins, &self.streams, &self.outs);
        }
        only
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::Round;

    /// Names of all steps, with how much each reads and writes.
    pub(in super::super) fn listed(rounds: Vec<Round>) -> Vec<(String, usize, usize)> {
        let all = rounds.into_iter().flat_map(|round| round.steps);
        all.map(|step| (step.kernel.name().to_string(), step.ins.len(), step.outs.len())).collect()
    }

    /// The same as it is expected.
    pub(in super::super) fn named(steps: &[(&str, usize, usize)]) -> Vec<(String, usize, usize)> {
        steps.iter().map(|(name, ins, outs)| ((*name).to_string(), *ins, *outs)).collect()
    }
}
