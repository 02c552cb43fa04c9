//! AES-128 of counters by instructions that encrypt two blocks at once: VAES on registers of 256 bits. The `aes` crate takes
//! VAES together with AVX-512 only, and processors have the one without the other.

#![allow(unsafe_code, reason = "calling a function compiled for detected instructions")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_loadu_si256, _mm256_set_epi64x,
    _mm256_setzero_si256, _mm256_storeu_si256, _mm256_xor_si256,
};

use zeroize::Zeroizing;

use crate::backend::StreamKey;
use crate::backend::aes::{WORDS, expand};

/// Registers whose rounds overlap, so that none waits for the round before; each has two blocks.
const WIDE: usize = 8;

/// Round keys, each twice.
type Keys = [[u64; 4]; WORDS / 2];

/// The round keys. A value of this type is a proof that the processor has `vaes` and `avx2`.
pub(super) struct Vaes(Zeroizing<Keys>);

impl Vaes {
    /// Expands a key, if the processor has the instructions and the crate would not take wider ones.
    pub(super) fn new(key: &StreamKey) -> Option<Vaes> {
        let there = is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2");
        if !there || is_x86_feature_detected!("avx512f") {
            return None;
        }
        let mut keys = Zeroizing::new([[0; 4]; WORDS / 2]);
        for (twice, [low, high]) in keys.iter_mut().zip(expand(key).as_chunks::<2>().0) {
            *twice = [*low, *high, *low, *high];
        }
        Some(Vaes(keys))
    }

    /// Keystream blocks `index..` of a stream, as pairs of words.
    pub(super) fn blocks(&self, id: u32, index: u64, out: &mut [[u64; 2]]) {
        // SAFETY: `self` proves that the features are there.
        unsafe { encrypt(&self.0, id, index, out) }
    }
}

#[target_feature(enable = "vaes,avx2")]
fn encrypt(keys: &Keys, id: u32, index: u64, out: &mut [[u64; 2]]) {
    let id = i64::from(id);
    let mut next = _mm256_set_epi64x(id, index.wrapping_add(1) as i64, id, index as i64);
    let mut chunks = out.chunks_exact_mut(2 * WIDE);
    for chunk in &mut chunks {
        store(&keystream(keys, &mut next), chunk);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut last = [[0; 2]; 2 * WIDE];
        store(&keystream(keys, &mut next), &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Encrypts the next counters.
#[inline]
#[target_feature(enable = "vaes,avx2")]
fn keystream([first, middle @ .., last]: &Keys, next: &mut __m256i) -> [__m256i; WIDE] {
    let (first, last) = (load(first), load(last));
    let two = _mm256_set_epi64x(0, 2, 0, 2);
    let mut blocks = [_mm256_setzero_si256(); WIDE];
    for block in &mut blocks {
        *block = _mm256_xor_si256(*next, first);
        *next = _mm256_add_epi64(*next, two);
    }
    for key in middle {
        let key = load(key);
        for block in &mut blocks {
            *block = _mm256_aesenc_epi128(*block, key);
        }
    }
    for block in &mut blocks {
        *block = _mm256_aesenclast_epi128(*block, last);
    }
    blocks
}

/// Reads a register.
#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u64; 4]) -> __m256i {
    // SAFETY: the words are 32 bytes, and may lie at any address.
    unsafe { _mm256_loadu_si256(std::ptr::from_ref(words).cast()) }
}

/// Writes the blocks to as much memory.
#[inline]
#[target_feature(enable = "avx2")]
fn store(blocks: &[__m256i; WIDE], out: &mut [[u64; 2]]) {
    for (block, words) in blocks.iter().zip(out.as_chunks_mut::<2>().0) {
        // SAFETY: the pair of blocks is 32 bytes, and may lie at any address.
        unsafe { _mm256_storeu_si256(std::ptr::from_mut(words).cast(), *block) };
    }
}
