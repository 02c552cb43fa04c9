//! Vectors of eight words, as far as products need them.
//!
//! [`Plain`] leaves the choice of instructions to the compiler, which does well with small tiles. [`Avx512`] names them.

#![allow(unsafe_code, reason = "vector instructions that the compiler does not find by itself")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m512i, _mm512_add_epi64, _mm512_mullo_epi64, _mm512_set1_epi64};

/// Words of a vector.
pub(super) const GROUP: usize = 8;

/// The words of a vector in memory, where loading them touches one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Group(pub [u64; GROUP]);

/// Permission to compute with vectors of [`GROUP`] words. Arithmetic is modulo 2^64.
pub(super) trait Simd: Copy {
    /// A vector.
    type Words: Copy;

    /// These words.
    fn load(self, words: [u64; GROUP]) -> Self::Words;

    /// The same word in all places.
    fn splat(self, word: u64) -> Self::Words;

    /// `sum + a * b`, word by word.
    fn multiply_add(self, sum: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;

    /// The words of a vector.
    fn store(self, vector: Self::Words) -> [u64; GROUP];
}

/// Arrays, in whatever instructions the surrounding function is compiled for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain;

impl Simd for Plain {
    type Words = [u64; GROUP];

    #[inline(always)]
    fn load(self, words: [u64; GROUP]) -> [u64; GROUP] {
        words
    }

    #[inline(always)]
    fn splat(self, word: u64) -> [u64; GROUP] {
        [word; GROUP]
    }

    #[inline(always)]
    fn multiply_add(self, sum: [u64; GROUP], a: [u64; GROUP], b: [u64; GROUP]) -> [u64; GROUP] {
        std::array::from_fn(|i| sum[i].wrapping_add(a[i].wrapping_mul(b[i])))
    }

    #[inline(always)]
    fn store(self, vector: [u64; GROUP]) -> [u64; GROUP] {
        vector
    }
}

/// Registers of 512 bits. A value of this type is a proof that the processor has `avx512f`, `avx512dq`,
/// `avx512vl` and `avx512bw`.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// The proof.
    ///
    /// # Safety
    /// The processor has the features.
    pub(super) unsafe fn assume() -> Avx512 {
        Avx512(())
    }
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx512 {
    type Words = __m512i;

    #[inline(always)]
    fn load(self, words: [u64; GROUP]) -> __m512i {
        // SAFETY: both types are 64 bytes, and every bit pattern is a value of either.
        unsafe { std::mem::transmute::<[u64; GROUP], __m512i>(words) }
    }

    #[inline(always)]
    fn splat(self, word: u64) -> __m512i {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { _mm512_set1_epi64(word as i64) }
    }

    #[inline(always)]
    fn multiply_add(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the instructions are there.
        unsafe { _mm512_add_epi64(sum, _mm512_mullo_epi64(a, b)) }
    }

    #[inline(always)]
    fn store(self, vector: __m512i) -> [u64; GROUP] {
        // SAFETY: both types are 64 bytes, and every bit pattern is a value of either.
        unsafe { std::mem::transmute::<__m512i, [u64; GROUP]>(vector) }
    }
}
