//! Sums of matrix products modulo 2^64.
//!
//! The usual scheme: blocks of both factors are packed into panels that stay in the caches, and a register tile walks
//! down a panel of each. Results with few rows take ways that do not pack: [`Thin`] and [`Dots`]. Where there are matrix
//! instructions for bytes, products that are worth it are those of limbs: [`Limbs`].

use smallvec::SmallVec;

use super::conv::Offsets;
use super::factor::{Axis, Factor, Lanes};
use super::isa::{Isa, TileTask};
use super::left::{self, InPlace, Left};
use super::limbs::{self, Limbs};
use super::lookup;
use super::packing::{pack_right, panels};
use super::products::{Direct, Panels};
use super::right::{self, Right};
use super::simd::{GROUP, Group, Simd};
use super::strassen::{self, MOST, Room};
use super::thin::{Dots, Thin};
use super::threads::each_part;
use super::tile::tile;

/// How much of the factors is packed or read at a time.
pub(super) struct Blocks {
    /// Rows of the inner dimension.
    pub depth: usize,
    /// Right columns; a multiple of every tile's width.
    pub width: usize,
    /// Left rows that are packed, and such as are read where they lie.
    pub packed: usize,
    pub in_place: usize,
}

/// The blocks of register tiles so many groups wide: a panel of a wide tile comes out of a core's second cache fast enough, and
/// results are added up the seldomer the deeper it is; that of a narrow one stays in the first.
pub(super) const fn blocks(groups: usize) -> Blocks {
    match groups {
        1 => Blocks { depth: 256, width: 768, packed: 128, in_place: 32 },
        _ => Blocks { depth: 1024, width: 384, packed: 64, in_place: 64 },
    }
}

/// How many of so many are taken at a time, where up to `most` can be: each time about as many, in whole `unit`s.
pub(super) fn evenly(all: usize, most: usize, unit: usize) -> usize {
    all.div_ceil(all.div_ceil(most)).next_multiple_of(unit)
}

/// Results with at most this many rows are not worth packing for: each word of the right factor is used too seldom.
const THIN: usize = 8;

/// Rows up to which scalar products are better than packing, where columns lie in one piece.
const DOTS: usize = 16;

/// Columns up to which the roles of rows and columns are exchanged, when rows are more; where tiles are wide, which then have
/// a use for more.
const NARROW: usize = 16;
const NARROW_OF_WIDE: usize = GROUP;

/// Multiplications from which on threads share a product, some 0.2 ms of a thread: of fewer, waking the others up is a large
/// part.
pub(super) const SHARED: usize = 1 << 21;

/// Room for packed panels, kept from launch to launch.
#[derive(Default)]
pub(super) struct Workspace {
    pub(super) left: Vec<u64>,
    pub(super) right: Vec<Group>,
    /// Images with their padding, one for each pair; or a channel.
    pub(super) images: [Vec<u64>; 2],
    /// Offsets of a convolution.
    pub(super) offsets: Offsets,
    /// Threads that share the launch, if it is large, and what those but this one need for a product.
    pub(super) threads: usize,
    pub(super) others: Vec<Workspace>,
    /// A thread's columns of a result.
    part: Vec<u64>,
    /// What large products need.
    pub(super) strassen: Room,
    /// What products of limbs need.
    pub(super) limbs: limbs::Room,
    /// What tables need.
    pub(super) tables: lookup::Room,
}

impl Workspace {
    /// Hands room for so many parts to `work`: this thread's own, and the others'. Parts are not shared in turn.
    pub(super) fn for_parts(
        &mut self,
        parts: usize,
        work: impl FnOnce(&mut (dyn Iterator<Item = &mut Workspace> + Send)),
    ) {
        let (mut others, threads) = (std::mem::take(&mut self.others), std::mem::replace(&mut self.threads, 1));
        others.resize_with((parts - 1).max(others.len()), Workspace::default);
        work(&mut std::iter::once(&mut *self).chain(&mut others));
        (self.others, self.threads) = (others, threads);
    }
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
        if is_narrow(isa, self.rows, self.cols) {
            let pairs: SmallVec<[_; 2]> = self.pairs.iter().map(|(l, r)| (r.transposed(), l.transposed())).collect();
            let target = Target { rows: self.target.cols, cols: self.target.rows };
            let flipped = Product { rows: self.cols, depth: self.depth, cols: self.rows, pairs: &pairs, target };
            return flipped.wide(isa, space, out);
        }
        self.wide(isa, space, out);
    }

    /// Adds the product to `out`; there are at least about as many columns as rows.
    fn wide(&self, isa: Isa, space: &mut Workspace, out: &mut [u64]) {
        if !self.is_shared(space) {
            return self.alone(isa, space, out);
        }
        match (self.target.rows, self.target.cols) {
            (Axis::Stride(stride), Axis::Stride(1)) if self.rows > self.cols && stride >= self.cols => {
                self.by_rows(stride, isa, space, out);
            }
            _ if self.cols >= GROUP * space.threads => {
                self.by_columns(GROUP, space, out, |part, space, out| part.alone(isa, space, out));
            }
            _ => self.alone(isa, space, out),
        }
    }

    /// Whether it is worth several threads, if there are any.
    pub(super) fn is_shared(&self, space: &Workspace) -> bool {
        is_shared([self.rows, self.depth, self.cols, self.pairs.len()], space)
    }

    /// The same by several threads: each computes some of the rows, which lie one after the other, `stride` words apart.
    fn by_rows(&self, stride: usize, isa: Isa, space: &mut Workspace, out: &mut [u64]) {
        let Product { rows, depth, cols, pairs, target } = *self;
        let step = rows.div_ceil(space.threads).next_multiple_of(GROUP);
        let starts = (0..rows).step_by(step);
        space.for_parts(starts.len(), |spaces| {
            let parts = starts.zip(out.chunks_mut(step * stride)).zip(spaces);
            each_part(parts, |((start, out), space)| {
                let pairs: SmallVec<[_; 2]> = pairs.iter().map(|(left, right)| (left.part(start, 0), *right)).collect();
                Product { rows: step.min(rows - start), depth, cols, pairs: &pairs, target }.alone(isa, space, out);
            });
        });
    }

    /// The same: each thread computes some of the columns, whole units of so many, with `add`.
    pub(super) fn by_columns(
        &self,
        unit: usize,
        space: &mut Workspace,
        out: &mut [u64],
        add: impl Fn(&Product<'_>, &mut Workspace, &mut [u64]) + Sync,
    ) {
        let Product { rows, depth, cols, pairs, target } = *self;
        by_columns([rows, cols], unit, target, space, out, |(start, end), space, out| {
            let pairs: SmallVec<[_; 2]> = pairs.iter().map(|(left, right)| (*left, right.part(0, start))).collect();
            let target = Target { rows: Axis::Stride(end - start), cols: Axis::Stride(1) };
            add(&Product { rows, depth, cols: end - start, pairs: &pairs, target }, space, out);
        });
    }

    /// The same by this thread.
    fn alone(&self, isa: Isa, space: &mut Workspace, out: &mut [u64]) {
        let in_one_piece = self.pairs.iter().all(|(_, right)| matches!(right.rows, Axis::Stride(1)));
        match (self.rows, in_one_piece) {
            (..=DOTS, true) => isa.run_tiles(Dots { product: self, space, out }),
            (1, false) => isa.run_tiles(Thin::<1> { product: self, out }),
            (2, false) => isa.run_tiles(Thin::<2> { product: self, out }),
            (3, false) => isa.run_tiles(Thin::<3> { product: self, out }),
            (4, false) => isa.run_tiles(Thin::<4> { product: self, out }),
            (..=THIN, false) => isa.run_tiles(Thin::<THIN> { product: self, out }),
            _ if isa.has_limbs() && limbs::pay([self.rows, self.depth * self.pairs.len(), self.cols]) => {
                isa.run_limbs(Limbs { product: self, packed: &[], space, out });
            }
            _ => match strassen::levels([self.rows, self.depth, self.cols]) {
                levels @ 1.. if !self.is_gathered() => strassen::add(self, None, (levels, MOST), isa, space, out),
                _ => self.packed(isa, space, out),
            },
        }
    }

    /// Whether a right factor lies somewhere else than row by row or column by column.
    fn is_gathered(&self) -> bool {
        self.pairs.iter().any(|(_, right)| matches!(right.cols, Axis::Table(_)))
    }

    /// The packed way.
    pub(super) fn packed(&self, isa: Isa, space: &mut Workspace, out: &mut [u64]) {
        isa.run_tiles(Packed { product: self, space, out });
    }

    /// What part of the result comes of a part of the inner dimension: rows, inner dimension and columns from `start` on,
    /// for a function that adds such a product to the words it is given. Nothing happens if the part is empty.
    pub(super) fn part(
        &self,
        start: [usize; 3],
        size: [usize; 3],
        out: &mut [u64],
        add: impl FnOnce(&Product<'_>, &mut [u64]),
    ) {
        if size.contains(&0) {
            return;
        }
        let ([row, k, col], [rows, depth, cols]) = (start, size);
        let pairs: SmallVec<[_; 2]> =
            self.pairs.iter().map(|(left, right)| (left.part(row, k), right.part(k, col))).collect();
        let ((above, target_rows), (before, target_cols)) = (self.target.rows.from(row), self.target.cols.from(col));
        let target = Target { rows: target_rows, cols: target_cols };
        add(&Product { rows, depth, cols, pairs: &pairs, target }, &mut out[above + before..]);
    }
}

/// Whether the roles of rows and columns are exchanged.
pub(super) fn is_narrow(isa: Isa, rows: usize, cols: usize) -> bool {
    cols < rows && cols <= if isa.has_wide_tiles() { NARROW_OF_WIDE } else { NARROW }
}

/// Whether threads share a product of such sizes, if there are any.
pub(super) fn is_shared<const SIZES: usize>(sizes: [usize; SIZES], space: &Workspace) -> bool {
    space.threads > 1 && sizes.into_iter().fold(1, usize::saturating_mul) >= SHARED
}

/// Adds a product to `out`: each thread computes some columns, whole units of so many, with `add`, which adds those from a first
/// one to an end to words that have no others.
pub(super) fn by_columns(
    [rows, cols]: [usize; 2],
    unit: usize,
    target: Target<'_>,
    space: &mut Workspace,
    out: &mut [u64],
    add: impl Fn((usize, usize), &mut Workspace, &mut [u64]) + Sync,
) {
    let step = cols.div_ceil(space.threads).next_multiple_of(unit);
    let parts = (0..cols).step_by(step).map(|start| (start, cols.min(start + step)));
    space.for_parts(parts.len(), |spaces| {
        each_part(parts.clone().zip(spaces), |((start, end), space)| {
            let mut part = std::mem::take(&mut space.part);
            part.clear();
            part.resize(rows * (end - start), 0);
            add((start, end), space, &mut part);
            space.part = part;
        });
    });
    for ((start, end), space) in parts.zip(std::iter::once(&*space).chain(&space.others)) {
        for (row, words) in space.part.chunks_exact(end - start).enumerate() {
            let base = target.rows.at(row);
            for (col, word) in (start..).zip(words) {
                let to = &mut out[base + target.cols.at(col)];
                *to = to.wrapping_add(*word);
            }
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
    fn run<S: Simd, P: Direct, const R: usize, const G: usize>(self, simd: S, products: P) {
        let panels = products.panels();
        let Product { rows, depth, cols, pairs, target } = *self.product;
        let Workspace { left: room, right: packed_right, .. } = self.space;
        let in_place = pairs.iter().all(|(left, _)| left::is_in_place(left));
        let most = const { blocks(G) };
        let height = evenly(rows, if in_place { most.in_place } else { most.packed }, R);
        let (width, deep) = (evenly(cols, most.width, G * GROUP), evenly(depth, most.depth, GROUP));
        for first_col in (0..cols).step_by(width) {
            let end_col = cols.min(first_col + width);
            for (left, right) in pairs {
                for k in (0..depth).step_by(deep) {
                    let inner = (k, depth.min(k + deep));
                    pack_right::<S, _, G>((simd, panels), right, inner, (first_col, end_col), packed_right);
                    let depth = inner.1 - inner.0;
                    let right = right::Packed { rows: packed_right.as_chunks().0, depth, closing: P::Panels::CLOSING };
                    for first_row in (0..rows).step_by(height) {
                        let end_row = rows.min(first_row + height);
                        let rows = (first_row, end_row);
                        let block = Block { rows, cols: (first_col, end_col) };
                        let out = &mut *self.out;
                        if in_place {
                            let left = InPlace::new(panels, left, inner, rows, room);
                            block.multiply::<_, InPlace<'_, R>, _, R, G>(panels, left, right, target, out);
                        } else {
                            let left = left::Packed::new((simd, panels), left, inner, rows, room);
                            block.multiply::<_, left::Packed<'_, R>, _, R, G>(panels, left, right, target, out);
                        }
                    }
                }
            }
        }
    }
}

/// The part of a result that two blocks contribute to: first and end row and column.
pub(super) struct Block {
    pub rows: (usize, usize),
    pub cols: (usize, usize),
}

impl Block {
    /// Adds the product of two blocks to the result.
    #[inline(always)]
    pub(super) fn multiply<P: Panels, L: Left<R>, T: Right<G>, const R: usize, const G: usize>(
        &self,
        products: P,
        left: L,
        right: T,
        target: Target<'_>,
        out: &mut [u64],
    ) {
        let (first_col, end_col) = self.cols;
        let (first_row, end_row) = self.rows;
        for (panel, (col, end_col)) in panels::<G>(first_col, end_col).enumerate() {
            let lanes = Lanes::<G>::new(target.cols, col, end_col);
            let right = (right.rows(panel), right.closing(panel));
            for (panel, row) in (first_row..end_row).step_by(R).enumerate() {
                let left = (left.rows(panel), left.closing(panel));
                let sums = match (end_row - row, (end_col - col).div_ceil(GROUP)) {
                    (_, 1) if G > 1 => tile::<P, L::Rows, R, G, R, 1>(products, left, right),
                    (_, 2) if G > 2 => tile::<P, L::Rows, R, G, R, 2>(products, left, right),
                    (1, _) if G == 1 => tile::<P, L::Rows, R, G, 1, G>(products, left, right),
                    (2, _) if G == 1 && R > 2 => tile::<P, L::Rows, R, G, 2, G>(products, left, right),
                    _ => tile::<P, L::Rows, R, G, R, G>(products, left, right),
                };
                for (i, sums) in sums.iter().enumerate().take(end_row - row) {
                    lanes.add(out, target.rows.at(row + i), sums, end_col - col);
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backend::cpu::factor::Words;

    /// Words without a pattern.
    pub(in crate::backend::cpu) fn noise(len: usize, seed: u64) -> Vec<u64> {
        let word = |at: u64| (at ^ seed.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..len as u64).map(|at| word(at) ^ word(at) >> 29).collect()
    }

    /// Adds the product to `out` as it is defined.
    pub(in crate::backend::cpu) fn by_definition(product: &Product<'_>, out: &mut [u64]) {
        let Product { rows, depth, cols, pairs, target } = *product;
        for (left, right) in pairs {
            for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
                let word = |k| {
                    let left = left.words.word(left.rows.at(row) + left.cols.at(k));
                    left.wrapping_mul(right.words.word(right.rows.at(k) + right.cols.at(col)))
                };
                let to = &mut out[target.rows.at(row) + target.cols.at(col)];
                *to = (0..depth).fold(*to, |sum, k| sum.wrapping_add(word(k)));
            }
        }
    }

    /// Checks a product of matrices with each instruction set, the right one packed, the left one read where it lies, as it is
    /// transposed, and as a sum.
    fn check([rows, depth, cols]: [usize; 3], left: &[u64], right: &[u64]) {
        let turned: Vec<u64> = (0..rows * depth).map(|at| left[at % rows * depth + at / rows]).collect();
        let less: Vec<u64> = left.iter().map(|word| word.wrapping_sub(7)).collect();
        let sevens = vec![7; left.len()];
        let lefts = [
            Factor::row_major(left.into(), depth),
            Factor::row_major(turned[..].into(), rows).transposed(),
            Factor::row_major(Words { first: &less, second: Some((&sevens, [1, 1])) }, depth),
        ];
        let target = Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) };
        let before = noise(rows * cols, 3);
        let mut expected = None;
        for (form, left) in lefts.into_iter().enumerate() {
            let pairs = [(left, Factor::row_major(right.into(), cols))];
            let product = Product { rows, depth, cols, pairs: &pairs, target };
            let expected = expected.get_or_insert_with(|| {
                let mut expected = before.clone();
                by_definition(&product, &mut expected);
                expected
            });
            for isa in Isa::available() {
                let mut out = before.clone();
                product.packed(isa, &mut Workspace::default(), &mut out);
                assert!(out == *expected, "{rows}x{depth}x{cols}, form {form}, {isa:?}");
                if isa.has_limbs() {
                    out.copy_from_slice(&before);
                    isa.run_limbs(Limbs {
                        product: &product,
                        packed: &[],
                        space: &mut Workspace::default(),
                        out: &mut out,
                    });
                    assert!(out == *expected, "{rows}x{depth}x{cols}, form {form}, in limbs");
                }
            }
        }
    }

    #[test]
    fn packed_products_whose_sizes_are_no_multiples_of_tiles() {
        for rows in [1, 2, 3, 4, 5, 8, 10, 31, 32, 33, 66, 127, 128, 129, 258] {
            let small = [[1, 1], [2, 7], [3, 8], [4, 17], [5, 24], [6, 33], [7, 49]];
            let [depth, deep] = [1, 3].map(|groups| blocks(groups).depth);
            for [depth, cols] in small.into_iter().chain([[depth, 9], [depth + 1, 33], [deep + 1, 9], [6, 777]]) {
                check([rows, depth, cols], &noise(rows * depth, 1), &noise(depth * cols, 2));
            }
        }
    }

    #[test]
    fn packed_products_of_words_whose_halves_are_at_their_limits() {
        let halves = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
        let words: Vec<u64> = halves.iter().flat_map(|high| halves.map(|low| high << 32 | low)).collect();
        // Each word by each one, alone and in sums of many.
        check([words.len(), 1, words.len()], &words, &words);
        let [depth, deep] = [1, 3].map(|groups| blocks(groups).depth);
        for depth in [2, depth - 1, depth + 3, deep + 3] {
            let cycle = |by: usize| -> Vec<u64> { (0..40 * depth).map(|i| words[i * by % words.len()]).collect() };
            check([40, depth, 40], &cycle(5), &cycle(7));
            check([40, depth, 40], &vec![u64::MAX; 40 * depth], &vec![u64::MAX; 40 * depth]);
        }
    }
}
