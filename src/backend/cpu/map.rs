//! Interprets element programs, a block of words at a time, so that intermediate values never leave the first-level
//! cache and the cost of interpretation is spread over a block.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::isa::{Isa, TileTask};
use super::planes::{self, WORDS};
use super::products::Direct;
use super::registers::{Allocated, Place, Taken, What, allocate};
use super::simd::{GROUP, Simd, fetch};
use super::stream::Keystream;
use super::threads::each_part;
use super::{Input, Output};
use crate::backend::held::Forms;
use crate::backend::{BackendError, check, wire};
use crate::plan::joint::TOGETHER;
use crate::plan::program::ROOM_OF_PLANES;
use crate::plan::{Access, Buf, Instr, Operand, Program, Stream};

/// Words of a block; a multiple of 64.
pub(super) const BLOCK: usize = 256;

/// A stream and the key it is under.
pub(super) type Keyed<'a> = (Stream, &'a Keystream);

/// Words of a plane from which on threads share it.
pub(super) const SHARED: usize = 1 << 15;

/// What is kept from launch to launch: prepared programs, and room to run one in, or several together.
#[derive(Default)]
pub(super) struct Room {
    pub programs: Programs,
    pub spaces: [Space; TOGETHER],
    /// For each thread words that only programs want that run together.
    pub near: Vec<Vec<u64>>,
}

/// Each thread's blocks of words, and those of constants.
#[derive(Default)]
pub(super) struct Space {
    pub slots: Vec<Vec<Block>>,
    pub constants: Vec<Block>,
}

impl Room {
    /// Prepares a program for operands that are read like these, and stored like this, or finds it; its number here.
    pub(super) fn prepare(
        &mut self,
        program: &Program,
        operands: &[Operand],
        forms: &Forms,
    ) -> Result<usize, BackendError> {
        self.programs.prepare(program, operands, forms)
    }

    /// How many threads have shared a program.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.spaces[0].slots.len()
    }
}

impl Space {
    /// Makes room for a program whose planes have so many words.
    pub(super) fn fit(&mut self, allocated: &Allocated, stride: usize, threads: usize) {
        let block = || vec![0; BLOCK];
        let Space { slots, constants } = self;
        constants.resize_with(constants.len().max(allocated.constants.len()), block);
        for (block, word) in constants.iter_mut().zip(&allocated.constants) {
            block[..BLOCK.min(stride)].fill(*word);
        }
        slots.resize_with(slots.len().max(threads), Vec::new);
        slots.iter_mut().take(threads).for_each(|slots| slots.resize_with(slots.len().max(allocated.slots), block));
    }
}

/// [`BLOCK`] words.
pub(super) type Block = Vec<u64>;

/// A program that was prepared, and what it runs on.
pub(super) struct Job<'j, 'i, 'o> {
    pub program: usize,
    pub ins: &'j [Input<'i>],
    pub streams: &'j [Keyed<'j>],
    pub outs: &'j mut [Output<'o>],
}

/// Runs a program for every word index of its outputs, shared among `threads`.
pub(super) fn run(isa: Isa, job: Job<'_, '_, '_>, (room, threads): (&mut Room, usize)) {
    let stride = job.outs[0].buf.stride();
    let threads = if stride < SHARED { 1 } else { threads };
    let Room { programs, spaces: [space, ..], .. } = room;
    let allocated = programs.allocated(job.program);
    space.fit(allocated, stride, threads);
    let Space { slots, constants } = space;
    let begins = check::begins(job.outs.iter().map(|out| out.buf.planes));
    let whole = Whole { stride, ins: job.ins, streams: job.streams, begins: &begins, constants, allocated };
    let mut results = Results::of(job.outs, stride);
    if threads == 1 {
        isa.run_tiles(Blocks::new(&whole, 0, &mut results, &mut slots[0]));
        return;
    }
    let step = stride.div_ceil(threads).next_multiple_of(BLOCK);
    let parts = (0..stride).step_by(step).zip(slots).map(|(first, slots)| (first, results.split_off(step), slots));
    each_part(parts, |(first, mut results, slots)| isa.run_tiles(Blocks::new(&whole, first, &mut results, slots)));
}

/// A checked launch.
pub(super) struct Whole<'a> {
    /// Words of a plane.
    pub stride: usize,
    pub ins: &'a [Input<'a>],
    pub streams: &'a [Keyed<'a>],
    /// See [`check::begins`].
    pub begins: &'a [usize],
    pub constants: &'a [Block],
    pub allocated: &'a Allocated,
}

/// Results of a launch, or so many words of each plane.
pub(super) struct Results<'b> {
    /// Words of each plane.
    pub len: usize,
    pub planes: SmallVec<[&'b mut [u64]; ROOM_OF_PLANES]>,
    /// The same as messages have them, if any of the results is in one.
    packed: SmallVec<[Packed<'b>; ROOM_OF_PLANES]>,
}

impl<'b> Results<'b> {
    /// All of a launch, whose planes have so many words.
    #[inline(always)]
    pub(super) fn of(outs: &'b mut [Output<'_>], stride: usize) -> Results<'b> {
        let mut results = Results { len: stride, planes: SmallVec::new(), packed: SmallVec::new() };
        let in_messages = outs.iter().any(|out| !out.bytes.is_empty());
        for out in outs {
            results.planes.extend(out.words.chunks_exact_mut(stride.max(1)));
            if in_messages {
                results.packed.extend(Packed::planes(out.buf, &mut *out.bytes));
            }
        }
        results
    }

    /// Takes so many words, a multiple of 64, off the front, or all there are.
    pub(super) fn split_off(&mut self, words: usize) -> Results<'b> {
        let len = words.min(self.len);
        self.len -= len;
        let planes = self.planes.iter_mut().map(|plane| plane.split_off_mut(..len).unwrap_or_default());
        Results { len, planes: planes.collect(), packed: self.packed.iter_mut().map(|p| p.split_off(words)).collect() }
    }
}

/// A plane of a result as a message has it, or some of its words.
#[derive(Debug)]
struct Packed<'b> {
    width: u32,
    /// Elements, and their bytes.
    elements: usize,
    bytes: &'b mut [u8],
}

impl<'b> Packed<'b> {
    /// The planes of a result; as many without a byte if it is in no message.
    fn planes(buf: &Buf, bytes: &'b mut [u8]) -> impl Iterator<Item = Packed<'b>> {
        let (width, elements) = (buf.width, buf.len);
        let size = if bytes.is_empty() { 0 } else { wire::plane_bytes(buf) };
        let mut rest = bytes;
        (0..buf.planes).map(move |_| {
            let (bytes, behind) = std::mem::take(&mut rest).split_at_mut(size);
            rest = behind;
            Packed { width, elements, bytes }
        })
    }

    /// Takes so many words, a multiple of 64, off the front, or all there are.
    fn split_off(&mut self, words: usize) -> Packed<'b> {
        let elements = self.elements.min(if self.width == 1 { 64 * words } else { words });
        let bytes = (elements * self.width as usize).div_ceil(8).min(self.bytes.len());
        self.elements -= elements;
        Packed { width: self.width, elements, bytes: self.bytes.split_off_mut(..bytes).unwrap_or_default() }
    }
}

/// Programs whose registers have places.
#[derive(Default)]
pub(super) struct Programs {
    /// Each kind once.
    all: Vec<Prepared>,
    /// Where a program was found last, by the address of its code. Another one may have come there since.
    at: HashMap<usize, usize>,
}

/// A program: its code, how it reads its operands, how these and its results are stored, and what came of it.
struct Prepared {
    code: Vec<Instr>,
    accesses: Vec<Access>,
    forms: Forms,
    allocated: Allocated,
}

impl Programs {
    /// What came of a program that was prepared.
    pub(super) fn allocated(&self, program: usize) -> &Allocated {
        &self.all[program].allocated
    }

    /// Prepares a program, or finds it.
    fn prepare(&mut self, program: &Program, operands: &[Operand], forms: &Forms) -> Result<usize, BackendError> {
        let alike = |known: &Prepared| {
            let accesses = operands.iter().map(|operand| &operand.access);
            known.code == program.code && known.accesses.iter().eq(accesses) && known.forms == *forms
        };
        let address = program.code.as_ptr() as usize;
        let found = self.at.get(&address).copied().filter(|at| alike(&self.all[*at]));
        let at = match found.or_else(|| self.all.iter().position(alike)) {
            Some(at) => at,
            None => {
                let allocated = allocate(program, operands, forms)?;
                let accesses = operands.iter().map(|operand| operand.access).collect();
                self.all.push(Prepared { code: program.code.clone(), accesses, forms: forms.clone(), allocated });
                self.all.len() - 1
            }
        };
        if found.is_none() {
            self.at.insert(address, at);
        }
        Ok(at)
    }
}

/// Operands that a program which runs together with others makes: words from the first of the part on.
pub(super) type Made<'m> = [(usize, &'m [u64])];

/// A thread's part of a launch.
pub(super) struct Blocks<'a, 'b> {
    pub whole: &'a Whole<'a>,
    /// The first of its words.
    pub first: usize,
    /// From there on.
    pub results: &'a mut Results<'b>,
    slots: &'a mut [Block],
    /// Planes of results that hold only the last [`WORDS`] words.
    pub near: SmallVec<[usize; 2]>,
}

impl TileTask for Blocks<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize>(mut self, simd: S, _: P) {
        for from in (0..self.results.len).step_by(BLOCK) {
            let count = BLOCK.min(self.results.len - from);
            for taken in &self.whole.allocated.taken {
                let start = 64 * (self.first + from);
                let words = self.whole.ins[taken.input].words;
                let words = &words[start..words.len().min(start + 64 * count)];
                for (words, at) in words.chunks(WORDS).zip((0..).step_by(GROUP)) {
                    self.take(simd, taken, words, at);
                }
            }
            self.block(from, count, &[]);
        }
    }
}

impl<'a, 'b> Blocks<'a, 'b> {
    /// The words of a launch from `first` on of which these are the results.
    pub(super) fn new(
        whole: &'a Whole<'a>,
        first: usize,
        results: &'a mut Results<'b>,
        slots: &'a mut [Block],
    ) -> Blocks<'a, 'b> {
        Blocks { whole, first, results, slots, near: SmallVec::new() }
    }

    /// Takes the words of planes that begin at `at` in their block out of up to [`WORDS`] words.
    #[inline(always)]
    pub(super) fn take<S: Simd>(&mut self, simd: S, from: &Taken, words: &[u64], at: usize) {
        let highest = from.planes.iter().map(|(plane, _)| plane + 1).max().unwrap_or(0);
        let taken = planes::taken(simd, words, from.add, from.from, highest);
        for (plane, slot) in &from.planes {
            self.slots[*slot][at..at + GROUP].copy_from_slice(&taken[*plane].0);
        }
    }

    /// Computes a block, of which what it takes is taken: words `from..from + count` of the part. What is made is not in its
    /// operand.
    #[inline(always)]
    pub(super) fn block(&mut self, from: usize, count: usize, made: &Made<'_>) {
        let whole = self.whole;
        let Allocated { actions, fresh, .. } = whole.allocated;
        let start = self.first + from;
        for (action, fresh) in actions.iter().zip(fresh) {
            for (input, plane) in fresh.iter().filter(|(input, _)| made.iter().all(|(of, _)| of != input)) {
                fetch_block(self.plane(*input, *plane), start + BLOCK);
            }
            // The words written are taken out of their place meanwhile: no operand shares it.
            match action.to {
                Place::Slot(slot) => {
                    let mut words = std::mem::take(&mut self.slots[slot]);
                    self.compute(action.what, start, &mut words[..count], made);
                    self.slots[slot] = words;
                }
                Place::Output { output, plane } => {
                    let plane = whole.begins[output] + plane;
                    let words = std::mem::take(&mut self.results.planes[plane]);
                    let from = if self.near.contains(&plane) { from % WORDS } else { from };
                    fetch_block(words, from + BLOCK);
                    self.compute(action.what, start, &mut words[from..from + count], made);
                    self.results.planes[plane] = words;
                }
                Place::Packed { output, plane } => {
                    let What::Copy(value) = action.what else { continue };
                    let plane = whole.begins[output] + plane;
                    let Packed { width, elements, bytes } = self.results.packed[plane].split_off(count);
                    wire::pack_part(width, elements, self.words(value, start, count, made), bytes);
                }
                Place::Input { .. } | Place::Constant(_) => {}
            }
        }
    }

    /// Computes words `start..` of a register.
    #[inline(always)]
    fn compute(&self, what: What, start: usize, to: &mut [u64], made: &Made<'_>) {
        let count = to.len();
        // A closure would not always be inlined.
        macro_rules! at {
            ($place:ident) => {
                self.words($place, start, count, made)
            };
        }
        match what {
            What::Copy(a) => to.copy_from_slice(at!(a)),
            What::Unpack { input, plane } => {
                let Input { buf, bytes, .. } = &self.whole.ins[input];
                let size = wire::plane_bytes(buf);
                let bits = if buf.width == 1 { 64 } else { buf.width as usize };
                wire::unpack_part(buf.width, &bytes[plane * size + start * bits / 8..(plane + 1) * size], to);
            }
            What::Repeat { input, plane, inner, len, start: from } => {
                let words = self.plane(input, plane);
                repeat(from + start, inner, len, to, |source| words[source]);
            }
            What::Bits { input, plane } => {
                for (to, word) in to.chunks_mut(64).zip(&self.plane(input, plane)[start / 64..]) {
                    for (bit, to) in to.iter_mut().enumerate() {
                        *to = word >> bit & 1;
                    }
                }
            }
            What::RepeatBits { input, plane, inner, len, start: from } => {
                let words = self.plane(input, plane);
                repeat(from + start, inner, len, to, |source| words[source / 64] >> (source % 64) & 1);
            }
            What::Prf { stream, plane } => {
                let (stream, keystream) = &self.whole.streams[stream];
                keystream.fill(stream, plane as u64 * self.whole.stride as u64 + start as u64, to);
            }
            What::Add(a, b) => zip(to, at!(a), at!(b), u64::wrapping_add),
            What::Sub(a, b) => zip(to, at!(a), at!(b), u64::wrapping_sub),
            What::Mul(a, b) => zip(to, at!(a), at!(b), u64::wrapping_mul),
            What::And(a, b) => zip(to, at!(a), at!(b), |a, b| a & b),
            What::Xor(a, b) => zip(to, at!(a), at!(b), |a, b| a ^ b),
            What::XorAnd(a, b, c) => {
                let (a, b, c) = (at!(a), at!(b), at!(c));
                for (((to, a), b), c) in to.iter_mut().zip(a).zip(b).zip(c) {
                    *to = a ^ (b & c);
                }
            }
            What::Not(a) => each(to, at!(a), |a| !a),
            What::Shl(a, n) => each(to, at!(a), |a| a << n),
            What::Shr(a, n) => each(to, at!(a), |a| a >> n),
        }
    }

    /// Words `start..start + count` of a register.
    #[inline(always)]
    fn words<'s>(&'s self, place: Place, start: usize, count: usize, made: &Made<'s>) -> &'s [u64] {
        match place {
            Place::Slot(slot) => &self.slots[slot][..count],
            Place::Constant(constant) => &self.whole.constants[constant][..count],
            Place::Input { input, plane } => match made.iter().find(|(of, _)| *of == input) {
                Some((_, words)) => &words[start - self.first..][..count],
                None => &self.plane(input, plane)[start..start + count],
            },
            Place::Output { .. } | Place::Packed { .. } => &[],
        }
    }

    /// All words of an operand's plane.
    #[inline(always)]
    fn plane(&self, input: usize, plane: usize) -> &[u64] {
        let Input { buf, words, .. } = &self.whole.ins[input];
        &words[plane * buf.stride()..(plane + 1) * buf.stride()]
    }
}

/// Has a whole block of words fetched while another one is computed. That of a result takes less to write, then.
#[inline(always)]
fn fetch_block(words: &[u64], start: usize) {
    if let Some(block) = words.get(start..start + BLOCK) {
        for line in block.as_chunks::<GROUP>().0 {
            fetch(line);
        }
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
