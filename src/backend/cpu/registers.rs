//! Prepares an element program for interpretation: decides where each register's block of words lives.
//!
//! A linear scan over straight-line code. Slots are blocks of words that stay in the first-level cache and are reused as
//! soon as their register is dead. Dense operands are read where they lie; a register that is only written out is
//! computed in the output itself; constants are filled once.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::{SmallVec, smallvec};

use crate::backend::BackendError;
use crate::backend::check::misfit;
use crate::backend::held::{Form, Forms};
use crate::plan::{Access, Instr, Operand, Program, Reg};

/// Where a register's words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In slot `s`.
    Slot(usize),
    /// In constant block `c`.
    Constant(usize),
    /// In plane `plane` of operand `input`, at the block's own position.
    Input { input: usize, plane: usize },
    /// In plane `plane` of result `output`, at the block's own position; only written.
    Output { output: usize, plane: usize },
    /// The same plane as a message has it.
    Packed { output: usize, plane: usize },
}

/// How the words of a block come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// As they are.
    Copy(Place),
    /// An operand's plane as a message has it.
    Unpack {
        input: usize,
        plane: usize,
    },
    /// Words of an operand's plane, at `((start + i) / inner) % len`.
    Repeat {
        input: usize,
        plane: usize,
        inner: usize,
        len: usize,
        start: usize,
    },
    /// Bits of an operand's plane, at `i`.
    Bits {
        input: usize,
        plane: usize,
    },
    /// Bits of an operand's plane, at `((start + i) / inner) % len`.
    RepeatBits {
        input: usize,
        plane: usize,
        inner: usize,
        len: usize,
        start: usize,
    },
    /// A stream's words.
    Prf {
        stream: usize,
        plane: usize,
    },
    /// Arithmetic, as [`Instr`] has it.
    Add(Place, Place),
    Sub(Place, Place),
    Mul(Place, Place),
    And(Place, Place),
    Xor(Place, Place),
    /// `a ^ (b & c)`: what most of a comparison is.
    XorAnd(Place, Place, Place),
    Not(Place),
    Shl(Place, u32),
    Shr(Place, u32),
}

/// One thing to do for each block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Action {
    /// How to compute the words.
    pub what: What,
    /// Where they go.
    pub to: Place,
}

/// A program whose registers have places.
#[derive(Clone, Debug, Default)]
pub(super) struct Allocated {
    /// To do in order, for each block.
    pub actions: Vec<Action>,
    /// How many slots there are.
    pub slots: usize,
    /// The word that fills each constant block.
    pub constants: Vec<u64>,
    /// What is taken from words before.
    pub taken: Vec<Taken>,
    /// For each action the planes of operands that it reads and none before it does.
    pub fresh: Vec<Fresh>,
}

/// Planes of operands: the operand and the plane of each.
pub(super) type Fresh = SmallVec<[(usize, usize); 2]>;

/// Bits of an operand's words that become planes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub input: usize,
    /// Added first.
    pub add: u64,
    /// The bit that plane 0 holds.
    pub from: u32,
    /// Which planes go to which slots.
    pub planes: Vec<(usize, usize)>,
}

/// Assigns places.
///
/// # Errors
/// If a register is read that has no value, a shift is 64 or more, or an operand is read from a message otherwise than word
/// by word. Numbers of operands, streams and outputs are the caller's to check, before.
pub(super) fn allocate(program: &Program, ins: &[Operand], forms: &Forms) -> Result<Allocated, BackendError> {
    let bits = |(operand, packed): (&Operand, &bool)| *packed && matches!(operand.access, Access::Bits { .. });
    if ins.iter().zip(&forms.ins).any(bits) {
        return misfit(format!("map `{}`: a message is not read by bits", program.name));
    }
    let mut uses = uses(program, forms)?;
    let joined = join(program, &mut uses);
    let mut allocator = Allocator {
        program,
        forms,
        uses,
        joined,
        places: Vec::with_capacity(program.code.len()),
        free: Vec::new(),
        allocated: Allocated::default(),
    };
    let mut bits = allocator.take(ins);
    for (index, instr) in program.code.iter().enumerate() {
        let place = match bits.remove(&index) {
            Some(slot) => Some(Place::Slot(slot)),
            None => allocator.place(index, instr, ins)?,
        };
        allocator.places.push(place);
        allocator.release(index, instr);
    }
    let mut allocated = allocator.allocated;
    allocated.fresh = fresh(&allocated.actions);
    Ok(allocated)
}

/// The state of the scan.
struct Allocator<'a> {
    program: &'a Program,
    forms: &'a Forms,
    uses: Vec<Use>,
    /// For each `Xor` the `And` that is computed with it, and for each such `And` itself.
    joined: Vec<Option<usize>>,
    /// Where each register so far is; `None` when nothing reads it.
    places: Vec<Option<Place>>,
    /// Slots whose register is dead.
    free: Vec<usize>,
    allocated: Allocated,
}

impl Allocator<'_> {
    /// Gives a slot to every plane that is taken from words, all at once; by instruction.
    fn take(&mut self, ins: &[Operand]) -> BTreeMap<usize, usize> {
        let mut slots = BTreeMap::new();
        for (input, operand) in ins.iter().enumerate() {
            let Access::Bits { add, from } = operand.access else { continue };
            let read = self.program.code.iter().enumerate().filter_map(|(index, instr)| match *instr {
                Instr::In { input: by, plane } if usize::from(by) == input => Some((index, usize::from(plane))),
                _ => None,
            });
            let mut planes = Vec::new();
            for (index, plane) in read {
                if self.uses[index].count > 0 {
                    slots.insert(index, self.slot());
                    planes.push((plane, slots[&index]));
                }
            }
            self.allocated.taken.push(Taken { input, add, from, planes });
        }
        slots
    }

    /// Emits the action of an instruction and says where its register is.
    fn place(&mut self, index: usize, instr: &Instr, ins: &[Operand]) -> Result<Option<Place>, BackendError> {
        let access = |input: u16| ins[usize::from(input)].access;
        let packed = |input: usize| self.forms.ins[input];
        let scattered = || misfit(format!("map `{}`: a message is not read word by word", self.program.name));
        let what = match *instr {
            Instr::Out { output, plane, value } => {
                let (from, to) = (self.at(value)?, output_place(output, plane));
                let form = self.forms.outs[usize::from(output)];
                if form.has_words() && from != to {
                    self.allocated.actions.push(Action { what: What::Copy(from), to });
                }
                if form.is_packed() {
                    let to = Place::Packed { output: usize::from(output), plane: usize::from(plane) };
                    self.allocated.actions.push(Action { what: What::Copy(from), to });
                }
                return Ok(None);
            }
            Instr::Imm(value) => {
                self.allocated.constants.push(value);
                return Ok(Some(Place::Constant(self.allocated.constants.len() - 1)));
            }
            Instr::In { input, plane } => {
                let (input, plane, access) = (usize::from(input), usize::from(plane), access(input));
                match access {
                    Access::Dense if packed(input) => What::Unpack { input, plane },
                    Access::Dense => return Ok(Some(Place::Input { input, plane })),
                    Access::Repeat { .. } if packed(input) => return scattered(),
                    Access::Repeat { inner, len, start } => What::Repeat { input, plane, inner, len, start },
                    // Nobody reads it.
                    Access::Bits { .. } => return Ok(None),
                }
            }
            Instr::BitOf { input, plane } => {
                let (input, plane, access) = (usize::from(input), usize::from(plane), access(input));
                match access {
                    _ if packed(input) => return scattered(),
                    Access::Dense => What::Bits { input, plane },
                    Access::Repeat { inner, len, start } => What::RepeatBits { input, plane, inner, len, start },
                    Access::Bits { .. } => return misfit(format!("map `{}`: bits of bits", self.program.name)),
                }
            }
            Instr::Prf { stream, plane } => What::Prf { stream: usize::from(stream), plane: usize::from(plane) },
            Instr::Add(a, b) => What::Add(self.at(a)?, self.at(b)?),
            Instr::Sub(a, b) => What::Sub(self.at(a)?, self.at(b)?),
            Instr::Mul(a, b) => What::Mul(self.at(a)?, self.at(b)?),
            Instr::And(..) if self.joined[index].is_some() => return Ok(None),
            Instr::And(a, b) => What::And(self.at(a)?, self.at(b)?),
            Instr::Xor(a, b) => match self.joined[index].map(|and| (and, &self.program.code[and])) {
                Some((and, Instr::And(c, d))) => {
                    let other = if usize::from(a.0) == and { b } else { a };
                    What::XorAnd(self.at(other)?, self.at(*c)?, self.at(*d)?)
                }
                _ => What::Xor(self.at(a)?, self.at(b)?),
            },
            Instr::Not(a) => What::Not(self.at(a)?),
            Instr::Shl(a, n) => What::Shl(self.at(a)?, self.shift(n)?),
            Instr::Shr(a, n) => What::Shr(self.at(a)?, self.shift(n)?),
        };
        let to = match self.uses[index] {
            Use { count: 0, .. } => return Ok(None),
            Use { count: 1, output: Some(place), .. } => place,
            _ => Place::Slot(self.slot()),
        };
        self.allocated.actions.push(Action { what, to });
        Ok(Some(to))
    }

    /// Where a register is.
    fn at(&self, reg: Reg) -> Result<Place, BackendError> {
        match self.places.get(usize::from(reg.0)) {
            Some(Some(place)) => Ok(*place),
            _ => misfit(format!("map `{}`: register {} has no value", self.program.name, reg.0)),
        }
    }

    /// A shift below 64.
    fn shift(&self, n: u8) -> Result<u32, BackendError> {
        if n < 64 { Ok(u32::from(n)) } else { misfit(format!("map `{}`: a shift by {n} bits", self.program.name)) }
    }

    /// A free slot, or a new one.
    fn slot(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.allocated.slots += 1;
            self.allocated.slots - 1
        })
    }

    /// Frees the slots of registers that instruction `index` reads last. Its own slot is assigned before, so that a
    /// result never shares a slot with an operand of the same instruction.
    fn release(&mut self, index: usize, instr: &Instr) {
        let and = match (instr, self.joined[index]) {
            (Instr::And(..), Some(_)) => return,
            (_, Some(and)) => reads(&self.program.code[and]),
            (_, None) => [None, None],
        };
        let mut all: SmallVec<[usize; 4]> =
            reads(instr).into_iter().chain(and).flatten().map(|reg| usize::from(reg.0)).collect();
        all.sort_unstable();
        all.dedup();
        for reg in all {
            if let (Some(Place::Slot(slot)), true) = (self.places[reg], self.uses[reg].last == index) {
                self.free.push(slot);
            }
        }
    }
}

/// For each action the planes of operands that none before it reads.
fn fresh(actions: &[Action]) -> Vec<Fresh> {
    let mut read = BTreeSet::new();
    let of = |action: &Action| {
        let places: SmallVec<[Place; 3]> = match action.what {
            What::Copy(a) | What::Not(a) | What::Shl(a, _) | What::Shr(a, _) => smallvec![a],
            What::Add(a, b) | What::Sub(a, b) | What::Mul(a, b) | What::And(a, b) | What::Xor(a, b) => smallvec![a, b],
            What::XorAnd(a, b, c) => smallvec![a, b, c],
            // Elsewhere than at the block's own position, or no operand.
            What::Unpack { .. }
            | What::Repeat { .. }
            | What::Bits { .. }
            | What::RepeatBits { .. }
            | What::Prf { .. } => SmallVec::new(),
        };
        let planes = places.into_iter().filter_map(|place| match place {
            Place::Input { input, plane } => Some((input, plane)),
            _ => None,
        });
        planes.filter(|plane| read.insert(*plane)).collect()
    };
    actions.iter().map(of).collect()
}

/// How a register is used.
#[derive(Clone, Copy, Default)]
struct Use {
    /// The last instruction that reads it.
    last: usize,
    /// How many reads there are.
    count: usize,
    /// The output that some instruction writes it to.
    output: Option<Place>,
}

/// How each register is used.
fn uses(program: &Program, forms: &Forms) -> Result<Vec<Use>, BackendError> {
    let mut uses = vec![Use::default(); program.code.len()];
    for (index, instr) in program.code.iter().enumerate() {
        for reg in reads(instr).into_iter().flatten() {
            let Some(used) = uses[..index].get_mut(usize::from(reg.0)) else {
                return misfit(format!("map `{}`: register {} is read before its definition", program.name, reg.0));
            };
            used.last = index;
            used.count += 1;
            if let Instr::Out { output, plane, .. } = *instr
                && forms.outs[usize::from(output)] == Form::Words
            {
                used.output = Some(output_place(output, plane));
            }
        }
    }
    Ok(uses)
}

/// For each `Xor` the `And` that nothing else reads, and for that the `Xor`. The operands of such an `And` are then read where
/// the `Xor` is.
fn join(program: &Program, uses: &mut [Use]) -> Vec<Option<usize>> {
    let mut joined = vec![None; program.code.len()];
    for (xor, instr) in program.code.iter().enumerate() {
        let Instr::Xor(a, b) = instr else { continue };
        let single = |reg: &&Reg| {
            let reg = usize::from(reg.0);
            uses[reg].count == 1 && matches!(program.code[reg], Instr::And(..))
        };
        let Some(and) = [b, a].into_iter().find(single).map(|reg| usize::from(reg.0)) else { continue };
        (joined[xor], joined[and]) = (Some(and), Some(xor));
        for reg in reads(&program.code[and]).into_iter().flatten() {
            let last = &mut uses[usize::from(reg.0)].last;
            *last = xor.max(*last);
        }
    }
    joined
}

/// The place of an output's plane.
fn output_place(output: u16, plane: u16) -> Place {
    Place::Output { output: usize::from(output), plane: usize::from(plane) }
}

/// The registers an instruction reads.
fn reads(instr: &Instr) -> [Option<Reg>; 2] {
    match *instr {
        Instr::In { .. } | Instr::BitOf { .. } | Instr::Prf { .. } | Instr::Imm(_) => [None, None],
        Instr::Add(a, b) | Instr::Sub(a, b) | Instr::Mul(a, b) | Instr::And(a, b) | Instr::Xor(a, b) => {
            [Some(a), Some(b)]
        }
        Instr::Not(a) | Instr::Shl(a, _) | Instr::Shr(a, _) | Instr::Out { value: a, .. } => [Some(a), None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::BufId;

    fn allocated(code: Vec<Instr>) -> Result<Allocated, BackendError> {
        stored(code, false, Form::Words)
    }

    /// With the operand in a message or not, and the result in such a form.
    fn stored(code: Vec<Instr>, packed: bool, out: Form) -> Result<Allocated, BackendError> {
        let dense = Operand { buf: BufId(0), access: Access::Dense };
        let forms = Forms { ins: smallvec![packed], outs: smallvec![out] };
        allocate(&Program { name: "test".into(), planes: false, code }, &[dense], &forms)
    }

    const IN: Instr = Instr::In { input: 0, plane: 0 };

    fn out(value: u16) -> Instr {
        Instr::Out { output: 0, plane: 0, value: Reg(value) }
    }

    #[test]
    fn planes_are_fetched_where_they_are_read_first() {
        let other = Instr::In { input: 0, plane: 1 };
        let code =
            vec![IN, other, Instr::Add(Reg(0), Reg(0)), Instr::Xor(Reg(2), Reg(0)), Instr::Sub(Reg(3), Reg(1)), out(4)];
        let got = allocated(code).unwrap();
        let wanted: Vec<Fresh> = vec![smallvec![(0, 0)], smallvec![], smallvec![(0, 1)]];
        assert_eq!(got.fresh, wanted);
    }

    #[test]
    fn a_single_operation_goes_from_operand_to_result() {
        let got = allocated(vec![IN, Instr::Not(Reg(0)), out(1)]).unwrap();
        assert_eq!(got.slots, 0);
        let input = Place::Input { input: 0, plane: 0 };
        assert_eq!(got.actions, [Action { what: What::Not(input), to: output_place(0, 0) }]);
    }

    #[test]
    fn messages_are_read_and_written_in_passing() {
        let (input, slot) = (What::Unpack { input: 0, plane: 0 }, Place::Slot(0));
        let packed = Place::Packed { output: 0, plane: 0 };
        let code = || vec![IN, out(0)];
        let got = stored(code(), true, Form::Packed).unwrap();
        let copy = |to| Action { what: What::Copy(slot), to };
        assert_eq!(got.actions, [Action { what: input, to: slot }, copy(packed)]);
        let got = stored(code(), true, Form::Both).unwrap();
        assert_eq!(got.actions, [Action { what: input, to: slot }, copy(output_place(0, 0)), copy(packed)]);
        let got = stored(code(), true, Form::Words).unwrap();
        assert_eq!(got.actions, [Action { what: input, to: output_place(0, 0) }]);
        assert!(stored(vec![Instr::BitOf { input: 0, plane: 0 }, out(0)], true, Form::Words).is_err());
    }

    #[test]
    fn an_and_joins_the_xor_that_reads_it() {
        let and_xor = |rest: &[Instr]| {
            let mut code = vec![IN, Instr::Not(Reg(0)), Instr::Shl(Reg(0), 1), Instr::And(Reg(1), Reg(2))];
            code.extend_from_slice(rest);
            allocated(code).unwrap()
        };
        let input = Place::Input { input: 0, plane: 0 };
        let (not, shl) = (Place::Slot(0), Place::Slot(1));
        for xor in [Instr::Xor(Reg(0), Reg(3)), Instr::Xor(Reg(3), Reg(0))] {
            let got = and_xor(&[xor, out(4)]);
            let joined = Action { what: What::XorAnd(input, not, shl), to: output_place(0, 0) };
            assert_eq!((got.actions.len(), got.actions[2]), (3, joined));
        }
        // What is read until then keeps its place.
        let got = and_xor(&[Instr::Shl(Reg(1), 2), Instr::Shr(Reg(4), 3), Instr::Xor(Reg(5), Reg(3)), out(6)]);
        let (at, xor) = (got.actions[3].to, got.actions[4].what);
        assert_eq!((at == not || at == shl, xor), (false, What::XorAnd(at, not, shl)));
        // Another reader needs the product itself.
        let got = and_xor(&[Instr::Xor(Reg(0), Reg(3)), Instr::Add(Reg(3), Reg(4)), out(5)]);
        assert_eq!(got.actions[2].what, What::And(not, shl));
        let got = and_xor(&[Instr::Xor(Reg(3), Reg(3)), out(4)]);
        assert_eq!(got.actions[2].what, What::And(not, shl));
    }

    #[test]
    fn a_chain_needs_two_slots() {
        let mut code = vec![IN];
        code.extend((0..20).map(|r| Instr::Add(Reg(r), Reg(r))));
        code.push(out(20));
        assert_eq!(allocated(code).unwrap().slots, 2);
    }

    #[test]
    fn reading_nothing_is_refused() {
        assert!(allocated(vec![Instr::Not(Reg(0))]).is_err());
        assert!(allocated(vec![IN, out(0), Instr::Not(Reg(1)), out(2)]).is_err());
        assert!(allocated(vec![IN, Instr::Shl(Reg(0), 64), out(1)]).is_err());
    }
}
