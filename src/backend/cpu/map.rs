//! Interprets element programs, a block of words at a time, so that intermediate values never leave the first-level
//! cache and the cost of interpretation is spread over a block.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::check::{Input, Output, misfit};
use super::isa::{Isa, Task};
use super::registers::{Action, Allocated, Place, What, allocate};
use super::stream::Keystream;
use crate::backend::BackendError;
use crate::plan::{Access, Instr, Operand, Program, Stream};

/// Words of a block; a multiple of 64.
const BLOCK: usize = 256;

/// A stream and the key it is under.
pub(super) type Keyed<'a> = (Stream, &'a Keystream);

/// What is kept from launch to launch: prepared programs, and blocks of words.
#[derive(Default)]
pub(super) struct Room {
    programs: Programs,
    slots: Vec<Block>,
    constants: Vec<Block>,
}

/// [`BLOCK`] words.
type Block = Vec<u64>;

/// Runs a program for every word index of its outputs.
pub(super) fn run(
    isa: Isa,
    program: &Program,
    operands: &[Operand],
    ins: &[Input<'_>],
    streams: &[Keyed<'_>],
    outs: &mut [Output<'_>],
    room: &mut Room,
) -> Result<(), BackendError> {
    let stride = check(program, ins, streams, outs)?;
    let Room { programs, slots, constants } = room;
    let Allocated { actions, slots: used, constants: words } = programs.prepare(program, operands)?;
    let block = || vec![0; BLOCK];
    slots.resize_with(slots.len().max(*used), block);
    constants.resize_with(constants.len().max(words.len()), block);
    for (block, word) in constants.iter_mut().zip(words) {
        block[..BLOCK.min(stride)].fill(*word);
    }
    isa.run(Blocks { stride, ins, streams, outs, slots, constants, actions });
    Ok(())
}

/// Programs whose registers have places.
#[derive(Default)]
struct Programs {
    /// Each kind once: its code, how it reads its operands, and what came of them.
    all: Vec<(Vec<Instr>, Vec<Access>, Allocated)>,
    /// Where a program was found last, by the address of its code. Another one may have come there since.
    at: HashMap<usize, usize>,
}

impl Programs {
    /// Prepares a program, or finds it.
    fn prepare(&mut self, program: &Program, operands: &[Operand]) -> Result<&Allocated, BackendError> {
        let alike = |(code, accesses, _): &(Vec<Instr>, Vec<Access>, Allocated)| {
            *code == program.code && accesses.iter().eq(operands.iter().map(|operand| &operand.access))
        };
        let address = program.code.as_ptr() as usize;
        let found = self.at.get(&address).copied().filter(|at| alike(&self.all[*at]));
        let at = match found.or_else(|| self.all.iter().position(alike)) {
            Some(at) => at,
            None => {
                let allocated = allocate(program, operands)?;
                let accesses = operands.iter().map(|operand| operand.access).collect();
                self.all.push((program.code.clone(), accesses, allocated));
                self.all.len() - 1
            }
        };
        if found.is_none() {
            self.at.insert(address, at);
        }
        Ok(&self.all[at].2)
    }
}

/// Checks a launch and returns the words of an output's plane: how often the program runs.
fn check(
    program: &Program,
    ins: &[Input<'_>],
    streams: &[Keyed<'_>],
    outs: &[Output<'_>],
) -> Result<usize, BackendError> {
    let refuse = |message: String| misfit(format!("map `{}`: {message}", program.name));
    let Some(first) = outs.first() else { return refuse("no result".into()) };
    let stride = first.buf.stride();
    for (number, out) in outs.iter().enumerate() {
        if out.buf.stride() != stride || (out.buf.width == 1) != program.planes {
            return refuse(format!("result {number} is not like the others"));
        }
    }
    for (stream, _) in streams {
        if !(1..=64).contains(&stream.bits) || (stream.bits == 1) != program.planes {
            return refuse(format!("a stream of {} bits", stream.bits));
        }
    }
    // For each result where its planes begin.
    let mut planes = 0;
    let mut begins: SmallVec<[usize; 8]> = SmallVec::new();
    for out in outs {
        begins.push(planes);
        planes += out.buf.planes;
    }
    let mut written: SmallVec<[bool; 128]> = SmallVec::from_elem(false, planes);
    for instr in &program.code {
        let fits = match *instr {
            Instr::In { input, plane } => ins.get(usize::from(input)).is_some_and(|operand| {
                (operand.buf.width == 1) == program.planes && covers(operand, plane, operand.buf.stride(), stride)
            }),
            Instr::BitOf { input, plane } => ins.get(usize::from(input)).is_some_and(|operand| {
                operand.buf.width == 1 && !program.planes && covers(operand, plane, operand.buf.len, stride)
            }),
            Instr::Prf { stream, plane } => usize::from(stream) < streams.len() && (program.planes || plane == 0),
            Instr::Out { output, plane, .. } => {
                let (output, plane) = (usize::from(output), usize::from(plane));
                outs.get(output).is_some_and(|out| plane < out.buf.planes)
                    && !std::mem::replace(&mut written[begins[output] + plane], true)
            }
            _ => true,
        };
        if !fits {
            return refuse(format!("{instr:?} does not fit its operands"));
        }
    }
    if written.contains(&false) {
        return refuse("a plane of a result is never written".into());
    }
    Ok(stride)
}

/// Whether `count` values of an operand's plane, of `size`, can be read.
fn covers(operand: &Input<'_>, plane: u16, size: usize, count: usize) -> bool {
    let addressed = match operand.access {
        Access::Dense => size == count,
        Access::Repeat { inner, len } => inner > 0 && len > 0 && len <= size,
    };
    addressed && usize::from(plane) < operand.buf.planes
}

/// A checked launch.
struct Blocks<'a, 'b> {
    stride: usize,
    ins: &'a [Input<'a>],
    streams: &'a [Keyed<'a>],
    outs: &'a mut [Output<'b>],
    slots: &'a mut [Block],
    constants: &'a [Block],
    actions: &'a [Action],
}

impl Task for Blocks<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for start in (0..self.stride).step_by(BLOCK) {
            let count = BLOCK.min(self.stride - start);
            for action in self.actions {
                // The words written are taken out of their place meanwhile: no operand shares it.
                match action.to {
                    Place::Slot(slot) => {
                        let mut words = std::mem::take(&mut self.slots[slot]);
                        self.compute(action.what, start, &mut words[..count]);
                        self.slots[slot] = words;
                    }
                    Place::Output { output, plane } => {
                        let words = std::mem::take(&mut self.outs[output].words);
                        let first = plane * self.stride + start;
                        self.compute(action.what, start, &mut words[first..first + count]);
                        self.outs[output].words = words;
                    }
                    Place::Input { .. } | Place::Constant(_) => {}
                }
            }
        }
    }
}

impl Blocks<'_, '_> {
    /// Computes words `start..` of a register.
    #[inline(always)]
    fn compute(&self, what: What, start: usize, to: &mut [u64]) {
        let count = to.len();
        let at = |place| self.words(place, start, count);
        match what {
            What::Copy(a) => to.copy_from_slice(at(a)),
            What::Repeat { input, plane, inner, len } => {
                let words = self.plane(input, plane);
                repeat(start, inner, len, to, |source| words[source]);
            }
            What::Bits { input, plane } => {
                for (to, word) in to.chunks_mut(64).zip(&self.plane(input, plane)[start / 64..]) {
                    for (bit, to) in to.iter_mut().enumerate() {
                        *to = word >> bit & 1;
                    }
                }
            }
            What::RepeatBits { input, plane, inner, len } => {
                let words = self.plane(input, plane);
                repeat(start, inner, len, to, |source| words[source / 64] >> (source % 64) & 1);
            }
            What::Prf { stream, plane } => {
                let (stream, keystream) = &self.streams[stream];
                keystream.fill(stream, plane as u64 * self.stride as u64 + start as u64, to);
            }
            What::Add(a, b) => zip(to, at(a), at(b), u64::wrapping_add),
            What::Sub(a, b) => zip(to, at(a), at(b), u64::wrapping_sub),
            What::Mul(a, b) => zip(to, at(a), at(b), u64::wrapping_mul),
            What::And(a, b) => zip(to, at(a), at(b), |a, b| a & b),
            What::Xor(a, b) => zip(to, at(a), at(b), |a, b| a ^ b),
            What::Not(a) => each(to, at(a), |a| !a),
            What::Shl(a, n) => each(to, at(a), |a| a << n),
            What::Shr(a, n) => each(to, at(a), |a| a >> n),
        }
    }

    /// Words `start..start + count` of a register.
    #[inline(always)]
    fn words(&self, place: Place, start: usize, count: usize) -> &[u64] {
        match place {
            Place::Slot(slot) => &self.slots[slot][..count],
            Place::Constant(constant) => &self.constants[constant][..count],
            Place::Input { input, plane } => &self.plane(input, plane)[start..start + count],
            Place::Output { .. } => &[],
        }
    }

    /// All words of an operand's plane.
    #[inline(always)]
    fn plane(&self, input: usize, plane: usize) -> &[u64] {
        let Input { buf, words, .. } = &self.ins[input];
        &words[plane * buf.stride()..(plane + 1) * buf.stride()]
    }
}

/// `to[i] = f(a[i])`.
#[inline(always)]
fn each(to: &mut [u64], a: &[u64], f: impl Fn(u64) -> u64) {
    for (to, a) in to.iter_mut().zip(a) {
        *to = f(*a);
    }
}

/// `to[i] = f(a[i], b[i])`.
#[inline(always)]
fn zip(to: &mut [u64], a: &[u64], b: &[u64], f: impl Fn(u64, u64) -> u64) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = f(*a, *b);
    }
}

/// `to[i] = value(((start + i) / inner) % len)`.
#[inline(always)]
fn repeat(start: usize, inner: usize, len: usize, to: &mut [u64], value: impl Fn(usize) -> u64) {
    let mut source = start / inner % len;
    let mut left = inner - start % inner;
    let mut to = to;
    while !to.is_empty() {
        let (run, rest) = to.split_at_mut(left.min(to.len()));
        run.fill(value(source));
        to = rest;
        left = inner;
        source = if source + 1 == len { 0 } else { source + 1 };
    }
}
