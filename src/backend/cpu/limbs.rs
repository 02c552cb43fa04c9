//! Products by matrix instructions for bytes: words are split into limbs.
//!
//! Of words `a = sum of 2^8i a_i` and `b = sum of 2^8j b_j` the product modulo 2^64 is the sum of `2^8d c_d` over the diagonals
//! `c_d = sum over i + j = d of a_i b_j`, d < 8: 36 products of bytes. Each diagonal is added up modulo 2^32 over the inner
//! dimension. From `c_4` on no more of it counts; those before are sums of at most four products of bytes for each step, and of
//! [`MOST_STEPS`] lines of steps they fit.

use std::hint::black_box;

use bytemuck::{Pod, Zeroable};
use smallvec::SmallVec;

use super::factor::Lanes;
use super::gemm::{Product, Target, Workspace, evenly};
use super::isa::{Isa, LimbTask};
use super::limb_image::Places;
use super::limb_panels::{GROUPS, lines, pack_left, pack_right};
use super::simd::{GROUP, Simd};

/// Limbs of a word.
pub(super) const LIMBS: usize = 8;

/// Limbs of a line; as many steps of the inner dimension are multiplied at a time.
pub(super) const LINE: usize = 64;

/// Lines of a tile: rows or columns of a panel, at most.
pub(super) const ROWS: usize = 16;

/// Lines that are fetched ahead in a step: one with each product of tiles.
pub(super) const AHEAD: usize = LIMBS * (LIMBS + 1) / 2;

/// Rows, steps of the inner dimension and columns that are packed at a time: the columns stay near, 1 MB, half of what a core's own
/// cache holds, while panels of rows come one after the other.
const HEIGHT: usize = 1024;
const DEPTH: usize = 1024;
pub(super) const WIDTH: usize = 128;

/// Rows that are packed at a time where the columns are so few that they stay: these do then, too.
const NEAR: usize = 64;

/// Lines of 64 steps, at most, of which a diagonal's sum fits.
pub(super) const MOST_STEPS: usize = u32::MAX as usize / (4 * LINE * 255 * 255);
const _: () = assert!(DEPTH <= MOST_STEPS * LINE);

/// A cache line of limbs: 64 steps of a row, or four of 16 columns.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
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

    /// The diagonals of the product of rows with a panel of columns, each added up over the steps, at least one. Of the panel there
    /// are eight tiles a step, the last limb's first. Meanwhile the processor fetches [`AHEAD`] lines a step, if there are any.
    fn multiply(self, left: LeftTiles<'_>, right: &[Line], ahead: &[Line], sums: &mut [Sums; LIMBS * ROWS]);

    /// The words of a row of results, put together from its diagonals.
    fn words(self, sums: &[Sums; LIMBS * ROWS], row: usize) -> [[u64; GROUP]; GROUPS];
}

/// Tiles of rows: that of step `s` and limb `l` begins at line `l limb + s`th of the steps.
#[derive(Clone, Copy)]
pub(super) struct LeftTiles<'a> {
    pub lines: &'a [Line],
    /// Lines from limb to limb.
    pub limb: usize,
    pub steps: &'a Steps,
}

/// Where tiles begin, in lines, for each step of the inner dimension.
#[derive(Default)]
pub(super) struct Steps {
    lines: Vec<usize>,
    /// Behind the last of these lines.
    end: usize,
}

impl Steps {
    /// Sets them.
    pub(super) fn set(&mut self, lines: impl Iterator<Item = usize>) {
        self.lines.clear();
        self.lines.extend(lines);
        self.end = self.lines.iter().max().map_or(0, |last| last.saturating_add(1));
    }

    /// Where tiles begin.
    pub(super) fn lines(&self) -> &[usize] {
        &self.lines
    }

    /// Behind the last beginning; 0: there are no steps.
    pub(super) fn end(&self) -> usize {
        self.end
    }
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
    fn multiply(self, left: LeftTiles<'_>, right: &[Line], _: &[Line], sums: &mut [Sums; LIMBS * ROWS]) {
        for (at, sums) in sums.iter_mut().enumerate() {
            let (d, row) = (at / ROWS, at % ROWS);
            sums.0 = std::array::from_fn(|col| {
                let steps = left.steps.lines.iter().zip(right.chunks_exact(LIMBS * ROWS));
                steps.flat_map(|step| (0..=d).map(move |limb| (step, limb))).fold(
                    0,
                    |sum: u32, ((start, right), limb)| {
                        let left = &left.lines[limb * left.limb + start + row].0;
                        let right = &right[(LIMBS - 1 - (d - limb)) * ROWS..];
                        left.iter().enumerate().fold(sum, |sum, (k, limb)| {
                            sum.wrapping_add(u32::from(*limb) * u32::from(right[k / 4].0[4 * col + k % 4]))
                        })
                    },
                )
            });
        }
    }

    #[inline(always)]
    fn words(self, sums: &[Sums; LIMBS * ROWS], row: usize) -> [[u64; GROUP]; GROUPS] {
        std::array::from_fn(|g| {
            std::array::from_fn(|i| {
                let diagonals = sums[row..].iter().step_by(ROWS).enumerate();
                diagonals.fold(0, |word: u64, (d, sums)| word.wrapping_add(u64::from(sums.0[g * GROUP + i]) << (8 * d)))
            })
        })
    }
}

/// Room for panels of limbs, kept from launch to launch.
#[derive(Default)]
pub(super) struct Room {
    pub(super) left: Vec<Line>,
    pub(super) right: Vec<Line>,
    /// Where a panel's tiles are.
    pub(super) steps: Steps,
    /// Where the limbs of an image are.
    pub(super) places: Places,
}

/// What limbs take, in multiplications of words: for products of such size, where each factor has whole tiles; results that are put
/// together; and words that are split.
pub(super) fn cost([rows, depth, cols]: [usize; 3], results: usize, split: usize) -> usize {
    // From what was measured: in the time of one, limbs of four words are multiplied; a result takes as long as twelve, a word
    // as six.
    rows.next_multiple_of(ROWS) * depth.next_multiple_of(LINE) * cols.next_multiple_of(ROWS) / 4
        + 12 * results
        + 6 * split
}

/// The same for a product, whose right factor has more words than the left one.
pub(super) fn product_cost([rows, depth, cols]: [usize; 3]) -> usize {
    cost([rows, depth, cols], rows * cols, depth * cols)
}

/// What the other way takes, which has tiles of eight rows.
pub(super) fn words_cost([rows, depth, cols]: [usize; 3]) -> usize {
    rows.next_multiple_of(GROUP) * depth * cols
}

/// Steps of the inner dimension that are multiplied before results are put together.
pub(super) fn deep(depth: usize) -> usize {
    evenly(depth, DEPTH, LINE)
}

/// Whether limbs are the faster way for so many rows, steps of the inner dimension in all, and columns.
pub(super) fn pay(sizes: [usize; 3]) -> bool {
    product_cost(sizes) < words_cost(sizes)
}

/// Adds a product to `out`.
pub(super) struct Limbs<'a, 'b> {
    pub product: &'a Product<'a>,
    /// Limbs of the right factor, of one pair, if they are [packed](super::limb_factor) already.
    pub packed: &'a [Line],
    pub space: &'b mut Workspace,
    pub out: &'b mut [u64],
}

impl LimbTask for Limbs<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, simd: S, tiles: T) {
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let Workspace { limbs: Room { left, right, steps, .. }, right: words, .. } = self.space;
        let depth = depth * pairs.len();
        let width = evenly(cols, WIDTH, ROWS);
        // Few columns stay near, and so do rows as long as they meet them.
        let few = cols <= width;
        let (height, deep) = (evenly(rows, if few { NEAR } else { HEIGHT }, ROWS), deep(depth));
        for k in (0..depth).step_by(deep) {
            let inner = (k, depth.min(k + deep));
            let count = (inner.1 - inner.0).div_ceil(LINE);
            steps.set((0..count).map(|step| step * LIMBS * ROWS));
            for row in (0..rows).step_by(height) {
                let rows = (row, rows.min(row + height));
                pack_left((simd, tiles), self.product, inner, rows, left);
                for col in (0..cols).step_by(width) {
                    let cols = (col, cols.min(col + width));
                    let right = if self.packed.is_empty() {
                        if rows.0 == 0 || !few {
                            pack_right((simd, tiles), self.product, inner, cols, (words, &mut *right));
                        }
                        &*right
                    } else {
                        &self.packed[lines(self.product.cols, inner.0 / LINE) + lines(cols.0, count)..]
                    };
                    multiply_block(tiles, (left, rows), (right, cols), steps, target, self.out);
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
    steps: &Steps,
    target: Target<'_>,
    out: &mut [u64],
) {
    let mut sums = [Sums::default(); LIMBS * ROWS];
    let panel = lines(ROWS, steps.lines.len());
    let lanes: SmallVec<[_; WIDTH / ROWS]> =
        (cols.0..cols.1).step_by(ROWS).map(|col| Lanes::<GROUPS>::new(target.cols, col, cols.1)).collect();
    for (row, lines) in (rows.0..rows.1).step_by(ROWS).zip(left.chunks_exact(panel)) {
        // The next panel is fetched while this one is multiplied.
        let next = (row - rows.0) / ROWS + 1;
        let is_last = row + ROWS >= rows.1;
        let mut ahead = if is_last { &[][..] } else { &left[next * panel..][..panel] };
        let used = (rows.1 - row).min(ROWS);
        for ((col, right), lanes) in (cols.0..cols.1).step_by(ROWS).zip(right.chunks_exact(panel)).zip(&lanes) {
            for i in 0..used {
                for g in 0..GROUPS {
                    lanes.fetch(out, target.rows.at(row + i), g);
                }
            }
            tiles.multiply(LeftTiles { lines, limb: ROWS, steps }, right, ahead, &mut sums);
            ahead = ahead.get(AHEAD * steps.lines.len()..).unwrap_or_default();
            for i in 0..used {
                lanes.add(out, target.rows.at(row + i), &tiles.words(&sums, i), cols.1 - col);
            }
        }
    }
}

/// Steps that [`alone`] multiplies: what a core's nearest cache holds of the right factor, with one step of the left one.
const ALONE: usize = 4;

/// Runs the loop alone, so many times on limbs that stay in the nearest cache: the speed that products of limbs are measured
/// against. The multiply-adds of words that it does; nothing where there are no instructions for tiles of limbs.
pub fn alone(isa: Isa, times: usize) -> Option<usize> {
    isa.has_limbs().then(|| {
        isa.run_limbs(Alone { times });
        times * ALONE * ROWS * LINE * ROWS
    })
}

struct Alone {
    times: usize,
}

impl LimbTask for Alone {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, _: S, tiles: T) {
        let panel = vec![Line([0x9e; LINE]); ALONE * ROWS * LIMBS];
        let mut sums = [Sums::default(); LIMBS * ROWS];
        let mut steps = Steps::default();
        steps.set(std::iter::repeat_n(0, ALONE));
        for _ in 0..self.times {
            let (lines, right) = (&black_box(&panel)[..ROWS * LIMBS], &black_box(&panel)[..]);
            tiles.multiply(LeftTiles { lines, limb: ROWS, steps: &steps }, right, &[], black_box(&mut sums));
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
            isa.run_limbs(Limbs { product, packed: &[], space: &mut space, out: &mut out });
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
        for isa in Isa::available() {
            let one = isa.has_limbs().then_some(4 * 16 * 64 * 16);
            assert!(alone(isa, 1) == one && alone(isa, 5) == one.map(|one| 5 * one));
        }
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
        Isa::detect().run_limbs(Limbs {
            product: &product,
            packed: &[],
            space: &mut Workspace::default(),
            out: &mut out,
        });
        assert!(out == expected);
    }
}
