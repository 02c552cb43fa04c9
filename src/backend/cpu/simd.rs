//! Vectors of eight words, for the loops that the compiler does not vectorise well by itself.
//!
//! [`Plain`] leaves the choice of instructions to it nevertheless; [`Avx512`] names them.

#![allow(unsafe_code, reason = "vector instructions that the compiler does not find by itself")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_mullo_epi64, _mm512_set1_epi64,
    _mm512_shuffle_i64x2, _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use std::array::from_fn;

use bytemuck::{Pod, Zeroable};

/// Words of a vector.
pub(super) const GROUP: usize = 8;

/// The words of a vector in memory, where loading them touches one cache line.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Group(pub [u64; GROUP]);

/// Has the processor fetch words that will be read or written soon: the cache line in which they begin.
#[inline(always)]
pub(super) fn fetch(words: &[u64; GROUP]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 has the instruction, and the words are there.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(words).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = words;
}

/// Permission to compute with vectors of [`GROUP`] words. Arithmetic is modulo 2^64.
pub(super) trait Simd: Copy {
    /// A vector.
    type Words: Copy;

    /// These words.
    fn load(self, words: [u64; GROUP]) -> Self::Words;

    /// The same word in all places.
    fn splat(self, word: u64) -> Self::Words;

    /// `a + b`, word by word.
    fn add(self, a: Self::Words, b: Self::Words) -> Self::Words;

    /// `sum + a * b`, word by word.
    fn multiply_add(self, sum: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;

    /// `a & b`.
    fn and(self, a: Self::Words, b: Self::Words) -> Self::Words;

    /// `a ^ b`.
    fn xor(self, a: Self::Words, b: Self::Words) -> Self::Words;

    /// `a << n`, word by word, n < 64.
    fn shl(self, a: Self::Words, n: u32) -> Self::Words;

    /// `a >> n`, word by word, n < 64.
    fn shr(self, a: Self::Words, n: u32) -> Self::Words;

    /// Word `i` of vector `j` becomes word `j` of vector `i`.
    fn transpose(self, rows: [Self::Words; GROUP]) -> [Self::Words; GROUP];

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
    fn add(self, a: [u64; GROUP], b: [u64; GROUP]) -> [u64; GROUP] {
        from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn and(self, a: [u64; GROUP], b: [u64; GROUP]) -> [u64; GROUP] {
        from_fn(|i| a[i] & b[i])
    }

    #[inline(always)]
    fn xor(self, a: [u64; GROUP], b: [u64; GROUP]) -> [u64; GROUP] {
        from_fn(|i| a[i] ^ b[i])
    }

    #[inline(always)]
    fn shl(self, a: [u64; GROUP], n: u32) -> [u64; GROUP] {
        a.map(|word| word << n)
    }

    #[inline(always)]
    fn shr(self, a: [u64; GROUP], n: u32) -> [u64; GROUP] {
        a.map(|word| word >> n)
    }

    #[inline(always)]
    fn transpose(self, rows: [[u64; GROUP]; GROUP]) -> [[u64; GROUP]; GROUP] {
        from_fn(|i| rows.map(|row| row[i]))
    }

    #[inline(always)]
    fn multiply_add(self, sum: [u64; GROUP], a: [u64; GROUP], b: [u64; GROUP]) -> [u64; GROUP] {
        from_fn(|i| sum[i].wrapping_add(a[i].wrapping_mul(b[i])))
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
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { _mm512_add_epi64(a, b) }
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves that the instruction is there.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn shl(self, a: __m512i, n: u32) -> __m512i {
        // SAFETY: `self` proves that the instructions are there.
        unsafe { _mm512_sllv_epi64(a, _mm512_set1_epi64(i64::from(n))) }
    }

    #[inline(always)]
    fn shr(self, a: __m512i, n: u32) -> __m512i {
        // SAFETY: `self` proves that the instructions are there.
        unsafe { _mm512_srlv_epi64(a, _mm512_set1_epi64(i64::from(n))) }
    }

    #[inline(always)]
    fn transpose(self, rows: [__m512i; GROUP]) -> [__m512i; GROUP] {
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
        // SAFETY: `self` proves that the instructions are there.
        unsafe {
            // Columns 0, 2, 4, 6 of two rows at a time, then columns 1, 3, 5, 7.
            let even = [(r0, r1), (r2, r3), (r4, r5), (r6, r7)].map(|(a, b)| _mm512_unpacklo_epi64(a, b));
            let odd = [(r0, r1), (r2, r3), (r4, r5), (r6, r7)].map(|(a, b)| _mm512_unpackhi_epi64(a, b));
            let [c0, c2, c4, c6] = transpose_pairs(even);
            let [c1, c3, c5, c7] = transpose_pairs(odd);
            [c0, c1, c2, c3, c4, c5, c6, c7]
        }
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

/// Pair `i` of vector `j` becomes pair `j` of vector `i`.
///
/// # Safety
/// The processor has `avx512f`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_pairs([r0, r1, r2, r3]: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        // Pairs 0 and 2 of both operands; pairs 1 and 3.
        let (a0, a1) = (_mm512_shuffle_i64x2::<0x88>(r0, r1), _mm512_shuffle_i64x2::<0xdd>(r0, r1));
        let (b0, b1) = (_mm512_shuffle_i64x2::<0x88>(r2, r3), _mm512_shuffle_i64x2::<0xdd>(r2, r3));
        [
            _mm512_shuffle_i64x2::<0x88>(a0, b0),
            _mm512_shuffle_i64x2::<0x88>(a1, b1),
            _mm512_shuffle_i64x2::<0xdd>(a0, b0),
            _mm512_shuffle_i64x2::<0xdd>(a1, b1),
        ]
    }
}
