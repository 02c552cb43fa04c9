//! A right matrix that serves for many products, packed into limbs once, which take the place of its words.
//!
//! As many rows as are multiplied at a time lie one after the other in both forms, and of these the panels of 16 columns.

use super::factor::{Axis, Factor, Words};
use super::gemm::{Product, SHARED, Target, Workspace};
use super::isa::{Isa, LimbTask};
use super::limb_panels::{lines, pack_right, unpacked};
use super::limbs::{self, LIMBS, LINE, Limbs, Line, ROWS, Room, Tiles};
use super::simd::Simd;
use super::threads::each_part;

/// Products with fewer rows read words where they lie.
const LEAST: usize = 9;

/// A right matrix, and how many rows all left ones have together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub rows: usize,
    pub depth: usize,
    pub cols: usize,
}

/// Packs the right matrix in place, if limbs are the fastest way then and there is nothing to be filled up. Whether it is packed.
pub(super) fn pack(isa: Isa, shape: Shape, space: &mut Workspace, words: &mut [u64]) -> bool {
    let Shape { rows, depth, cols } = shape;
    let fits =
        depth.is_multiple_of(LINE) && cols.is_multiple_of(ROWS) && words.len() == depth * cols && !words.is_empty();
    let pays =
        rows >= LEAST && limbs::cost([rows, depth, cols], rows * cols, 0) < limbs::words_cost([rows, depth, cols]);
    let packs = isa.has_limbs() && fits && pays && bytemuck::try_cast_slice::<_, Line>(words).is_ok();
    if packs {
        isa.run_limbs(Pack { shape, space, words });
    }
    packs
}

struct Pack<'a> {
    shape: Shape,
    space: &'a mut Workspace,
    words: &'a mut [u64],
}

impl LimbTask for Pack<'_> {
    #[inline(always)]
    fn run<S: Simd, T: Tiles>(self, simd: S, tiles: T) {
        let Pack { shape: Shape { depth, cols, .. }, space, words } = self;
        let Workspace { limbs: Room { right, .. }, right: strips, .. } = space;
        let target = Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) };
        for part in words.chunks_mut(limbs::deep(depth) * cols) {
            let depth = part.len() / cols;
            let pairs = [(Factor::row_major((&[][..]).into(), depth), Factor::row_major((&*part).into(), cols))];
            let product = Product { rows: 0, depth, cols, pairs: &pairs, target };
            pack_right((simd, tiles), &product, (0, depth), (0, cols), (strips, right));
            part.copy_from_slice(bytemuck::cast_slice(&right[..lines(cols, depth / LINE)]));
        }
    }
}

/// The words of a matrix that is packed.
pub(super) fn unpack(Shape { depth, cols, .. }: Shape, packed: &[u64], words: &mut [u64]) {
    let deep = limbs::deep(depth);
    for (packed, words) in packed.chunks(deep * cols).zip(words.chunks_mut(deep * cols)) {
        let (packed, steps): (&[Line], _) = (bytemuck::cast_slice(packed), packed.len() / cols / LINE);
        for (at, word) in words.iter_mut().enumerate() {
            let (row, col) = (at / cols, at % cols);
            let step = &packed[(col / ROWS * steps + row / LINE) * LIMBS * ROWS..][..LIMBS * ROWS];
            *word = unpacked(step, row % LINE, col % ROWS);
        }
    }
}

/// Adds the product with a right matrix that is packed to `out`, row by row.
pub(super) fn add(isa: Isa, shape: Shape, (left, packed): (Words<'_>, &[u64]), space: &mut Workspace, out: &mut [u64]) {
    let Shape { rows, depth, cols } = shape;
    let threads = if rows * depth * cols < SHARED { 1 } else { space.threads.max(1) };
    let step = rows.div_ceil(threads).next_multiple_of(ROWS);
    let starts = (0..rows).step_by(step);
    space.for_parts(starts.len(), |spaces| {
        let parts = starts.zip(out.chunks_mut(step * cols)).zip(spaces);
        each_part(parts, |((start, out), space)| {
            let rows = step.min(rows - start);
            let left = Factor::row_major(left.range(start * depth, (start + rows) * depth), depth);
            let pairs = [(left, Factor::row_major((&[][..]).into(), cols))];
            let target = Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) };
            let product = Product { rows, depth, cols, pairs: &pairs, target };
            isa.run_limbs(Limbs { product: &product, packed: bytemuck::cast_slice(packed), space, out });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::gemm::tests::{by_definition, noise};
    use crate::backend::cpu::simd::GROUP;

    #[test]
    fn packed_matrices_are_multiplied_and_unpacked() {
        let deep = limbs::deep(usize::MAX / 2);
        for [rows, depth, cols] in [[9, 64, 16], [17, 192, 144], [70, deep + 64, 48], [33, 128, 272]] {
            let shape = Shape { rows, depth, cols };
            let (left, other, right) = (noise(rows * depth, 1), noise(rows * depth, 2), noise(depth * cols, 3));
            let sum = Words { first: &left, second: Some((&other, [3, u64::MAX])) };
            let all = Isa::available();
            for left in [Words::from(&left[..]), sum] {
                let pairs = [(Factor::row_major(left, depth), Factor::row_major((&right[..]).into(), cols))];
                let target = Target { rows: Axis::Stride(cols), cols: Axis::Stride(1) };
                let mut expected = noise(rows * cols, 4);
                by_definition(&Product { rows, depth, cols, pairs: &pairs, target }, &mut expected);
                for isa in [all[0], all[all.len() - 1]] {
                    let mut room = vec![Line([0; LINE]); right.len() / GROUP];
                    let words: &mut [u64] = bytemuck::cast_slice_mut(&mut room);
                    words.copy_from_slice(&right);
                    let mut space = Workspace::default();
                    isa.run_limbs(Pack { shape, space: &mut space, words });
                    for threads in [1, 3] {
                        space.threads = threads;
                        let mut out = noise(rows * cols, 4);
                        add(isa, shape, (left, words), &mut space, &mut out);
                        assert!(out == expected, "{shape:?}, {isa:?}, {threads} threads");
                    }
                    let mut again = vec![0; words.len()];
                    unpack(shape, words, &mut again);
                    assert!(again == right, "{shape:?}, {isa:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_pay_or_fit_stays_words() {
        let mut room = vec![Line([1; LINE]); 128 * 64 / GROUP];
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut room);
        words.copy_from_slice(&noise(words.len(), 1));
        let isa = Isa::detect();
        let before = words.to_vec();
        for [rows, depth, cols] in [[8, 128, 64], [64, 96, 64], [64, 128, 56]] {
            let shape = Shape { rows, depth, cols };
            assert!(!pack(isa, shape, &mut Workspace::default(), &mut words[..depth * cols]));
        }
        assert!(!pack(
            isa,
            Shape { rows: 64, depth: 64, cols: 64 },
            &mut Workspace::default(),
            &mut words[1..64 * 64 + 1]
        ));
        assert!(words == before);
        let packs = pack(isa, Shape { rows: 64, depth: 128, cols: 64 }, &mut Workspace::default(), words);
        assert!(packs == isa.has_limbs() && packs == (words != before));
    }
}
