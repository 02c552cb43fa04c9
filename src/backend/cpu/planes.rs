//! From words to bit planes: 64 words by 64 bits are a bit matrix, which is transposed.

use std::array::from_fn;

use super::simd::{GROUP, Group, Simd};

/// Words that [`GROUP`] bit matrices hold; they are transposed side by side, one in each word of a vector.
pub(super) const WORDS: usize = 64 * GROUP;

/// The bits from `from` on of up to [`WORDS`] words, after adding `add`: group j is plane j, with zeros past the last word. Only
/// the first `planes` groups mean anything.
#[inline(always)]
pub(super) fn taken<S: Simd>(simd: S, words: &[u64], add: u64, from: u32, planes: usize) -> [Group; 64] {
    match words.try_into() {
        Ok(words) => transposed(simd, words, add, from, planes),
        Err(_) => {
            // Past the end there must be zeros once `add` is added.
            let mut padded = [add.wrapping_neg(); WORDS];
            padded[..words.len()].copy_from_slice(words);
            transposed(simd, &padded, add, from, planes)
        }
    }
}

/// The same of so many words.
#[inline(always)]
fn transposed<S: Simd>(simd: S, words: &[u64; WORDS], add: u64, from: u32, planes: usize) -> [Group; 64] {
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
