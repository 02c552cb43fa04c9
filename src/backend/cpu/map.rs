//! Interprets element programs, a block of words at a time, so that intermediate values never leave the first-level
//! cache and the cost of interpretation is spread over a block.

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

/// Runs a program for every word index of its outputs.
pub(super) fn run(
    isa: Isa,
    program: &Program,
    operands: &[Operand],
    ins: &[Input<'_>],
    streams: &[Keyed<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    let stride = check(program, ins, streams, outs)?;
    let Allocated { actions, slots, constants } = allocate(program, operands)?;
    let constants = constants.into_iter().map(|value| vec![value; BLOCK.min(stride)]).collect();
    let blocks = Blocks {
        stride,
        ins,
        streams,
        outs,
        slots: vec![vec![0; BLOCK.min(stride)]; slots],
        constants,
        actions: &actions,
    };
    isa.run(blocks);
    Ok(())
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
    let mut written: Vec<Vec<bool>> = outs.iter().map(|out| vec![false; out.buf.planes]).collect();
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
                let plane = written.get_mut(usize::from(output)).and_then(|out| out.get_mut(usize::from(plane)));
                plane.is_some_and(|written| !std::mem::replace(written, true))
            }
            _ => true,
        };
        if !fits {
            return refuse(format!("{instr:?} does not fit its operands"));
        }
    }
    if written.iter().flatten().any(|written| !written) {
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
    slots: Vec<Vec<u64>>,
    constants: Vec<Vec<u64>>,
    actions: &'a [Action],
}

impl Task for Blocks<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
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
