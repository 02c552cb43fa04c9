//! What a step asks of a processor, counted in units whose time a [`Machine`](super::machine::Machine) knows.

use super::{multiply_adds, plane_bytes};
use crate::plan::{Access, Buf, Instr, Kernel, Product, Program, Step, Term, View};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// A kernel launch.
    Launch,
    /// A multiply-add of a product large enough to be cut into panels.
    Packed,
    /// A multiply-add of a product with few rows or columns, whose longer factor lies across.
    Thin,
    /// A multiply-add of a product with few rows or columns, whose longer factor lies along.
    Dots,
    /// A multiply-add of a convolution with few output channels, or few in each group.
    Grouped,
    /// A word of the operands and the result of packed and grouped products: they are padded and arranged.
    Factor,
    /// An instruction of an element program, made ready once a launch.
    Code,
    /// A word of an instruction of an element program.
    Instr,
    /// A word that an element program takes from a broadcast operand or from bits.
    Spread,
    /// A byte of keystream.
    Stream,
    /// A byte of small buffers (up to [`NEAR`] bytes) that is read or written.
    Near,
    /// A byte of larger ones.
    Far,
    /// A word moved one by one, or a bit: not a byte of a run.
    Move,
    /// A word added up by sums over an axis.
    Sum,
    /// A word added up by sums over a window.
    Pool,
    /// A bit plane's word taken out of 64 ring words.
    Plane,
    /// An element's place in a table.
    Place,
    /// A coefficient of a table lookup, used for an element.
    Lookup,
    /// A word packed for the network, or unpacked, of whole bytes.
    Bytes,
    /// The same of a width that is not a multiple of 8 bits.
    Bits,
    /// Waking up when a message arrives.
    Wake,
}

/// Buffers up to this many bytes are small: a party has many at a time, of which the cache of a core keeps several.
pub const NEAR: u64 = 1 << 17;

impl Unit {
    /// All of them with their names in files, in the order of the enum.
    pub const ALL: [(Unit, &'static str); 21] = [
        (Unit::Launch, "launch"),
        (Unit::Packed, "packed multiply-add"),
        (Unit::Thin, "thin multiply-add"),
        (Unit::Dots, "dots multiply-add"),
        (Unit::Grouped, "grouped multiply-add"),
        (Unit::Factor, "factor word"),
        (Unit::Code, "instruction"),
        (Unit::Instr, "instruction word"),
        (Unit::Spread, "spread word"),
        (Unit::Stream, "keystream byte"),
        (Unit::Near, "near byte"),
        (Unit::Far, "far byte"),
        (Unit::Move, "moved word"),
        (Unit::Sum, "summed word"),
        (Unit::Pool, "pooled word"),
        (Unit::Plane, "plane word"),
        (Unit::Place, "place"),
        (Unit::Lookup, "looked-up coefficient"),
        (Unit::Bytes, "packed word"),
        (Unit::Bits, "bit-packed word"),
        (Unit::Wake, "wake-up"),
    ];
}

/// How much of each unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work([f64; Unit::ALL.len()]);

impl Work {
    /// So much of one unit.
    #[must_use]
    pub fn of(unit: Unit, count: f64) -> Work {
        let mut work = Work::default();
        work.add(unit, count);
        work
    }

    /// Adds to a unit.
    pub fn add(&mut self, unit: Unit, count: f64) {
        self.0[unit as usize] += count;
    }

    /// The amount of a unit.
    #[must_use]
    pub fn get(&self, unit: Unit) -> f64 {
        self.0[unit as usize]
    }

    /// The units that occur.
    pub fn iter(&self) -> impl Iterator<Item = (Unit, f64)> + '_ {
        Unit::ALL.into_iter().map(|(unit, _)| (unit, self.get(unit))).filter(|(_, count)| *count > 0.0)
    }

    fn buffer(&mut self, buf: &Buf) {
        let bytes = buf.memory_bytes();
        self.add(if bytes <= NEAR { Unit::Near } else { Unit::Far }, bytes as f64);
    }
}

/// The work of a step on a plan's buffers.
#[must_use]
pub fn step(bufs: &[Buf], step: &Step) -> Work {
    let ins: Vec<&Buf> = step.ins.iter().map(|operand| &bufs[operand.buf.index()]).collect();
    let outs: Vec<&Buf> = step.outs.iter().map(|id| &bufs[id.index()]).collect();
    let mut work = Work::of(Unit::Launch, 1.0);
    // A multiply-add is measured with the words that it reads.
    if !matches!(step.kernel, Kernel::Product(_) | Kernel::ProductOfSums(..)) {
        ins.iter().chain(&outs).for_each(|buf| work.buffer(buf));
    }
    let words = |bufs: &[&Buf]| -> f64 { bufs.iter().map(|buf| buf.words() as f64).sum() };
    // Moves of bits take them one by one.
    let moved = |bufs: &[&Buf]| -> f64 {
        bufs.iter().filter(|buf| buf.width == 1).map(|buf| (buf.len * buf.planes) as f64).sum()
    };
    match &step.kernel {
        Kernel::Map(program) => map(&mut work, program, step, &outs),
        Kernel::Product(product) | Kernel::ProductOfSums(product, _) => {
            let class = class(product);
            let pairs = if let Kernel::Product(_) = step.kernel { step.ins.len() as u64 / 2 } else { 1 };
            work.add(class, multiply_adds(product).saturating_mul(pairs) as f64);
            // The others take their factors as they are.
            if let Unit::Packed | Unit::Grouped = class {
                work.add(Unit::Factor, words(&ins) + words(&outs));
            }
        }
        Kernel::Copy(view) => {
            work.add(Unit::Move, moved(&ins) + moved(&outs) + across(view));
        }
        Kernel::Concat { .. } => work.add(Unit::Move, moved(&ins) + moved(&outs)),
        Kernel::Gather { inner, .. } => {
            let apart = if *inner < 8 { words(&outs) } else { 0.0 };
            work.add(Unit::Move, moved(&ins) + moved(&outs) + apart);
        }
        Kernel::Sum { .. } => work.add(Unit::Sum, words(&ins)),
        Kernel::SumPool { window, .. } => {
            work.add(Unit::Pool, words(&outs) * (window.size[0] * window.size[1]) as f64);
        }
        Kernel::OneHot { .. } | Kernel::Rotate { .. } => work.add(Unit::Place, words(&outs)),
        Kernel::Lookup(table) => {
            let terms = table.terms.iter().map(|term| match term {
                Term::Polynomials(pieces) => pieces.iter().map(|c| c.len() as f64).sum::<f64>(),
                Term::Multiples { of, factors } => (of.len() + factors.len()) as f64,
            });
            let elements = outs.first().map_or(0.0, |out| out.len as f64);
            work.add(Unit::Lookup, terms.sum::<f64>() * elements);
        }
    }
    work
}

/// An element program over the words of its results.
fn map(work: &mut Work, program: &Program, step: &Step, outs: &[&Buf]) {
    let Some(out) = outs.first() else { return };
    let words = out.stride() as f64;
    work.add(Unit::Code, program.code.len() as f64);
    for instr in &program.code {
        let (unit, count) = match instr {
            Instr::In { input, .. } => match step.ins.get(usize::from(*input)).map(|operand| operand.access) {
                Some(Access::Dense) | None => continue,
                Some(Access::Repeat { .. }) => (Unit::Spread, words),
                Some(Access::Bits { .. }) => (Unit::Plane, words),
            },
            Instr::BitOf { .. } => (Unit::Spread, words),
            Instr::Prf { stream, .. } => {
                let Some(stream) = step.streams.get(usize::from(*stream)) else { continue };
                work.add(Unit::Stream, plane_bytes(stream, out.len) as f64);
                // Narrow elements are taken out of the keystream's words.
                if (2..64).contains(&stream.class()) {
                    work.add(Unit::Spread, words);
                }
                (Unit::Instr, words)
            }
            Instr::Imm(_) => continue,
            _ => (Unit::Instr, words),
        };
        work.add(unit, count);
    }
}

/// Products with at most this many rows or columns are not cut into panels.
const THIN: usize = 8;
/// Those with at most this many use scalar products, where the longer factor lies along.
const DOTS: usize = 16;

/// How the product is computed.
#[must_use]
pub fn class(product: &Product) -> Unit {
    let (rows, cols) = match product {
        Product::MatMul { m, n, .. } => (*m, *n),
        Product::Conv2d { n, o, h, w, window, groups, .. } => {
            let [oh, ow] = window.output(*h, *w).unwrap_or([0, 0]);
            (o.checked_div(*groups).unwrap_or(0), n.saturating_mul(oh).saturating_mul(ow))
        }
    };
    // Exchanged, the longer factor lies along.
    if cols < rows && cols <= DOTS {
        return Unit::Dots;
    }
    match product {
        Product::Conv2d { .. } if rows <= THIN => Unit::Grouped,
        Product::MatMul { .. } if rows <= THIN => Unit::Thin,
        Product::Conv2d { .. } | Product::MatMul { .. } => Unit::Packed,
    }
}

/// Words that a view moves one by one: its last axis jumps over the operand.
fn across(view: &View) -> f64 {
    let last = view.shape.iter().zip(&view.strides).rev().find(|(size, _)| **size > 1);
    match last {
        Some((_, 0 | 1)) | None => 0.0,
        Some(_) => view.shape.iter().map(|n| *n as f64).product(),
    }
}

/// Packing or unpacking a buffer for the network.
#[must_use]
pub fn wire(buf: &Buf) -> Work {
    let unit = if buf.width == 1 || buf.width.is_multiple_of(8) { Unit::Bytes } else { Unit::Bits };
    Work::of(unit, buf.words() as f64)
}
