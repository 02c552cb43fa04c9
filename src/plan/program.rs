//! Element programs: the formulas of a protocol as straight-line code over 64-bit words.
//!
//! A [`Program`] runs once for every word index `i` of its output buffers. It is the only place where a protocol's local
//! arithmetic is written; backends interpret (or compile) it, the plan prints it, the auditor reads it, `plan::verify`
//! checks on it that every message is masked. In a *ring* program a word is one element; in a *plane* program a word
//! holds one bit of 64 elements.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Access, Kernel, Operand, Round};

/// So many operands, streams or results fused programs have at most ([`super::build`]).
pub const MOST: usize = 16;

/// So many operands, streams or results, and planes of results, of a step lists have room for without memory of their own. Steps
/// of tables have the most.
pub const ROOM: usize = 40;
/// See [`ROOM`].
pub const ROOM_OF_PLANES: usize = 320;

/// So many planes a program takes at most from words ([`Program::taken`]): a device has room for them beside its registers.
pub const MOST_TAKEN: usize = 128;

/// The result of an instruction: its position in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reg(pub u16);

/// One instruction. Arithmetic is modulo 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "operand fields are described on the variant")]
pub enum Instr {
    /// Word `i` of plane `plane` of operand `input` (plane 0 for ring buffers), as the operand is [addressed](Access).
    In { input: u16, plane: u16 },
    /// Bit `i` of plane `plane` of a plane operand, as 0 or 1 (ring programs only).
    BitOf { input: u16, plane: u16 },
    /// Word `i` of plane `plane` of a stream.
    Prf { stream: u16, plane: u16 },
    /// The same word everywhere.
    Imm(u64),
    /// a + b.
    Add(Reg, Reg),
    /// a - b.
    Sub(Reg, Reg),
    /// a * b.
    Mul(Reg, Reg),
    /// a & b.
    And(Reg, Reg),
    /// a ^ b.
    Xor(Reg, Reg),
    /// !a.
    Not(Reg),
    /// a << n, n < 64.
    Shl(Reg, u8),
    /// a >> n (logical), n < 64.
    Shr(Reg, u8),
    /// Word `i` of plane `plane` of output `output` becomes `value`.
    Out { output: u16, plane: u16, value: Reg },
}

/// Straight-line code. Every register is defined before it is used; `Out` defines none that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Program {
    /// What the protocol calls this step, `trunc.first`.
    pub name: String,
    /// True when words are bit planes.
    pub planes: bool,
    /// Instructions in order; instruction `r` defines register `Reg(r)`.
    pub code: Vec<Instr>,
}

impl Program {
    /// The program that does nothing but write so many planes as its operand has them.
    #[must_use]
    pub fn planes(count: u16) -> Program {
        let read = (0..count).map(|plane| Instr::In { input: 0, plane });
        let write = (0..count).map(|plane| Instr::Out { output: 0, plane, value: Reg(plane) });
        Program { name: "planes".to_string(), planes: true, code: read.chain(write).collect() }
    }

    /// Whether operand `input` is read word by word, and not by its bits.
    #[must_use]
    pub fn reads_words(&self, input: usize) -> bool {
        !self.code.iter().any(|instr| matches!(instr, Instr::BitOf { input: by, .. } if usize::from(*by) == input))
    }

    /// For each operand how many planes the program takes of it, if they are bits of words: up to the highest that it reads.
    pub fn taken(&self, ins: &[Operand]) -> impl Iterator<Item = usize> {
        let bits = |operand: &Operand| matches!(operand.access, Access::Bits { .. });
        ins.iter().enumerate().map(move |(number, operand)| {
            let planes = self.code.iter().filter_map(|instr| match *instr {
                Instr::In { input, plane } if usize::from(input) == number => Some(usize::from(plane) + 1),
                _ => None,
            });
            if bits(operand) { planes.max().unwrap_or(0) } else { 0 }
        })
    }
}

/// Keeps one of programs that are alike: layers run the same ones, of which a deep network has thousands.
pub(super) fn unite(rounds: &mut [Round]) {
    let mut known: HashSet<Arc<Program>> = HashSet::new();
    for step in rounds.iter_mut().flat_map(|round| &mut round.steps) {
        let Kernel::Map(program) = &mut step.kernel else { continue };
        match known.get(&**program) {
            Some(first) => *program = Arc::clone(first),
            None => drop(known.insert(Arc::clone(program))),
        }
    }
}

impl Instr {
    /// The same with other registers to read.
    #[must_use]
    pub fn map(self, reg: impl Fn(Reg) -> Reg) -> Instr {
        match self {
            Instr::In { .. } | Instr::BitOf { .. } | Instr::Prf { .. } | Instr::Imm(_) => self,
            Instr::Add(a, b) => Instr::Add(reg(a), reg(b)),
            Instr::Sub(a, b) => Instr::Sub(reg(a), reg(b)),
            Instr::Mul(a, b) => Instr::Mul(reg(a), reg(b)),
            Instr::And(a, b) => Instr::And(reg(a), reg(b)),
            Instr::Xor(a, b) => Instr::Xor(reg(a), reg(b)),
            Instr::Not(a) => Instr::Not(reg(a)),
            Instr::Shl(a, n) => Instr::Shl(reg(a), n),
            Instr::Shr(a, n) => Instr::Shr(reg(a), n),
            Instr::Out { output, plane, value } => Instr::Out { output, plane, value: reg(value) },
        }
    }

    /// Registers that the instruction reads.
    pub fn operands(&self) -> impl Iterator<Item = Reg> {
        let (a, b) = match *self {
            Instr::In { .. } | Instr::BitOf { .. } | Instr::Prf { .. } | Instr::Imm(_) => (None, None),
            Instr::Add(a, b) | Instr::Sub(a, b) | Instr::Mul(a, b) | Instr::And(a, b) | Instr::Xor(a, b) => {
                (Some(a), Some(b))
            }
            Instr::Not(a) | Instr::Shl(a, _) | Instr::Shr(a, _) | Instr::Out { value: a, .. } => (Some(a), None),
        };
        a.into_iter().chain(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::Party;
    use crate::plan::build::Builder;

    #[test]
    fn programs_that_are_alike_are_one() {
        let mut b = Builder::new(Format::default());
        let (name, len) = ("scaled", 8);
        let kept = [3, 3, 5].map(|factor| {
            let x = b.input(Party(0), len);
            let mut map = b.ring_map(Party(0), name, len);
            let (x, factor) = (map.read(x), map.imm(factor));
            let y = map.mul(x, factor);
            let out = map.write(y, 64);
            map.finish();
            out
        });
        let mut plan = b.into_plan(&kept);
        let program = |plan: &crate::plan::Plan, at: usize| match &plan.rounds[0].steps[at].kernel {
            Kernel::Map(program) => Arc::clone(program),
            other => panic!("{}", other.name()),
        };
        let same = |plan: &crate::plan::Plan| Arc::ptr_eq(&program(plan, 0), &program(plan, 1));
        assert!(same(&plan) && program(&plan, 2) != program(&plan, 0));
        // As a file has them.
        for step in &mut plan.rounds[0].steps {
            step.kernel = serde_json::from_str(&serde_json::to_string(&step.kernel).unwrap()).unwrap();
        }
        assert!(!same(&plan));
        let before = plan.clone();
        unite(&mut plan.rounds);
        assert!(same(&plan) && plan == before);
    }
}
