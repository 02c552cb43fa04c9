//! From words to bit planes: 64 words by 64 bits are a bit matrix, which is transposed.

use std::array::from_fn;

use super::isa::{Isa, TileTask};
use super::products::Products;
use super::simd::{GROUP, Group, Simd};
use super::{Input, Output};

/// Words that [`GROUP`] bit matrices hold; they are transposed side by side, one in each word of a vector.
const BLOCK: usize = 64 * GROUP;

/// Plane j of `outs[0]` is bit `from + j` of `ins[0] + add`; bits past the last element are zero.
pub(super) fn to_planes(isa: Isa, add: u64, from: u32, ins: &[Input<'_>], outs: &mut [Output<'_>]) {
    let (input, output) = (&ins[0], &mut outs[0]);
    let target = output.buf;
    if !output.words.is_empty() {
        let (stride, planes) = (target.stride(), target.planes);
        isa.run_tiles(ToPlanes { words: input.words, add, from, stride, planes, out: output.words });
    }
}

struct ToPlanes<'a> {
    words: &'a [u64],
    add: u64,
    from: u32,
    stride: usize,
    planes: usize,
    out: &'a mut [u64],
}

impl TileTask for ToPlanes<'_> {
    #[inline(always)]
    fn run<S: Simd, P: Products, const ROWS: usize, const GROUPS: usize>(self, simd: S, _: P) {
        let mut padded = [0; BLOCK];
        for (block, words) in self.words.chunks(BLOCK).enumerate() {
            let words = words.try_into().unwrap_or_else(|_| {
                // Past the end there must be zeros once `add` is added.
                padded.fill(self.add.wrapping_neg());
                padded[..words.len()].copy_from_slice(words);
                &padded
            });
            let planes = transposed(simd, words, self.add, self.from, self.planes);
            let first = block * GROUP;
            for (plane, group) in self.out.chunks_exact_mut(self.stride).zip(&planes) {
                match plane[first..].first_chunk_mut() {
                    Some(words) => *words = group.0,
                    None => {
                        let rest = plane.len() - first;
                        plane[first..].copy_from_slice(&group.0[..rest]);
                    }
                }
            }
        }
    }
}

/// The bits from `from` on of a block's words, after adding `add`: group j is plane j. Only the first `planes` groups
/// mean anything.
#[inline(always)]
fn transposed<S: Simd>(simd: S, words: &[u64; BLOCK], add: u64, from: u32, planes: usize) -> [Group; 64] {
    let add = simd.splat(add);
    let mut rows = [add; 64];
    for (part, rows) in rows.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let lanes = from_fn(|lane| {
            let start = lane * 64 + part * GROUP;
            let words = simd.load(from_fn(|i| words[start + i]));
            simd.shr(simd.add(words, add), from)
        });
        *rows = simd.transpose(lanes);
    }
    let rows = transpose_bits::<S, 32>(simd, &mut rows, planes);
    let rows = transpose_bits::<S, 16>(simd, rows, planes);
    let rows = transpose_bits::<S, 8>(simd, rows, planes);
    let rows = transpose_bits::<S, 4>(simd, rows, planes);
    let rows = transpose_bits::<S, 2>(simd, rows, planes);
    let rows = transpose_bits::<S, 1>(simd, rows, planes);
    from_fn(|j| rows.get(j).map_or(Group::default(), |row| Group(simd.store(*row))))
}

/// A level of the transposition of bit matrices: in each square of `2 * HALF` rows and bits, the upper right and the
/// lower left quarter change places. When no row of the lower half is wanted any more, the upper half is left.
#[inline(always)]
fn transpose_bits<S: Simd, const HALF: usize>(simd: S, rows: &mut [S::Words], planes: usize) -> &mut [S::Words] {
    let half = HALF as u32;
    let low = simd.splat(u64::MAX / ((1 << half) + 1));
    for square in rows.chunks_exact_mut(2 * HALF) {
        let (upper, lower) = square.split_at_mut(HALF);
        for (upper, lower) in upper.iter_mut().zip(lower) {
            let swap = simd.and(simd.xor(simd.shr(*upper, half), *lower), low);
            *upper = simd.xor(*upper, simd.shl(swap, half));
            *lower = simd.xor(*lower, swap);
        }
    }
    let kept = if planes <= HALF { HALF.min(rows.len()) } else { rows.len() };
    &mut rows[..kept]
}
