//! Element programs under construction.

use std::collections::BTreeMap;

use super::{Builder, StreamId};
use crate::fixed::low_mask;
use crate::plan::{Buf, BufId, Instr, Operand, Party, Program, Reg, Step, Stream};

/// An element program under construction; [`Map::finish`] places it.
#[derive(Debug)]
pub struct Map<'b> {
    builder: &'b mut Builder,
    party: Party,
    len: usize,
    name: String,
    planes: bool,
    code: Code,
    ins: Vec<Operand>,
    streams: Vec<Stream>,
    outs: Vec<BufId>,
}

/// Straight-line code in which nothing is computed twice.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub instrs: Vec<Instr>,
    known: BTreeMap<Instr, Reg>,
}

impl Code {
    /// The result of an instruction, which is added unless it is there.
    pub fn push(&mut self, instr: Instr) -> Reg {
        let next = Reg(self.instrs.len() as u16);
        let reg = *self.known.entry(instr).or_insert(next);
        if reg == next {
            self.instrs.push(instr);
        }
        reg
    }
}

/// The number of an item, which is added unless it is there.
pub(super) fn number<T: PartialEq>(items: &mut Vec<T>, item: T) -> u16 {
    let at = items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    });
    at as u16
}

/// An output of a program under construction.
#[derive(Clone, Copy, Debug)]
pub struct Output(u16);

impl<'b> Map<'b> {
    pub(super) fn new(builder: &'b mut Builder, party: Party, name: &str, len: usize, planes: bool) -> Map<'b> {
        Map {
            builder,
            party,
            len,
            name: name.to_string(),
            planes,
            code: Code::default(),
            ins: Vec::new(),
            streams: Vec::new(),
            outs: Vec::new(),
        }
    }

    /// The party that runs the step.
    #[must_use]
    pub fn party(&self) -> Party {
        self.party
    }

    /// Ring width K in bits.
    #[must_use]
    pub fn ring(&self) -> u32 {
        self.builder.format.ring
    }

    fn push(&mut self, instr: Instr) -> Reg {
        self.code.push(instr)
    }

    /// The word of a ring buffer.
    pub fn read(&mut self, operand: impl Into<Operand>) -> Reg {
        let input = number(&mut self.ins, operand.into());
        self.push(Instr::In { input, plane: 0 })
    }

    /// The word of one plane of a plane buffer, or of what [`Access::Bits`](crate::plan::Access::Bits) takes from words.
    pub fn read_plane(&mut self, operand: impl Into<Operand>, plane: usize) -> Reg {
        let input = number(&mut self.ins, operand.into());
        self.push(Instr::In { input, plane: plane as u16 })
    }

    /// A bit of a plane buffer as 0 or 1, in a ring program.
    pub fn bit(&mut self, buf: BufId, plane: usize) -> Reg {
        let input = number(&mut self.ins, buf.into());
        self.push(Instr::BitOf { input, plane: plane as u16 })
    }

    /// The word of a stream: `bits` bits an element.
    pub fn prf(&mut self, key: u8, id: StreamId, bits: u32) -> Reg {
        self.draw(Stream { key, id: id.0, bits }, 0)
    }

    /// The word of one plane of a bit stream.
    pub fn prf_plane(&mut self, key: u8, id: StreamId, plane: usize) -> Reg {
        self.draw(Stream { key, id: id.0, bits: 1 }, plane)
    }

    fn draw(&mut self, stream: Stream, plane: usize) -> Reg {
        debug_assert!(self.party.holds_key(stream.key), "{} has no k{}", self.party, stream.key);
        let stream = number(&mut self.streams, stream);
        self.push(Instr::Prf { stream, plane: plane as u16 })
    }

    /// A constant word.
    pub fn imm(&mut self, word: u64) -> Reg {
        self.push(Instr::Imm(word))
    }

    /// a + b.
    pub fn add(&mut self, a: Reg, b: Reg) -> Reg {
        self.push(Instr::Add(a, b))
    }

    /// a - b.
    pub fn sub(&mut self, a: Reg, b: Reg) -> Reg {
        self.push(Instr::Sub(a, b))
    }

    /// a * b.
    pub fn mul(&mut self, a: Reg, b: Reg) -> Reg {
        self.push(Instr::Mul(a, b))
    }

    /// a & b.
    pub fn and(&mut self, a: Reg, b: Reg) -> Reg {
        self.push(Instr::And(a, b))
    }

    /// a ^ b.
    pub fn xor(&mut self, a: Reg, b: Reg) -> Reg {
        self.push(Instr::Xor(a, b))
    }

    /// !a.
    pub fn not(&mut self, a: Reg) -> Reg {
        self.push(Instr::Not(a))
    }

    /// a << n.
    pub fn shl(&mut self, a: Reg, n: u32) -> Reg {
        self.push(Instr::Shl(a, n as u8))
    }

    /// a >> n, logical.
    pub fn shr(&mut self, a: Reg, n: u32) -> Reg {
        self.push(Instr::Shr(a, n as u8))
    }

    /// a modulo 2^bits.
    pub fn low(&mut self, a: Reg, bits: u32) -> Reg {
        if bits >= 64 {
            return a;
        }
        let mask = self.imm(low_mask(bits));
        self.and(a, mask)
    }

    /// A new buffer of `planes` planes of `width`-bit elements, to be filled by [`Map::put`].
    pub fn output(&mut self, planes: usize, width: u32) -> (Output, BufId) {
        debug_assert_eq!(self.planes, width == 1);
        let id = self.builder.buf(Buf { planes, ..Buf::ring(self.party, self.len, width) }, 0);
        self.outs.push(id);
        (Output(self.outs.len() as u16 - 1), id)
    }

    /// Writes one plane of an output.
    pub fn put(&mut self, output: Output, plane: usize, value: Reg) {
        self.code.instrs.push(Instr::Out { output: output.0, plane: plane as u16, value });
    }

    /// Writes a value to a ring buffer of its own.
    pub fn write(&mut self, value: Reg, width: u32) -> BufId {
        let (output, id) = self.output(1, width);
        self.put(output, 0, value);
        id
    }

    /// Writes planes to a buffer of their own.
    pub fn write_planes(&mut self, values: &[Reg]) -> BufId {
        let (output, id) = self.output(values.len(), 1);
        for (plane, value) in values.iter().enumerate() {
            self.put(output, plane, *value);
        }
        id
    }

    /// Places the step in the earliest round in which its operands are there.
    pub fn finish(self) {
        self.place(false);
    }

    /// The same for a step that reads inputs alone and serves for all runs on these ([`Step::once`]).
    pub fn finish_once(self) {
        debug_assert!(self.streams.is_empty() && self.ins.iter().all(|o| self.builder.is_input(o.buf)));
        self.place(true);
    }

    fn place(self, once: bool) {
        let Map { builder, party, name, planes, code, ins, streams, outs, .. } = self;
        let (span, program) = (builder.span, Program { name, planes, code: code.instrs });
        if !program.planes && !once {
            builder.movable.extend(&outs);
        }
        builder.place(Step { party, kernel: program.into(), ins, streams, outs, once, span, free: Vec::new() });
    }
}
