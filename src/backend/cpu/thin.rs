//! Products with few rows, whose right factor is not worth packing: each of its words is used too seldom.

use std::array::from_fn;

use super::factor::{Lanes, Words};
use super::gemm::{Product, Workspace};
use super::isa::TileTask;
use super::products::{Direct, Products, totals};
use super::simd::{GROUP, Group, Simd};

/// Up to `R` rows over a right factor that is read where it lies.
pub(super) struct Thin<'a, 'b, const R: usize> {
    pub product: &'a Product<'a>,
    pub out: &'b mut [u64],
}

impl<const R: usize> TileTask for Thin<'_, '_, R> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize>(self, _: S, products: P) {
        match (ROWS, GROUPS, R) {
            // Sixteen registers of 256 bits.
            (3, _, 1) => self.run_tiles::<P, 1, 2>(products),
            (3, _, _) => self.run_tiles::<P, 2, 1>(products),
            (_, 1, _) => self.run_tiles::<P, R, 1>(products),
            // Fewer rows leave registers for more columns.
            (_, _, ..4) => self.run_tiles::<P, R, 8>(products),
            (_, _, 4) => self.run_tiles::<P, R, 6>(products),
            (_, _, _) => self.run_tiles::<P, R, 3>(products),
        }
    }
}

impl<const R: usize> Thin<'_, '_, R> {
    /// `T` rows and `G` groups of columns at a time.
    #[inline(always)]
    fn run_tiles<P: Products, const T: usize, const G: usize>(self, products: P) {
        let Product { rows, cols, target, .. } = *self.product;
        for col in (0..cols).step_by(G * GROUP) {
            let lanes = Lanes::<G>::new(target.cols, col, cols);
            for first in (0..rows.min(R)).step_by(T) {
                let sums = self.tile::<P, T, G>(products, first, col);
                for (row, sums) in (first..rows).zip(&sums) {
                    lanes.add(self.out, target.rows.at(row), sums, cols - col);
                }
            }
        }
    }

    /// The results from row `first` and column `col` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "closures may stay functions, which are compiled for the baseline")]
    fn tile<P: Products, const T: usize, const G: usize>(
        &self,
        products: P,
        first: usize,
        col: usize,
    ) -> [[[u64; GROUP]; G]; T] {
        let Product { rows, depth, cols, pairs, .. } = *self.product;
        let mut sums = [[products.zero(); G]; T];
        for (left, right) in pairs {
            let offsets: [usize; T] = from_fn(|r| left.rows.at((first + r).min(rows - 1)));
            let lanes = Lanes::<G>::new(right.cols, col, cols);
            for k in 0..depth {
                let (row, column) = (right.rows.at(k), left.cols.at(k));
                let mut factors = [products.factor([0; GROUP]); G];
                for g in 0..G {
                    let words = lanes.load(right.words.first, row, g);
                    factors[g] = products.factor(match right.words.second {
                        None => words,
                        Some((second, by)) => weighted(products, [words, lanes.load(second, row, g)], by),
                    });
                }
                for r in 0..T {
                    let left = products.splat(&left.words.word(offsets[r] + column));
                    for g in 0..G {
                        sums[r][g] = products.accumulate(sums[r][g], left, factors[g]);
                    }
                }
            }
        }
        totals(products, &sums)
    }
}

/// `a x + b y`.
#[inline(always)]
fn weighted<P: Products>(products: P, [x, y]: [[u64; GROUP]; 2], [a, b]: [u64; 2]) -> [u64; GROUP] {
    let sum = products.accumulate(products.zero(), products.splat(&a), products.factor(x));
    products.total(products.accumulate(sum, products.splat(&b), products.factor(y)))
}

/// A few rows over a right factor whose columns lie in one piece: scalar products, a tile of up to four rows by four
/// columns at a time. Nothing is transposed, which for so few rows would cost as much as to multiply.
pub(super) struct Dots<'a, 'b> {
    pub product: &'a Product<'a>,
    pub space: &'b mut Workspace,
    pub out: &'b mut [u64],
}

/// Columns gathered at a time; a multiple of a tile's, and at least its rows.
const SIDE: usize = 4;

impl TileTask for Dots<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize>(self, _: S, products: P) {
        match ROWS {
            3 => self.run_tiles::<P, 2, 1>(products),
            _ => self.run_tiles::<P, SIDE, SIDE>(products),
        }
    }
}

impl Dots<'_, '_> {
    #[inline(always)]
    fn run_tiles<P: Direct, const R: usize, const C: usize>(self, products: P) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let Workspace { left: packed_left, right: columns, .. } = self.space;
        let groups = depth.div_ceil(GROUP);
        for (left, right) in pairs {
            packed_left.clear();
            packed_left.resize(rows * groups * GROUP, 0);
            for (row, packed) in packed_left.chunks_exact_mut(groups * GROUP).enumerate() {
                for (k, word) in packed.iter_mut().enumerate().take(depth) {
                    *word = left.words.word(left.rows.at(row) + left.cols.at(k));
                }
            }
            if rows < 3 {
                // Too few to gather columns for.
                for col in 0..cols {
                    let start = right.cols.at(col);
                    let column = right.words.range(start, start + depth);
                    for (row, weights) in packed_left.chunks_exact(groups * GROUP).enumerate() {
                        let word = &mut self.out[target.rows.at(row) + target.cols.at(col)];
                        *word = word.wrapping_add(column.dot(weights));
                    }
                }
                continue;
            }
            columns.clear();
            columns.resize(SIDE * groups, Group::default());
            for col in (0..cols).step_by(SIDE) {
                let used = (cols - col).min(SIDE);
                for (i, column) in columns.chunks_exact_mut(groups).enumerate().take(used) {
                    let start = right.cols.at(col + i);
                    gather(products, right.words.range(start, start + depth), column);
                }
                let packed = packed_left.as_chunks::<GROUP>().0;
                for (first, columns) in (0..used).step_by(C).zip(columns.chunks_exact(C * groups)) {
                    let mut add = |row: usize, sums: &[[u64; C]]| {
                        for (i, sums) in sums.iter().enumerate() {
                            for (j, sum) in (first..used).zip(sums) {
                                let word = &mut self.out[target.rows.at(row + i) + target.cols.at(col + j)];
                                *word = word.wrapping_add(*sum);
                            }
                        }
                    };
                    let whole = rows - rows % R;
                    for row in (0..whole).step_by(R) {
                        add(row, &dots::<P, R, C>(products, &packed[row * groups..], columns, groups));
                    }
                    let rest = &packed[whole * groups..];
                    match rows - whole {
                        1 => add(whole, &dots::<P, 1, C>(products, rest, columns, groups)),
                        2 if R > 2 => add(whole, &dots::<P, 2, C>(products, rest, columns, groups)),
                        3 if R > 2 => add(whole, &dots::<P, 3, C>(products, rest, columns, groups)),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Words in groups; the last one is filled up with what was there.
#[inline(always)]
fn gather<P: Products>(products: P, words: Words<'_>, groups: &mut [Group]) {
    let (first, rest) = words.first.as_chunks::<GROUP>();
    match words.second {
        None => groups.iter_mut().zip(first).for_each(|(group, words)| group.0 = *words),
        Some((second, by)) => {
            for ((group, first), second) in groups.iter_mut().zip(first).zip(second.as_chunks::<GROUP>().0) {
                group.0 = weighted(products, [*first, *second], by);
            }
        }
    }
    if let Some(last) = groups.get_mut(first.len()) {
        last.0 = from_fn(|i| if i < rest.len() { words.word(first.len() * GROUP + i) } else { 0 });
    }
}

/// The scalar products of `R` rows with `C` columns, each of so many groups.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "closures may stay functions, which are compiled for the baseline")]
fn dots<P: Direct, const R: usize, const C: usize>(
    products: P,
    rows: &[[u64; GROUP]],
    columns: &[Group],
    groups: usize,
) -> [[u64; C]; R] {
    let mut sums = [[products.zero(); C]; R];
    let rows: [&[[u64; GROUP]]; R] = from_fn(|i| &rows[i * groups..(i + 1) * groups]);
    let columns: [&[Group]; C] = from_fn(|j| &columns[j * groups..(j + 1) * groups]);
    for k in 0..groups {
        let mut factors = [products.factor(columns[0][k].0); C];
        for j in 1..C {
            factors[j] = products.factor(columns[j][k].0);
        }
        for i in 0..R {
            let row = products.load(rows[i][k]);
            for j in 0..C {
                sums[i][j] = products.accumulate(sums[i][j], row, factors[j]);
            }
        }
    }
    let mut totals = [[0; C]; R];
    for i in 0..R {
        for j in 0..C {
            let words = products.total(sums[i][j]);
            totals[i][j] = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word));
        }
    }
    totals
}
