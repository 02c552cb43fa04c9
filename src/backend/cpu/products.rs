//! Sums of products of vectors, where what several products have in common is done once.
//!
//! [`Whole`] multiplies words, [`Halves`] their halves: for processors that cannot multiply vectors of words. Packed factors
//! those multiply by [`Paired`].

#![allow(unsafe_code, reason = "vector instructions that the compiler does not find by itself")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_add_epi64, _mm256_mul_epu32, _mm256_mullo_epi32, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_shuffle_epi32, _mm256_slli_epi64,
};

#[cfg(target_arch = "x86_64")]
use super::paired::Paired;
use super::simd::{GROUP, Group, Simd};

/// Permission to compute sums of products of vectors of [`GROUP`] words, modulo 2^64.
pub(super) trait Products: Copy {
    /// A factor.
    type Words: Copy;

    /// A factor that was made ready for several products.
    type Factor: Copy;

    /// A sum that is being made.
    type Sum: Copy;

    /// The same word in all places; its halves may be read where it lies.
    fn splat(self, word: &u64) -> Self::Words;

    /// These words, made ready.
    fn factor(self, words: [u64; GROUP]) -> Self::Factor;

    /// The empty sum.
    fn zero(self) -> Self::Sum;

    /// `sum + a * b`, word by word.
    fn accumulate(self, sum: Self::Sum, a: Self::Words, b: Self::Factor) -> Self::Sum;

    /// What a sum has come to.
    fn total(self, sum: Self::Sum) -> [u64; GROUP];
}

/// Products of words as they lie in memory.
pub(super) trait Direct: Products {
    /// The same for words that are packed.
    type Panels: Panels;

    /// These words.
    fn load(self, words: [u64; GROUP]) -> Self::Words;

    /// The products of the same words, once they are packed.
    fn panels(self) -> Self::Panels;
}

/// Products of packed words, which may have a form of their own, and rows behind them without which a sum is not complete.
pub(super) trait Panels: Products {
    /// Rows behind those of a factor.
    const CLOSING: usize;

    /// What a group of the closing row is before any word is packed.
    const OPEN: Group;

    /// Writes the closing row behind rows of the left factor.
    fn close<const R: usize>(self, rows: &[[u64; R]], closing: &mut [[u64; R]]);

    /// The same for rows that each lie in one piece.
    fn close_rows<const R: usize>(self, rows: &[&[u64]; R], closing: &mut [[u64; R]]);

    /// A group of the right factor as it is packed. The closing row's group, if there is one, takes note of it.
    fn pack(self, words: [u64; GROUP], closing: Option<&mut Group>) -> Group;

    /// The words of a group that is packed.
    fn unpack(self, packed: Group) -> [u64; GROUP];
}

/// What the sums of a register tile have come to; rows and groups that it has no sums for are zero.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "closures may stay functions, which are compiled for the baseline")]
pub(super) fn totals<P: Products, const R: usize, const G: usize, const ROWS: usize, const GROUPS: usize>(
    products: P,
    sums: &[[P::Sum; GROUPS]; ROWS],
) -> [[[u64; GROUP]; G]; R] {
    let mut totals = [[[0; GROUP]; G]; R];
    for r in 0..ROWS {
        for g in 0..GROUPS {
            totals[r][g] = products.total(sums[r][g]);
        }
    }
    totals
}

/// Products of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<S>(pub S);

impl<S: Simd> Products for Whole<S> {
    type Words = S::Words;
    type Factor = S::Words;
    type Sum = S::Words;

    #[inline(always)]
    fn splat(self, word: &u64) -> S::Words {
        self.0.splat(*word)
    }

    #[inline(always)]
    fn factor(self, words: [u64; GROUP]) -> S::Words {
        self.0.load(words)
    }

    #[inline(always)]
    fn zero(self) -> S::Words {
        self.0.splat(0)
    }

    #[inline(always)]
    fn accumulate(self, sum: S::Words, a: S::Words, b: S::Words) -> S::Words {
        self.0.multiply_add(sum, a, b)
    }

    #[inline(always)]
    fn total(self, sum: S::Words) -> [u64; GROUP] {
        self.0.store(sum)
    }
}

impl<S: Simd> Direct for Whole<S> {
    type Panels = Whole<S>;

    #[inline(always)]
    fn load(self, words: [u64; GROUP]) -> S::Words {
        self.0.load(words)
    }

    #[inline(always)]
    fn panels(self) -> Whole<S> {
        self
    }
}

impl<S: Simd> Panels for Whole<S> {
    const CLOSING: usize = 0;
    const OPEN: Group = Group([0; GROUP]);

    #[inline(always)]
    fn close<const R: usize>(self, _: &[[u64; R]], _: &mut [[u64; R]]) {}

    #[inline(always)]
    fn close_rows<const R: usize>(self, _: &[&[u64]; R], _: &mut [[u64; R]]) {}

    #[inline(always)]
    fn pack(self, words: [u64; GROUP], _: Option<&mut Group>) -> Group {
        Group(words)
    }

    #[inline(always)]
    fn unpack(self, packed: Group) -> [u64; GROUP] {
        packed.0
    }
}

/// Products of halves, in registers of 256 bits. A value of this type is a proof that the processor has `avx2`.
///
/// A product of words modulo 2^64 is that of their low halves and 2^32 times the sum of the two products of one's low half
/// and the other's high half, of which the low 32 bits count. The former and the latter are added up apart. One instruction
/// multiplies both halves of a word with those of another whose halves have changed places.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Halves(());

#[cfg(target_arch = "x86_64")]
impl Halves {
    /// The proof.
    ///
    /// # Safety
    /// The processor has the feature.
    pub(super) unsafe fn assume() -> Halves {
        Halves(())
    }
}

/// The halves of each word change places.
///
/// # Safety
/// The processor has `avx2`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn exchanged(words: __m256i) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_shuffle_epi32::<0b10_11_00_01>(words) }
}

#[cfg(target_arch = "x86_64")]
impl Products for Halves {
    type Words = [__m256i; 2];
    /// The words, and the words with exchanged halves.
    type Factor = [[__m256i; 2]; 2];
    /// The sum of products of low halves, and that of the others: 32 bits each, in both halves of a word.
    type Sum = [[__m256i; 2]; 2];

    #[inline(always)]
    fn splat(self, word: &u64) -> [__m256i; 2] {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { [_mm256_set1_epi64x(*word as i64); 2] }
    }

    #[inline(always)]
    fn factor(self, words: [u64; GROUP]) -> Self::Factor {
        let words = self.load(words);
        // SAFETY: `self` proves that the instruction is there.
        unsafe { [words, [exchanged(words[0]), exchanged(words[1])]] }
    }

    #[inline(always)]
    fn zero(self) -> Self::Sum {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { [[_mm256_setzero_si256(); 2]; 2] }
    }

    #[inline(always)]
    fn accumulate(self, [low, cross]: Self::Sum, a: [__m256i; 2], [b, exchanged]: Self::Factor) -> Self::Sum {
        // SAFETY: `self` proves that the instructions are there.
        unsafe {
            [
                [
                    _mm256_add_epi64(low[0], _mm256_mul_epu32(a[0], b[0])),
                    _mm256_add_epi64(low[1], _mm256_mul_epu32(a[1], b[1])),
                ],
                [
                    _mm256_add_epi32(cross[0], _mm256_mullo_epi32(a[0], exchanged[0])),
                    _mm256_add_epi32(cross[1], _mm256_mullo_epi32(a[1], exchanged[1])),
                ],
            ]
        }
    }

    #[inline(always)]
    fn total(self, [low, cross]: Self::Sum) -> [u64; GROUP] {
        // SAFETY: both types are 64 bytes, and every bit pattern is a value of either; `self` proves that the instructions
        // are there.
        unsafe {
            let first = _mm256_slli_epi64::<32>(_mm256_add_epi32(cross[0], exchanged(cross[0])));
            let second = _mm256_slli_epi64::<32>(_mm256_add_epi32(cross[1], exchanged(cross[1])));
            let sums = [_mm256_add_epi64(low[0], first), _mm256_add_epi64(low[1], second)];
            std::mem::transmute::<[__m256i; 2], [u64; GROUP]>(sums)
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Direct for Halves {
    type Panels = Paired;

    #[inline(always)]
    fn load(self, words: [u64; GROUP]) -> [__m256i; 2] {
        // SAFETY: both types are 64 bytes, and every bit pattern is a value of either.
        unsafe { std::mem::transmute::<[u64; GROUP], [__m256i; 2]>(words) }
    }

    #[inline(always)]
    fn panels(self) -> Paired {
        Paired::new(self)
    }
}
