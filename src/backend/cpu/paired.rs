//! Products of packed words by three multiplications for two, for processors that cannot multiply vectors of words.
//!
//! A product of words `a` and `b` modulo 2^64 is `a' b' + 2^32 (a' b" + a" b')`, the low halves with one stroke, the high ones
//! with two, and of the latter sum 32 bits count. There `a' b" + a" b' = (a' + b') (a" + b") - a' a" - b' b"`: one
//! multiplication of 32 bits for a word, where what is taken off depends on one factor only and is added up while that is
//! packed (S. Winograd, *A New Algorithm for Inner Product*, 1968).

#![allow(unsafe_code, reason = "vector instructions that the compiler does not find by itself")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_add_epi64, _mm256_blend_epi32, _mm256_mul_epu32, _mm256_mullo_epi32,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi32,
};
use std::mem::transmute;

use super::products::{Halves, Panels, Products};
use super::simd::{GROUP, Group};

/// Products of packed words. A value of this type is a proof that the processor has `avx2`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paired(());

impl Paired {
    /// Where there are products of halves.
    pub(super) fn new(_: Halves) -> Paired {
        Paired(())
    }
}

/// The low halves of a packed group, and the high ones: of its first four words at the even places, of the others at the odd.
#[inline(always)]
fn halves(group: Group) -> [__m256i; 2] {
    // SAFETY: both types are 64 bytes, and every bit pattern is a value of either.
    unsafe { transmute::<[u64; GROUP], [__m256i; 2]>(group.0) }
}

/// A group of these halves.
#[inline(always)]
fn group(halves: [__m256i; 2]) -> Group {
    // SAFETY: as above.
    Group(unsafe { transmute::<[__m256i; 2], [u64; GROUP]>(halves) })
}

/// Adds the products of the halves of each word of up to four rows.
#[inline(always)]
fn add_products<const R: usize>(sums: &mut [[u32; R]; 4], rows: &[[u64; R]]) {
    for (sums, row) in sums.iter_mut().zip(rows) {
        for (sum, word) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_add((*word as u32).wrapping_mul((*word >> 32) as u32));
        }
    }
}

impl Products for Paired {
    /// Both halves, each in all places.
    type Words = [__m256i; 2];
    /// The low halves, those of the last four words at the even places, and the high halves.
    type Factor = [__m256i; 3];
    /// The products of low halves, of the first four words and of the others; those of sums of halves.
    type Sum = [__m256i; 3];

    #[inline(always)]
    fn splat(self, word: &u64) -> [__m256i; 2] {
        // SAFETY: a word is two halves; `self` proves that the instruction is there, which reads each from memory.
        unsafe {
            let [low, high] = *std::ptr::from_ref(word).cast::<[i32; 2]>();
            [_mm256_set1_epi32(low), _mm256_set1_epi32(high)]
        }
    }

    #[inline(always)]
    fn factor(self, words: [u64; GROUP]) -> [__m256i; 3] {
        let [low, high] = halves(Group(words));
        // SAFETY: `self` proves that the instruction is there.
        unsafe { [low, _mm256_srli_epi64::<32>(low), high] }
    }

    #[inline(always)]
    fn zero(self) -> [__m256i; 3] {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { [_mm256_setzero_si256(); 3] }
    }

    #[inline(always)]
    fn accumulate(
        self,
        [first, last, cross]: [__m256i; 3],
        [low, high]: [__m256i; 2],
        [lows, last_lows, highs]: [__m256i; 3],
    ) -> [__m256i; 3] {
        // SAFETY: `self` proves that the instructions are there.
        unsafe {
            let sums = [_mm256_add_epi32(low, lows), _mm256_add_epi32(high, highs)];
            [
                _mm256_add_epi64(first, _mm256_mul_epu32(low, lows)),
                _mm256_add_epi64(last, _mm256_mul_epu32(low, last_lows)),
                _mm256_add_epi32(cross, _mm256_mullo_epi32(sums[0], sums[1])),
            ]
        }
    }

    #[inline(always)]
    fn total(self, [first, last, cross]: [__m256i; 3]) -> [u64; GROUP] {
        // SAFETY: `self` proves that the instructions are there.
        unsafe {
            let of_last = _mm256_blend_epi32::<0b10_10_10_10>(_mm256_setzero_si256(), cross);
            let of_first = _mm256_slli_epi64::<32>(cross);
            group([_mm256_add_epi64(first, of_first), _mm256_add_epi64(last, of_last)]).0
        }
    }
}

impl Panels for Paired {
    /// The products of a factor's own halves are taken off in a row of their own: a word of the left factor's has nothing in
    /// its low half, one of the right factor's a one, so that the sum of the high halves is added.
    const CLOSING: usize = 1;
    const OPEN: Group = {
        let ones = 1 << 32 | 1;
        Group([ones, ones, ones, ones, 0, 0, 0, 0])
    };

    #[inline(always)]
    fn close<const R: usize>(self, rows: &[[u64; R]], closing: &mut [[u64; R]]) {
        // Four rows at a time are vectors.
        let (fours, rest) = rows.as_chunks::<4>();
        let mut sums = [[0; R]; 4];
        for rows in fours {
            add_products(&mut sums, rows);
        }
        add_products(&mut sums, rest);
        for closing in closing {
            for (i, word) in closing.iter_mut().enumerate() {
                let sum = sums.iter().fold(0u32, |sum, of| sum.wrapping_add(of[i]));
                *word = u64::from(sum.wrapping_neg()) << 32;
            }
        }
    }

    #[inline(always)]
    fn close_rows<const R: usize>(self, rows: &[&[u64]; R], closing: &mut [[u64; R]]) {
        for closing in closing {
            for (row, closing) in rows.iter().zip(closing) {
                let mut sum = 0u32;
                for word in *row {
                    sum = sum.wrapping_add((*word as u32).wrapping_mul((*word >> 32) as u32));
                }
                *closing = u64::from(sum.wrapping_neg()) << 32;
            }
        }
    }

    #[inline(always)]
    fn pack(self, words: [u64; GROUP], closing: Option<&mut Group>) -> Group {
        let [first, last] = halves(Group(words));
        // SAFETY: `self` proves that the instructions are there.
        unsafe {
            let lows = _mm256_blend_epi32::<0b10_10_10_10>(first, _mm256_slli_epi64::<32>(last));
            let highs = _mm256_blend_epi32::<0b10_10_10_10>(_mm256_srli_epi64::<32>(first), last);
            if let Some(closing) = closing {
                let [ones, sums] = halves(*closing);
                *closing = group([ones, _mm256_sub_epi32(sums, _mm256_mullo_epi32(lows, highs))]);
            }
            group([lows, highs])
        }
    }

    #[inline(always)]
    fn unpack(self, packed: Group) -> [u64; GROUP] {
        const LOW: u64 = u32::MAX as u64;
        let mut words = [0; GROUP];
        for i in 0..GROUP / 2 {
            let (lows, highs) = (packed.0[i], packed.0[i + GROUP / 2]);
            words[i] = lows & LOW | highs << 32;
            words[i + GROUP / 2] = lows >> 32 | highs & !LOW;
        }
        words
    }
}
