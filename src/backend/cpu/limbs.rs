//! Products by matrix instructions for bytes: words are split into limbs.
//!
//! Of words `a = sum of 2^8i a_i` and `b = sum of 2^8j b_j` the product modulo 2^64 is the sum of `2^8d c_d` over the diagonals
//! `c_d = sum over i + j = d of a_i b_j`, d < 8: 36 products of bytes. Where the limbs of the left factor follow one another
//! upwards and those of the right one downwards, a diagonal is one scalar product of neighbouring limbs. Diagonals are added up
//! modulo 2^32. From `c_4` on no more of them counts; those before are sums of at most four products of bytes for each step of
//! the inner dimension, and of [`DEPTH`] steps they fit.

use std::hint::black_box;

use super::factor::Lanes;
use super::gemm::{Product, Target, Workspace, evenly};
use super::isa::{Isa, LimbTask};
use super::limb_panels::{lines, pack_left, pack_right};
use super::simd::{GROUP, Simd};

/// Limbs of a word.
pub(super) const LIMBS: usize = 8;

/// Limbs of a line; as many steps of the inner dimension are multiplied at a time.
pub(super) const LINE: usize = 64;

/// Lines of a tile.
pub(super) const ROWS: usize = 16;

/// Rows of a left panel and columns of a right one, at most: two tiles.
pub(super) const PANEL: usize = 2 * ROWS;

/// Rows, steps of the inner dimension and columns that are packed at a time, and rows that stay near while they meet the columns.
const HEIGHT: usize = 512;
const DEPTH: usize = 512;
pub(super) const WIDTH: usize = 128;
const NEAR: usize = 128;

// A diagonal's sum fits.
const _: () = assert!(4 * DEPTH as u64 * 255 * 255 <= u32::MAX as u64);

/// A cache line of limbs: 64 steps of a row, or four of 16 columns.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Line(pub [u8; LINE]);

/// A row of a tile of sums.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Sums(pub [u32; ROWS]);

/// Permission to multiply tiles of bytes.
pub(super) trait Tiles: Copy {
    /// Byte `l` of word `w` of group `v` becomes byte `8 v + w` of line `l`.
    fn split(self, words: [[u64; GROUP]; GROUP]) -> [Line; LIMBS];

    /// Byte `16 k + n` becomes byte `4 n + k`: columns of four steps each, of four rows.
    fn interleave(self, line: Line) -> Line;

    /// Products of `M` tiles of rows and `N` of columns, one or two, added up over the inner dimension: tile `(m, n)` is number
    /// `N m + n` of the sums. Of each step of 64, at least one, first comes the first rows' or columns' tile, then the next.
    fn multiply<const M: usize, const N: usize>(self, left: &[Line], right: &[Line], sums: &mut [Sums]);
}

/// The same by any processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Tiles for Portable {
    #[inline(always)]
    fn split(self, words: [[u64; GROUP]; GROUP]) -> [Line; LIMBS] {
        std::array::from_fn(|limb| Line(std::array::from_fn(|at| (words[at / GROUP][at % GROUP] >> (8 * limb)) as u8)))
    }

    #[inline(always)]
    fn interleave(self, line: Line) -> Line {
        Line(std::array::from_fn(|at| line.0[at % 4 * ROWS + at / 4]))
    }

    #[inline(always)]
    fn multiply<const M: usize, const N: usize>(self, left: &[Line], right: &[Line], sums: &mut [Sums]) {
        for (tile, sums) in sums.chunks_exact_mut(ROWS).enumerate().take(M * N) {
            for (row, sums) in sums.iter_mut().enumerate() {
                sums.0 = std::array::from_fn(|col| {
                    let steps = left.chunks_exact(M * ROWS).zip(right.chunks_exact(N * ROWS));
                    steps.fold(0, |sum: u32, (left, right)| {
                        let (left, right) = (&left[tile / N * ROWS + row].0, &right[tile % N * ROWS..]);
                        left.iter().enumerate().fold(sum, |sum, (k, limb)| {
                            let other = right[k / 4].0[4 * col + k % 4];
                            sum.wrapping_add(u32::from(*limb) * u32::from(other))
                        })
                    })
                });
            }
        }
    }
}

/// Room for panels of limbs and for sums, kept from launch to launch.
#[derive(Default)]
pub(super) struct Room {
    left: Vec<Line>,
    right: Vec<Line>,
    sums: Vec<Sums>,
}

/// Whether limbs are the faster way for so many rows, steps of the inner dimension in all, and columns: from what was measured.
pub(super) fn pay([rows, depth, cols]: [usize; 3]) -> bool {
    // In multiplications of words, of which the other way has tiles of eight rows: a result that is put together takes as long as
    // twelve, a word of the right factor as six; and in the time of one, limbs of four words are multiplied.
    let padded = rows.next_multiple_of(ROWS) * depth.next_multiple_of(LINE) * cols.next_multiple_of(ROWS);
    padded / 4 + 12 * rows * cols + 6 * depth * cols < rows.next_multiple_of(GROUP) * depth * cols
}

/// Adds a product to `out`.
pub(super) struct Limbs<'a, 'b> {
    pub product: &'a Product<'a>,
    pub space: &'b mut Workspace,
    pub out: &'b mut [u64],
}

impl LimbTask for Limbs<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, simd: S, tiles: T) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let Workspace { limbs: Room { left, right, sums }, right: words, .. } = self.space;
        let depth = depth * pairs.len();
        let width = evenly(cols, WIDTH, PANEL);
        // Few columns stay near, and so do rows as long as they meet them.
        let few = cols <= width;
        let (height, deep) = (evenly(rows, if few { NEAR } else { HEIGHT }, PANEL), evenly(depth, DEPTH, LINE));
        sums.resize(LIMBS * DIAGONAL, Sums::default());
        for k in (0..depth).step_by(deep) {
            let inner = (k, depth.min(k + deep));
            let steps = (inner.1 - inner.0).div_ceil(LINE);
            for row in (0..rows).step_by(height) {
                let rows = (row, rows.min(row + height));
                pack_left((simd, tiles), self.product, inner, rows, left);
                for col in (0..cols).step_by(width) {
                    let cols = (col, cols.min(col + width));
                    if rows.0 == 0 || !few {
                        pack_right((simd, tiles), self.product, inner, cols, (words, &mut *right));
                    }
                    for row in (rows.0..rows.1).step_by(NEAR) {
                        let near = (row, rows.1.min(row + NEAR));
                        let left = &left[lines(row - rows.0, steps)..];
                        multiply_block(tiles, (left, near), (right, cols), steps, sums, target, self.out);
                    }
                }
            }
        }
    }
}

/// Adds the product of some rows' panels with some columns'.
#[inline(always)]
fn multiply_block<T: Tiles>(
    tiles: T,
    (left, rows): (&[Line], (usize, usize)),
    (right, cols): (&[Line], (usize, usize)),
    steps: usize,
    sums: &mut [Sums],
    target: Target<'_>,
    out: &mut [u64],
) {
    for (right, col) in right.chunks(lines(PANEL, steps)).zip((cols.0..cols.1).step_by(PANEL)) {
        let lanes = Lanes::<{ PANEL / GROUP }>::new(target.cols, col, cols.1);
        for (left, row) in left.chunks(lines(PANEL, steps)).zip((rows.0..rows.1).step_by(PANEL)) {
            for row in row..rows.1.min(row + PANEL) {
                for g in 0..PANEL / GROUP {
                    lanes.fetch(out, target.rows.at(row), g);
                }
            }
            match ((rows.1 - row).div_ceil(ROWS), (cols.1 - col).div_ceil(ROWS)) {
                (1, 1) => multiply_panels::<T, 1, 1>(tiles, left, right, steps, sums),
                (1, _) => multiply_panels::<T, 1, 2>(tiles, left, right, steps, sums),
                (_, 1) => multiply_panels::<T, 2, 1>(tiles, left, right, steps, sums),
                (_, _) => multiply_panels::<T, 2, 2>(tiles, left, right, steps, sums),
            }
            let wide = usize::from(cols.1 - col > ROWS) + 1;
            for (i, row) in (row..rows.1.min(row + PANEL)).enumerate() {
                let sums = &sums[i / ROWS * wide * ROWS + i % ROWS..];
                let mut results = [[0; GROUP]; PANEL / GROUP];
                for (g, results) in results.iter_mut().enumerate() {
                    *results = words(sums, g / 2 % wide * ROWS, g % 2 * GROUP);
                }
                lanes.add(out, target.rows.at(row), &results, cols.1 - col);
            }
        }
    }
}

/// Lines of sums of a diagonal.
const DIAGONAL: usize = PANEL * PANEL / ROWS;

/// The diagonals of a left panel's product with a right one.
#[inline(always)]
fn multiply_panels<T: Tiles, const M: usize, const N: usize>(
    tiles: T,
    left: &[Line],
    right: &[Line],
    steps: usize,
    sums: &mut [Sums],
) {
    let (left_limb, right_limb) = (M * ROWS * steps, N * ROWS * steps);
    let right = &right[..LIMBS * right_limb];
    for (d, sums) in sums.chunks_exact_mut(DIAGONAL).enumerate() {
        tiles.multiply::<M, N>(&left[..(d + 1) * left_limb], &right[(LIMBS - 1 - d) * right_limb..], sums);
    }
}

/// The words of a group of results from their diagonals, which begin at line `line` and there at place `place`.
#[inline(always)]
fn words(sums: &[Sums], line: usize, place: usize) -> [u64; GROUP] {
    let mut words = [0; GROUP];
    let mut high = [0u32; GROUP];
    for (d, sums) in sums[line..].iter().step_by(DIAGONAL).enumerate().take(LIMBS) {
        for i in 0..GROUP {
            let sum = sums.0[place + i];
            if d < LIMBS / 2 {
                words[i] += u64::from(sum) << (8 * d);
            } else {
                high[i] = high[i].wrapping_add(sum << (8 * (d - LIMBS / 2)));
            }
        }
    }
    for i in 0..GROUP {
        words[i] = words[i].wrapping_add(u64::from(high[i]) << 32);
    }
    words
}

/// Runs the loop alone, so many times on limbs that stay in the nearest cache: the speed that products of limbs are measured
/// against. The multiply-adds of words that it does; nothing where there are no instructions for tiles of limbs.
pub fn alone(times: usize) -> Option<usize> {
    let isa = Isa::detect();
    isa.has_limbs().then(|| {
        isa.run_limbs(Alone { times });
        times * PANEL * LINE * PANEL
    })
}

struct Alone {
    times: usize,
}

impl LimbTask for Alone {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, _: S, tiles: T) {
        let panel = vec![Line([0x9e; LINE]); PANEL * LIMBS];
        let mut sums = vec![Sums::default(); LIMBS * DIAGONAL];
        for _ in 0..self.times {
            let (left, right) = (&black_box(&panel)[..], &black_box(&panel)[..]);
            multiply_panels::<T, 2, 2>(tiles, left, right, 1, black_box(&mut sums));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::factor::{Axis, Factor, Words};
    use crate::backend::cpu::gemm::tests::{by_definition, noise};

    /// Computes a product with matrix instructions, if there are any, and without.
    fn check(name: &str, product: &Product<'_>) {
        let before = noise(product.rows * product.cols, 5);
        let mut expected = before.clone();
        by_definition(product, &mut expected);
        let all = Isa::available();
        for isa in [all[0], all[all.len() - 1]] {
            // What earlier products left in the room does not matter.
            let mut space = Workspace::default();
            let lines = vec![Line([0xa5; LINE]); 1 << 12];
            (space.limbs.left, space.limbs.right) = (lines.clone(), lines);
            let mut out = before.clone();
            isa.run_limbs(Limbs { product, space: &mut space, out: &mut out });
            let Product { rows, depth, cols, .. } = product;
            assert!(out == expected, "{name}, {rows}x{depth}x{cols}, {isa:?}");
        }
    }

    /// The target of a result that lies row by row.
    fn dense<'a>(cols: usize) -> Target<'a> {
        Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) }
    }

    #[test]
    fn sizes_are_no_multiples_of_tiles_panels_and_blocks() {
        for [rows, depth, cols] in [
            [1, 1, 1],
            [16, 64, 16],
            [17, 65, 15],
            [15, 32, 33],
            [33, 31, 17],
            [5, DEPTH + 1, 40],
            [NEAR + 1, 3, WIDTH + 1],
            [HEIGHT + 1, 2, 2 * WIDTH + 1],
            [2 * NEAR + 31, 70, 9],
        ] {
            let words = [1, 2].map(|seed| (noise(rows * depth, seed), noise(depth * cols, seed + 2)));
            let pairs = [0, 1].map(|pair| {
                let (x, y) = &words[pair];
                (Factor::row_major(x[..].into(), depth), Factor::row_major(y[..].into(), cols))
            });
            for pairs in [&pairs[..1], &pairs] {
                check("noise", &Product { rows, depth, cols, pairs, target: dense(cols) });
            }
        }
    }

    #[test]
    fn small_products_are_not_worth_it() {
        assert!(pay([1024; 3]) && pay([64, 64, 64]) && !pay([64, 9, 64]) && !pay([9, 25, 64]));
    }

    #[test]
    fn the_loop_alone_counts_its_multiply_adds() {
        assert!(alone(1).is_none_or(|one| one == 32 * 64 * 32 && alone(5) == Some(5 * one)));
    }

    #[test]
    fn limbs_are_at_their_limits() {
        let (rows, cols) = (20, 18);
        for depth in [1, DEPTH, DEPTH + 5] {
            for limit in [u64::MAX, 0xff00_ff00_ff00_ff00, 0x8000_0000_0000_0000, 0] {
                let (x, y) = (vec![limit; rows * depth], vec![u64::MAX; depth * cols]);
                let pairs = [(Factor::row_major(x[..].into(), depth), Factor::row_major(y[..].into(), cols))];
                check("limits", &Product { rows, depth, cols, pairs: &pairs, target: dense(cols) });
            }
        }
    }

    #[test]
    fn factors_lie_in_memory_in_every_way() {
        let [rows, depth, cols] = [35, 75, 41];
        let words = noise(depth * 100, 1);
        let other = noise(depth * 100, 2);
        // Offsets that are in no order, and such as are side by side up to a gap.
        let table: Vec<usize> = (0..depth * 50).map(|i| i * 7919 % 3571).collect();
        let gap: Vec<usize> = (0..cols).map(|i| i + i / 20 * 3).collect();
        let ways: [(Axis<'_>, Axis<'_>); 5] = [
            (Axis::Stride(depth), Axis::Stride(1)),
            (Axis::Stride(1), Axis::Stride(rows.max(cols) + 2)),
            (Axis::Table(&table[..depth]), Axis::Stride(1)),
            (Axis::Stride(3), Axis::Table(&table[5..5 + depth])),
            (Axis::Stride(100), Axis::Table(&gap)),
        ];
        let sum = Words { first: &words, second: Some((&other, [3, u64::MAX])) };
        for (form, storage) in [Words::from(&words[..]), sum].into_iter().enumerate() {
            for (way, (outer, inner)) in ways.into_iter().enumerate() {
                let plain = Factor::row_major(other[..].into(), cols);
                if way < 4 {
                    let left = Factor { words: storage, rows: outer, cols: inner };
                    let pairs = [(left, plain), (left, plain)];
                    let product = Product { rows, depth, cols, pairs: &pairs, target: dense(cols) };
                    check(&format!("left {way}, form {form}"), &product);
                }
                let left = Factor::row_major(other[..].into(), depth);
                let (outer, inner) = if way < 4 { (inner, outer) } else { (outer, inner) };
                let right = Factor { words: storage, rows: outer, cols: inner };
                let pairs = [(left, right), (left, right)];
                let product = Product { rows, depth, cols, pairs: &pairs, target: dense(cols) };
                check(&format!("right {way}, form {form}"), &product);
            }
        }
        let offsets: Vec<usize> = (0..cols).map(|i| i * rows + i / 7).collect();
        let pairs = [(Factor::row_major(words[..].into(), depth), Factor::row_major(other[..].into(), cols))];
        let target = Target { rows: Axis::Stride(1), cols: Axis::Table(&offsets) };
        let mut expected = vec![1; rows * (cols + 1)];
        let mut out = expected.clone();
        let product = Product { rows, depth, cols, pairs: &pairs, target };
        by_definition(&product, &mut expected);
        Isa::detect().run_limbs(Limbs { product: &product, space: &mut Workspace::default(), out: &mut out });
        assert!(out == expected);
    }
}
