//! Products with few rows, whose right factor is not worth packing: each of its words is used too seldom.

use std::array::from_fn;

use super::factor::{Lanes, Words};
use super::gemm::{Product, Workspace};
use super::isa::TileTask;
use super::simd::{GROUP, Group, Simd};

/// Up to `R` rows over a right factor that is read where it lies.
pub(super) struct Thin<'a, 'b, const R: usize> {
    pub product: &'a Product<'a>,
    pub out: &'b mut [u64],
}

impl<const R: usize> TileTask for Thin<'_, '_, R> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const GROUPS: usize>(self, simd: S) {
        // Fewer rows leave registers for more columns.
        match (GROUPS, R) {
            (1, _) => self.run_groups::<S, 1>(simd),
            (_, ..4) => self.run_groups::<S, 8>(simd),
            (_, 4) => self.run_groups::<S, 6>(simd),
            (_, _) => self.run_groups::<S, 3>(simd),
        }
    }
}

impl<const R: usize> Thin<'_, '_, R> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "loops over indices are unrolled, so that sums stay in registers")]
    fn run_groups<S: Simd, const G: usize>(self, simd: S) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        for col in (0..cols).step_by(G * GROUP) {
            let mut sums = [[simd.splat(0); G]; R];
            for (left, right) in pairs {
                let offsets: [usize; R] = from_fn(|r| left.rows.at(r.min(rows - 1)));
                let lanes = Lanes::<G>::new(right.cols, col, cols);
                let second = right.words.second.map(|(words, factors)| (words, factors.map(|x| simd.splat(x))));
                for k in 0..depth {
                    let (row, column) = (right.rows.at(k), left.cols.at(k));
                    let left = offsets.map(|offset| simd.splat(left.words.word(offset + column)));
                    for g in 0..G {
                        let first = simd.load(lanes.load(right.words.first, row, g));
                        let right = match second {
                            None => first,
                            Some((second, [a, b])) => {
                                let second = simd.load(lanes.load(second, row, g));
                                simd.multiply_add(simd.multiply_add(simd.splat(0), a, first), b, second)
                            }
                        };
                        for r in 0..R {
                            sums[r][g] = simd.multiply_add(sums[r][g], left[r], right);
                        }
                    }
                }
            }
            let lanes = Lanes::<G>::new(target.cols, col, cols);
            for (r, sums) in sums.into_iter().enumerate().take(rows) {
                lanes.add(self.out, target.rows.at(r), &sums.map(|sum| simd.store(sum)), cols - col);
            }
        }
    }
}

/// A few rows over a right factor whose columns lie in one piece: scalar products, four rows by four columns at a
/// time. Nothing is transposed, which for so few rows would cost as much as to multiply.
pub(super) struct Dots<'a, 'b> {
    pub product: &'a Product<'a>,
    pub space: &'b mut Workspace,
    pub out: &'b mut [u64],
}

/// Rows and columns of a tile of scalar products.
const SIDE: usize = 4;

impl TileTask for Dots<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const GROUPS: usize>(self, simd: S) {
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
                    gather(simd, right.words.range(start, start + depth), column);
                }
                let packed = packed_left.as_chunks::<GROUP>().0;
                let mut add = |row: usize, sums: &[[u64; SIDE]]| {
                    for (i, sums) in sums.iter().enumerate() {
                        for (j, sum) in sums.iter().enumerate().take(used) {
                            let word = &mut self.out[target.rows.at(row + i) + target.cols.at(col + j)];
                            *word = word.wrapping_add(*sum);
                        }
                    }
                };
                let whole = rows - rows % SIDE;
                for row in (0..whole).step_by(SIDE) {
                    add(row, &dots::<S, SIDE>(simd, &packed[row * groups..], columns, groups));
                }
                match rows - whole {
                    1 => add(whole, &dots::<S, 1>(simd, &packed[whole * groups..], columns, groups)),
                    2 => add(whole, &dots::<S, 2>(simd, &packed[whole * groups..], columns, groups)),
                    3 => add(whole, &dots::<S, 3>(simd, &packed[whole * groups..], columns, groups)),
                    _ => {}
                }
            }
        }
    }
}

/// Words in groups; the last one is filled up with what was there.
#[inline(always)]
fn gather<S: Simd>(simd: S, words: Words<'_>, groups: &mut [Group]) {
    let (first, rest) = words.first.as_chunks::<GROUP>();
    match words.second {
        None => groups.iter_mut().zip(first).for_each(|(group, words)| group.0 = *words),
        Some((second, factors)) => {
            let [a, b] = factors.map(|factor| simd.splat(factor));
            for ((group, first), second) in groups.iter_mut().zip(first).zip(second.as_chunks::<GROUP>().0) {
                let scaled = simd.multiply_add(simd.splat(0), a, simd.load(*first));
                group.0 = simd.store(simd.multiply_add(scaled, b, simd.load(*second)));
            }
        }
    }
    if let Some(last) = groups.get_mut(first.len()) {
        last.0 = from_fn(|i| if i < rest.len() { words.word(first.len() * GROUP + i) } else { 0 });
    }
}

/// The scalar products of `R` rows with four columns, each of so many groups.
#[inline(always)]
fn dots<S: Simd, const R: usize>(simd: S, rows: &[[u64; GROUP]], columns: &[Group], groups: usize) -> [[u64; SIDE]; R] {
    let mut sums = [[simd.splat(0); SIDE]; R];
    let rows: [&[[u64; GROUP]]; R] = from_fn(|i| &rows[i * groups..(i + 1) * groups]);
    let columns: [&[Group]; SIDE] = from_fn(|j| &columns[j * groups..(j + 1) * groups]);
    for k in 0..groups {
        let columns: [S::Words; SIDE] = from_fn(|j| simd.load(columns[j][k].0));
        for i in 0..R {
            let row = simd.load(rows[i][k]);
            for j in 0..SIDE {
                sums[i][j] = simd.multiply_add(sums[i][j], row, columns[j]);
            }
        }
    }
    sums.map(|sums| sums.map(|sum| simd.store(sum).iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))))
}
