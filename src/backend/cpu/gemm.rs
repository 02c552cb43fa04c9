//! Sums of matrix products modulo 2^64.
//!
//! The usual scheme: blocks of both factors are packed into panels that stay in the caches, and a register tile walks
//! down a panel of each. Results with few rows take ways that do not pack, see [`Product::run`].

use super::factor::{Axis, Factor, GROUP, Lanes};
use super::isa::{Isa, Level, Task};

/// Rows of the inner dimension packed at a time.
const DEPTH: usize = 256;

/// Left rows packed at a time; a multiple of every tile height.
const HEIGHT: usize = 128;

/// Right columns packed at a time; a multiple of every tile width.
const WIDTH: usize = 768;

/// Results with at most this many rows (or columns) are not worth packing for.
const THIN: usize = 3;

/// Columns of a thin tile.
const THIN_WIDTH: usize = 64;

/// Columns below which the roles of rows and columns are exchanged, when rows are more.
const NARROW: usize = 16;

/// Room for packed panels, kept from launch to launch.
#[derive(Default)]
pub(super) struct Workspace {
    left: Vec<u64>,
    right: Vec<u64>,
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
        if self.rows > THIN {
            match isa.level() {
                Level::Avx512 => isa.run(Packed::<8, 24> { product: self, space, out }),
                Level::Avx2 => isa.run(Packed::<4, 8> { product: self, space, out }),
                Level::Portable => isa.run(Packed::<4, 8> { product: self, space, out }),
            }
        } else if self.pairs.iter().all(|(_, right)| matches!(right.rows, Axis::Stride(1))) {
            isa.run(Dots { product: self, space, out });
        } else {
            match self.rows {
                1 => isa.run(Thin::<1> { product: self, out }),
                2 => isa.run(Thin::<2> { product: self, out }),
                _ => isa.run(Thin::<3> { product: self, out }),
            }
        }
    }
}

/// The packed way, in register tiles of `R` by `C`.
struct Packed<'a, 'b, const R: usize, const C: usize> {
    product: &'a Product<'a>,
    space: &'b mut Workspace,
    out: &'b mut [u64],
}

impl<const R: usize, const C: usize> Task for Packed<'_, '_, R, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let Workspace { left: packed_left, right: packed_right } = self.space;
        for first_col in (0..cols).step_by(WIDTH) {
            let end_col = cols.min(first_col + WIDTH);
            for (left, right) in pairs {
                for k in (0..depth).step_by(DEPTH) {
                    let deep = DEPTH.min(depth - k);
                    // The right factor's inner index is its row; panels hold, for each inner index, C columns.
                    pack::<C>(*right, k, deep, first_col, end_col, packed_right);
                    for first_row in (0..rows).step_by(HEIGHT) {
                        let end_row = rows.min(first_row + HEIGHT);
                        pack::<R>(left.transposed(), k, deep, first_row, end_row, packed_left);
                        let block = Block { rows: (first_row, end_row), cols: (first_col, end_col), target };
                        multiply::<R, C>(deep, packed_left, packed_right, &block, self.out);
                    }
                }
            }
        }
    }
}

/// Packs `deep` rows from `k` on of columns `first..end` into panels of `N` columns.
#[inline(always)]
fn pack<const N: usize>(factor: Factor<'_>, k: usize, deep: usize, first: usize, end: usize, packed: &mut Vec<u64>) {
    let words = (end - first).div_ceil(N) * N * deep;
    if packed.len() < words {
        packed.resize(words, 0);
    }
    for (panel, start) in packed.chunks_exact_mut(N * deep).zip((first..end).step_by(N)) {
        if N % GROUP == 0 {
            let lanes = Lanes::<N>::new(factor.cols, start, end);
            for (i, row) in panel.chunks_exact_mut(N).enumerate() {
                let base = factor.rows.at(k + i);
                for (g, group) in row.chunks_exact_mut(GROUP).enumerate() {
                    group.copy_from_slice(&lanes.load(factor.words, base, g));
                }
            }
        } else {
            let offsets: [usize; N] = std::array::from_fn(|i| factor.cols.at((start + i).min(end - 1)));
            for (i, row) in panel.chunks_exact_mut(N).enumerate() {
                let base = factor.rows.at(k + i);
                for (word, offset) in row.iter_mut().zip(offsets) {
                    *word = factor.words[base + offset];
                }
            }
        }
    }
}

/// The part of a result that two packed blocks contribute to.
struct Block<'a> {
    rows: (usize, usize),
    cols: (usize, usize),
    target: Target<'a>,
}

/// Adds the product of two packed blocks to the result.
#[inline(always)]
fn multiply<const R: usize, const C: usize>(
    deep: usize,
    left: &[u64],
    right: &[u64],
    block: &Block<'_>,
    out: &mut [u64],
) {
    let (first_col, end_col) = block.cols;
    let (first_row, end_row) = block.rows;
    for (right, col) in right.chunks_exact(C * deep).zip((first_col..end_col).step_by(C)) {
        let lanes = Lanes::<C>::new(block.target.cols, col, end_col);
        let right = right.as_chunks::<C>().0;
        for (left, row) in left.chunks_exact(R * deep).zip((first_row..end_row).step_by(R)) {
            let left = left.as_chunks::<R>().0;
            let sums = tile::<R, C>(left, right);
            for (i, sums) in sums.iter().enumerate().take(end_row - row) {
                lanes.add(out, block.target.rows.at(row + i), sums, end_col - col);
            }
        }
    }
}

/// The register tile: `sums[r][c] = sum over k of left[k][r] * right[k][c]`.
#[inline(always)]
fn tile<const R: usize, const C: usize>(left: &[[u64; R]], right: &[[u64; C]]) -> [[u64; C]; R] {
    let mut sums = [[0u64; C]; R];
    for (left, right) in left.iter().zip(right) {
        for (sums, l) in sums.iter_mut().zip(left) {
            for (sum, r) in sums.iter_mut().zip(right) {
                *sum = sum.wrapping_add(l.wrapping_mul(*r));
            }
        }
    }
    sums
}

/// Up to [`THIN`] rows over a right factor that is read where it lies.
struct Thin<'a, 'b, const R: usize> {
    product: &'a Product<'a>,
    out: &'b mut [u64],
}

impl<const R: usize> Task for Thin<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Product { depth, cols, pairs, target, .. } = *self.product;
        for col in (0..cols).step_by(THIN_WIDTH) {
            let mut sums = [[[0u64; GROUP]; THIN_WIDTH / GROUP]; R];
            for (left, right) in pairs {
                let lanes = Lanes::<THIN_WIDTH>::new(right.cols, col, cols);
                for k in 0..depth {
                    let base = right.rows.at(k);
                    let weights: [u64; R] = std::array::from_fn(|r| left.words[left.rows.at(r) + left.cols.at(k)]);
                    for g in 0..THIN_WIDTH / GROUP {
                        let values = lanes.load(right.words, base, g);
                        for (sums, weight) in sums.iter_mut().zip(weights) {
                            for (sum, value) in sums[g].iter_mut().zip(values) {
                                *sum = sum.wrapping_add(weight.wrapping_mul(value));
                            }
                        }
                    }
                }
            }
            let lanes = Lanes::<THIN_WIDTH>::new(target.cols, col, cols);
            for (r, sums) in sums.iter().enumerate() {
                let mut row = [0; THIN_WIDTH];
                row.copy_from_slice(sums.as_flattened());
                lanes.add(self.out, target.rows.at(r), &row, cols - col);
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
