//! Sums of matrix products modulo 2^64.
//!
//! The usual scheme: blocks of both factors are packed into panels that stay in the caches, and a register tile walks
//! down a panel of each. Results with few rows take ways that do not pack, see [`Product::run`].

use std::array::from_fn;

use super::factor::{Axis, Factor, Lanes};
use super::isa::{Isa, Task, TileTask};
use super::simd::{GROUP, Group, Simd};

/// Rows of the inner dimension packed at a time.
const DEPTH: usize = 256;

/// Left rows packed at a time; a multiple of every tile height.
const HEIGHT: usize = 128;

/// Right columns packed at a time; a multiple of every tile width.
const WIDTH: usize = 768;

/// Results with at most this many rows (or columns) are not worth packing for.
const THIN: usize = 3;

/// Columns below which the roles of rows and columns are exchanged, when rows are more.
const NARROW: usize = 16;

/// Room for packed panels, kept from launch to launch.
#[derive(Default)]
pub(super) struct Workspace {
    left: Vec<u64>,
    right: Vec<Group>,
}

/// Where results go: element `(i, j)` at word `rows.at(i) + cols.at(j)`, no two at the same.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// Offsets of rows.
    pub rows: Axis<'a>,
    /// Offsets of columns.
    pub cols: Axis<'a>,
}

/// `out += sum over pairs of left * right`, with `left` of `rows` by `depth` and `right` of `depth` by `cols`.
pub(super) struct Product<'a> {
    /// Rows of the result.
    pub rows: usize,
    /// The inner dimension.
    pub depth: usize,
    /// Columns of the result.
    pub cols: usize,
    /// Summands.
    pub pairs: &'a [(Factor<'a>, Factor<'a>)],
    /// Layout of the result.
    pub target: Target<'a>,
}

impl Product<'_> {
    /// Adds the product to `out`.
    pub(super) fn run(&self, isa: Isa, space: &mut Workspace, out: &mut [u64]) {
        if self.rows == 0 || self.cols == 0 || self.depth == 0 {
            return;
        }
        if self.cols < self.rows && self.cols < NARROW {
            let pairs: Vec<_> = self.pairs.iter().map(|(l, r)| (r.transposed(), l.transposed())).collect();
            let target = Target { rows: self.target.cols, cols: self.target.rows };
            let flipped = Product { rows: self.cols, depth: self.depth, cols: self.rows, pairs: &pairs, target };
            return flipped.wide(isa, space, out);
        }
        self.wide(isa, space, out);
    }

    /// Adds the product to `out`; there are at least about as many columns as rows.
    fn wide(&self, isa: Isa, space: &mut Workspace, out: &mut [u64]) {
        let in_one_piece = |factor: &Factor<'_>| matches!(factor.rows, Axis::Stride(1));
        match self.rows {
            1..=THIN if self.pairs.iter().all(|(_, right)| in_one_piece(right)) => {
                isa.run(Dots { product: self, space, out });
            }
            1 => isa.run_tiles(Thin::<1> { product: self, out }),
            2 => isa.run_tiles(Thin::<2> { product: self, out }),
            3 => isa.run_tiles(Thin::<3> { product: self, out }),
            _ => isa.run_tiles(Packed { product: self, space, out }),
        }
    }
}

/// The packed way.
struct Packed<'a, 'b> {
    product: &'a Product<'a>,
    space: &'b mut Workspace,
    out: &'b mut [u64],
}

impl TileTask for Packed<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const G: usize>(self, simd: S) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let Workspace { left: packed_left, right: packed_right } = self.space;
        for first_col in (0..cols).step_by(WIDTH) {
            let end_col = cols.min(first_col + WIDTH);
            for (left, right) in pairs {
                for k in (0..depth).step_by(DEPTH) {
                    let inner = (k, depth.min(k + DEPTH));
                    pack_right::<G>(right, inner, (first_col, end_col), packed_right);
                    for first_row in (0..rows).step_by(HEIGHT) {
                        let end_row = rows.min(first_row + HEIGHT);
                        pack_left::<R>(left, inner, (first_row, end_row), packed_left);
                        let block =
                            Block { depth: inner.1 - inner.0, rows: (first_row, end_row), cols: (first_col, end_col) };
                        block.multiply::<S, R, G>(simd, packed_left, packed_right, target, self.out);
                    }
                }
            }
        }
    }
}

/// Packs rows `first..end` of columns `inner` into panels of `R` rows: for each column, its word in each row.
#[inline(always)]
fn pack_left<const R: usize>(
    left: &Factor<'_>,
    inner: (usize, usize),
    (first, end): (usize, usize),
    packed: &mut Vec<u64>,
) {
    let panel = R * (inner.1 - inner.0);
    let words = (end - first).div_ceil(R) * panel;
    if packed.len() < words {
        packed.resize(words, 0);
    }
    for (panel, start) in packed.chunks_exact_mut(panel).zip((first..end).step_by(R)) {
        let offsets: [usize; R] = from_fn(|i| left.rows.at((start + i).min(end - 1)));
        for (words, k) in panel.as_chunks_mut::<R>().0.iter_mut().zip(inner.0..inner.1) {
            let base = left.cols.at(k);
            *words = offsets.map(|offset| left.words[base + offset]);
        }
    }
}

/// Packs columns `first..end` of rows `inner` into panels of `G` groups: for each row, its words in these columns.
#[inline(always)]
fn pack_right<const G: usize>(
    right: &Factor<'_>,
    inner: (usize, usize),
    (first, end): (usize, usize),
    packed: &mut Vec<Group>,
) {
    let panel = G * (inner.1 - inner.0);
    let groups = (end - first).div_ceil(G * GROUP) * panel;
    if packed.len() < groups {
        packed.resize(groups, Group::default());
    }
    for (panel, start) in packed.chunks_exact_mut(panel).zip((first..end).step_by(G * GROUP)) {
        let lanes = Lanes::<G>::new(right.cols, start, end);
        for (groups, k) in panel.as_chunks_mut::<G>().0.iter_mut().zip(inner.0..inner.1) {
            let base = right.rows.at(k);
            *groups = from_fn(|g| Group(lanes.load(right.words, base, g)));
        }
    }
}

/// The part of a result that two packed blocks contribute to: first and end row and column.
struct Block {
    depth: usize,
    rows: (usize, usize),
    cols: (usize, usize),
}

impl Block {
    /// Adds the product of two packed blocks to the result.
    #[inline(always)]
    fn multiply<S: Simd, const R: usize, const G: usize>(
        &self,
        simd: S,
        left: &[u64],
        right: &[Group],
        target: Target<'_>,
        out: &mut [u64],
    ) {
        let (first_col, end_col) = self.cols;
        let (first_row, end_row) = self.rows;
        for (right, col) in right.chunks_exact(G * self.depth).zip((first_col..end_col).step_by(G * GROUP)) {
            let lanes = Lanes::<G>::new(target.cols, col, end_col);
            let right = right.as_chunks::<G>().0;
            for (left, row) in left.chunks_exact(R * self.depth).zip((first_row..end_row).step_by(R)) {
                let sums = tile::<S, R, G>(simd, left.as_chunks::<R>().0, right);
                for (i, sums) in sums.iter().enumerate().take(end_row - row) {
                    lanes.add(out, target.rows.at(row + i), sums, end_col - col);
                }
            }
        }
    }
}

/// The register tile: in row r and group g the sum over k of `left[k][r] * right[k][g]`.
#[inline(always)]
fn tile<S: Simd, const R: usize, const G: usize>(
    simd: S,
    left: &[[u64; R]],
    right: &[[Group; G]],
) -> [[[u64; GROUP]; G]; R] {
    let mut sums = [[simd.splat(0); G]; R];
    for (left, right) in left.iter().zip(right) {
        let right: [S::Words; G] = from_fn(|g| simd.load(right[g].0));
        for r in 0..R {
            let left = simd.splat(left[r]);
            for g in 0..G {
                sums[r][g] = simd.multiply_add(sums[r][g], left, right[g]);
            }
        }
    }
    sums.map(|row| row.map(|sum| simd.store(sum)))
}

/// Up to [`THIN`] rows over a right factor that is read where it lies.
struct Thin<'a, 'b, const R: usize> {
    product: &'a Product<'a>,
    out: &'b mut [u64],
}

impl<const R: usize> TileTask for Thin<'_, '_, R> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const GROUPS: usize>(self, simd: S) {
        // Few rows leave registers for more columns.
        if GROUPS > 1 { self.run_groups::<S, 8>(simd) } else { self.run_groups::<S, 1>(simd) }
    }
}

impl<const R: usize> Thin<'_, '_, R> {
    #[inline(always)]
    fn run_groups<S: Simd, const G: usize>(self, simd: S) {
        let Product { depth, cols, pairs, target, .. } = *self.product;
        for col in (0..cols).step_by(G * GROUP) {
            let mut sums = [[simd.splat(0); G]; R];
            for (left, right) in pairs {
                let lanes = Lanes::<G>::new(right.cols, col, cols);
                for k in 0..depth {
                    let base = right.rows.at(k);
                    let left: [S::Words; R] = from_fn(|r| simd.splat(left.words[left.rows.at(r) + left.cols.at(k)]));
                    for g in 0..G {
                        let right = simd.load(lanes.load(right.words, base, g));
                        for r in 0..R {
                            sums[r][g] = simd.multiply_add(sums[r][g], left[r], right);
                        }
                    }
                }
            }
            let lanes = Lanes::<G>::new(target.cols, col, cols);
            for (r, sums) in sums.into_iter().enumerate() {
                lanes.add(self.out, target.rows.at(r), &sums.map(|sum| simd.store(sum)), cols - col);
            }
        }
    }
}

/// Up to [`THIN`] rows over a right factor whose columns lie in one piece: scalar products.
struct Dots<'a, 'b> {
    product: &'a Product<'a>,
    space: &'b mut Workspace,
    out: &'b mut [u64],
}

impl Task for Dots<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let packed = &mut self.space.left;
        for (left, right) in pairs {
            packed.clear();
            for row in 0..rows {
                packed.extend((0..depth).map(|k| left.words[left.rows.at(row) + left.cols.at(k)]));
            }
            for col in 0..cols {
                let start = right.cols.at(col);
                let column = &right.words[start..start + depth];
                for (row, weights) in packed.chunks_exact(depth).enumerate() {
                    let word = &mut self.out[target.rows.at(row) + target.cols.at(col)];
                    *word = word.wrapping_add(dot(weights, column));
                }
            }
        }
    }
}

/// The scalar product.
#[inline(always)]
fn dot(left: &[u64], right: &[u64]) -> u64 {
    left.iter().zip(right).fold(0, |sum: u64, (l, r)| sum.wrapping_add(l.wrapping_mul(*r)))
}
