//! What a step computes, but for element programs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Program;
use crate::graph::{Piecewise, Window};

/// A matrix product or convolution on words modulo 2^64.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Product {
    /// `batch` independent row-major products `[m, k] x [k, n]`. An operand of one
    /// matrix serves the whole batch.
    MatMul {
        /// How many products.
        batch: usize,
        /// Rows of the result.
        m: usize,
        /// Inner dimension.
        k: usize,
        /// Columns of the result.
        n: usize,
    },
    /// Left `[n, c, h, w]`, right `[o, c / groups, kh, kw]`, result `[n, o, oh, ow]`; padding is zero.
    Conv2d {
        /// Images.
        n: usize,
        /// Input channels.
        c: usize,
        /// Height.
        h: usize,
        /// Width.
        w: usize,
        /// Output channels.
        o: usize,
        /// Kernel, stride, padding.
        window: Window,
        /// Channel groups.
        groups: usize,
    },
}

impl Product {
    /// Multiply-adds of an element of the result.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Product::MatMul { k, .. } => *k,
            Product::Conv2d { c, window, groups, .. } => {
                let [height, width] = window.size;
                c.checked_div(*groups).unwrap_or(0).saturating_mul(height).saturating_mul(width)
            }
        }
    }
}

/// What a step does. `Copy`, `Concat` and `Gather` move the words of ring buffers, or the bits of each plane. All words are modulo 2^64; meaning is limited to each buffer's `width` low bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kernel {
    /// Runs an element program over `ins`, `streams` and `outs`; all outputs have the same stride. Many steps run the same.
    Map(Arc<Program>),
    /// `outs[0] = sum over j of ins[2j] * ins[2j + 1]`. One or two pairs.
    Product(Product),
    /// `outs[0] = (a x + b y) * (c z + d w)` for `[[a, b], [c, d]]` and the operands x, y, z, w. Where b or d is 0, y or w is
    /// left out ([`sums`]).
    ProductOfSums(Product, [[i8; 2]; 2]),
    /// `outs[0][i] = ins[0][view(i)]`: transposition, slices, broadcast, the positions of a window.
    Copy(View),
    /// `outs[0]` is `ins` one after the other along the axis: operand j has `lens[j]` elements of it, `inner` words inside.
    Concat {
        /// Elements outside of the axis.
        outer: usize,
        /// Words of each operand for one outer index.
        chunks: Vec<usize>,
    },
    /// `outs[0][o, j, i] = ins[0][o, index[j], i]`, and 0 where `index[j]` is `None`.
    Gather {
        /// Elements outside of the axis.
        outer: usize,
        /// Size of the operand's axis.
        axis: usize,
        /// Elements inside.
        inner: usize,
        /// The operand's index for each of the result's.
        index: Vec<Option<usize>>,
    },
    /// `outs[0][o, i] = sum over a of ins[0][o, a, i]`.
    Sum {
        /// Elements outside of the axis.
        outer: usize,
        /// Size of the axis.
        axis: usize,
        /// Elements inside.
        inner: usize,
    },
    /// Sum over each window of `[planes, h, w]`; padding is zero.
    SumPool {
        /// Images times channels.
        planes: usize,
        /// Height.
        h: usize,
        /// Width.
        w: usize,
        /// The window.
        window: Window,
    },
    /// `outs[0][e * places + j]` is `ins[1][e]` (1 without a second operand) where j is the place of element e, and 0
    /// elsewhere; the place is `(ins[0][e] + add) >> shift` modulo `places`.
    OneHot {
        /// Added first, modulo 2^64.
        add: u64,
        /// Low bits that do not count.
        shift: u32,
        /// Places, a power of two.
        places: usize,
    },
    /// `outs[0][e * places + j] = ins[0][e * places + i]` with i = j minus the place of element e, which is
    /// `ins[1][e] >> shift` modulo `places`.
    Rotate {
        /// Low bits that do not count.
        shift: u32,
        /// Places, a power of two.
        places: usize,
    },
    /// Sums of a table's polynomials.
    Lookup(Lookup),
}

/// `outs[a][e]` is the sum over j of `ins[0][e * pieces + j] * g_a(p, v)`, where p is `j + (ins[1][e] >> shift)` modulo
/// `pieces`, and v the low `shift` bits of `ins[1][e]` as a fraction of `fraction` bits (lower ones are cut off).
///
/// `g_a(p, v)` is a [`Term`] of 64 bits, rounded to a multiple of `2^drop` and divided by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lookup {
    /// Bits of an operand below the piece's number.
    pub shift: u32,
    /// Pieces, a power of two.
    pub pieces: usize,
    /// Bits of v.
    pub fraction: u32,
    /// Bits that a term has too many, at least 1.
    pub drop: u32,
    /// What is summed, for each result.
    pub terms: Vec<Term>,
}

/// A function of a piece and of v. Polynomials are in v, lowest coefficient first, and computed from their
/// highest down: `y = floor(y * v / 2^fraction) + c`, where y is signed and of 64 bits, and the product of 128.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Term {
    /// A polynomial of each piece.
    Polynomials(Vec<Vec<i64>>),
    /// One polynomial times the piece's factor; the product has 128 bits until it is divided by `2^drop`.
    Multiples {
        /// The polynomial.
        of: Vec<i64>,
        /// A factor for each piece.
        factors: Vec<i64>,
    },
}

impl Lookup {
    /// Whether its sizes fit together.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let full = |term: &Term| match term {
            Term::Polynomials(pieces) => pieces.len() == self.pieces && pieces.iter().all(|c| !c.is_empty()),
            Term::Multiples { of, factors } => factors.len() == self.pieces && !of.is_empty(),
        };
        let bits = self.fraction <= 62 && (1..=62).contains(&self.drop);
        bits && are_places(self.pieces, self.shift) && !self.terms.is_empty() && self.terms.iter().all(full)
    }
}

/// Whether numbers of 64 bits, without the lowest `shift`, can say a place: a power of two of them.
#[must_use]
pub fn are_places(places: usize, shift: u32) -> bool {
    let known = places.is_power_of_two() && places <= Piecewise::MAX_PIECES;
    known && shift.saturating_add(places.trailing_zeros()) <= 64 && shift < 64
}

/// A strided view: element with index `(i0, i1, ...)` of `shape` is word `start + sum of i_a * strides[a]` of the
/// operand; an element for which some axis pair of `bounds` falls outside reads `fill`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// The result's shape.
    pub shape: Vec<usize>,
    /// Words per step of each axis; 0 broadcasts.
    pub strides: Vec<usize>,
    /// Word of the first element.
    pub start: i64,
    /// For axis `a`: index `i` reads source index `i * step + offset`, valid in `0..limit`. Empty: all valid.
    pub bounds: Vec<Bound>,
    /// What invalid elements read.
    pub fill: u64,
}

/// Validity of one axis of a [`View`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bound {
    /// The axis of the result.
    pub axis: usize,
    /// Source index of result index 0.
    pub offset: i64,
    /// Source steps per result step.
    pub step: i64,
    /// Size of the source axis.
    pub limit: i64,
}

/// The operands of the two sums of a [`Kernel::ProductOfSums`], the second of each where it has one; `None` if there are more
/// or fewer.
#[must_use]
pub fn sums<T: Copy>(factors: &[[i8; 2]; 2], ins: &[T]) -> Option<[(T, Option<T>); 2]> {
    let mut rest = ins.iter().copied();
    let mut sum = |[_, second]: [i8; 2]| Some((rest.next()?, if second == 0 { None } else { Some(rest.next()?) }));
    let sums = [sum(factors[0])?, sum(factors[1])?];
    rest.next().is_none().then_some(sums)
}

impl From<Program> for Kernel {
    fn from(program: Program) -> Kernel {
        Kernel::Map(Arc::new(program))
    }
}

impl Kernel {
    /// A word for it: an element program's own name, or the kernel's.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Kernel::Map(program) => &program.name,
            Kernel::Product(product) | Kernel::ProductOfSums(product, _) => match product {
                Product::MatMul { .. } => "matmul",
                Product::Conv2d { .. } => "conv2d",
            },
            Kernel::Copy(_) => "copy",
            Kernel::Concat { .. } => "concat",
            Kernel::Gather { .. } => "gather",
            Kernel::Sum { .. } => "sum",
            Kernel::SumPool { .. } => "sum_pool",
            Kernel::OneHot { .. } => "one_hot",
            Kernel::Rotate { .. } => "rotate",
            Kernel::Lookup(_) => "lookup",
        }
    }
}
