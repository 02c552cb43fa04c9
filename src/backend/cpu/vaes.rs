//! AES-128 of counters by instructions that encrypt several blocks at once: VAES on registers of 512 bits or of 256. The `aes`
//! crate takes VAES together with AVX-512 only, and reads the counters from memory.

#![allow(unsafe_code, reason = "calling a function compiled for detected instructions")]

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi64, _mm256_aesenc_epi128, _mm256_aesenclast_epi128, _mm256_loadu_si256,
    _mm256_storeu_si256, _mm256_xor_si256, _mm512_add_epi64, _mm512_aesenc_epi128, _mm512_aesenclast_epi128,
    _mm512_loadu_si512, _mm512_storeu_si512, _mm512_xor_si512,
};
use std::array::from_fn;

use zeroize::Zeroizing;

use crate::backend::StreamKey;
use crate::backend::aes::{WORDS, expand};

/// A block, as little-endian words.
type Block = [u64; 2];

/// Registers whose rounds overlap, so that none waits for the round before.
const WIDE: usize = 8;

/// Blocks of as many registers of the largest kind.
const MOST: usize = WIDE * 4;

/// Round keys.
type Keys = [Block; WORDS / 2];

/// The round keys, and the registers that the processor has.
pub(super) struct Vaes {
    keys: Zeroizing<Keys>,
    registers: Registers,
}

/// Which registers the processor encrypts. A value of this type is a proof that it does.
#[derive(Clone, Copy)]
enum Registers {
    Bits256(Bits256),
    Bits512(Bits512),
}

/// A proof that the processor has `vaes` and `avx2`.
#[derive(Clone, Copy)]
struct Bits256(());

/// A proof that the processor has `vaes` and `avx512f`.
#[derive(Clone, Copy)]
struct Bits512(());

impl Vaes {
    /// Expands a key, once for each kind of registers that the processor encrypts, the largest first.
    pub(super) fn all(key: &StreamKey) -> Vec<Vaes> {
        let mut all = Vec::new();
        if is_x86_feature_detected!("vaes") {
            if is_x86_feature_detected!("avx512f") {
                all.push(Registers::Bits512(Bits512(())));
            }
            if is_x86_feature_detected!("avx2") {
                all.push(Registers::Bits256(Bits256(())));
            }
        }
        let keys = |registers| {
            let mut keys = Zeroizing::new([[0; 2]; WORDS / 2]);
            keys.as_flattened_mut().copy_from_slice(&*expand(key));
            Vaes { keys, registers }
        };
        all.into_iter().map(keys).collect()
    }

    /// Keystream blocks `index..` of a stream, as pairs of words.
    pub(super) fn blocks(&self, id: u32, index: u64, out: &mut [Block]) {
        #[target_feature(enable = "vaes,avx2")]
        fn bits256(proof: Bits256, keys: &Keys, id: u32, index: u64, out: &mut [Block]) {
            encrypt(proof, keys, id, index, out);
        }
        #[target_feature(enable = "vaes,avx512f")]
        fn bits512(proof: Bits512, keys: &Keys, id: u32, index: u64, out: &mut [Block]) {
            encrypt(proof, keys, id, index, out);
        }
        match self.registers {
            // SAFETY: the value proves that the features are there.
            Registers::Bits256(proof) => unsafe { bits256(proof, &self.keys, id, index, out) },
            // SAFETY: as above.
            Registers::Bits512(proof) => unsafe { bits512(proof, &self.keys, id, index, out) },
        }
    }
}

/// Permission to encrypt blocks in registers.
trait Register: Copy {
    /// Some blocks, in order.
    type Blocks: Copy;
    /// How many.
    const COUNT: usize;

    /// These blocks, the first of them that there is room for.
    fn load(self, blocks: &[Block; 4]) -> Self::Blocks;

    /// Writes them to as much memory.
    fn store(self, blocks: Self::Blocks, to: &mut [Block]);

    /// The sums of words.
    fn add(self, a: Self::Blocks, b: Self::Blocks) -> Self::Blocks;

    /// Bit by bit.
    fn xor(self, a: Self::Blocks, b: Self::Blocks) -> Self::Blocks;

    /// A round of the cipher.
    fn round(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks;

    /// The last one.
    fn last(self, blocks: Self::Blocks, key: Self::Blocks) -> Self::Blocks;
}

/// Permission to encrypt blocks in such registers, by these intrinsics.
macro_rules! register {
    ($proof:ty, $blocks:ty, $count:literal, $load:ident, $store:ident, $add:ident, $xor:ident, $round:ident, $last:ident) => {
        impl Register for $proof {
            type Blocks = $blocks;
            const COUNT: usize = $count;

            #[inline(always)]
            fn load(self, blocks: &[Block; 4]) -> $blocks {
                // SAFETY: `self` proves that the instruction is there; so many words are as large as a register.
                unsafe { $load(std::ptr::from_ref(blocks).cast()) }
            }

            #[inline(always)]
            fn store(self, blocks: $blocks, to: &mut [Block]) {
                assert_eq!(to.len(), $count);
                // SAFETY: as above.
                unsafe { $store(to.as_mut_ptr().cast(), blocks) }
            }

            #[inline(always)]
            fn add(self, a: $blocks, b: $blocks) -> $blocks {
                // SAFETY: `self` proves that the instruction is there.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn xor(self, a: $blocks, b: $blocks) -> $blocks {
                // SAFETY: `self` proves that the instruction is there.
                unsafe { $xor(a, b) }
            }

            #[inline(always)]
            fn round(self, blocks: $blocks, key: $blocks) -> $blocks {
                // SAFETY: `self` proves that the instruction is there.
                unsafe { $round(blocks, key) }
            }

            #[inline(always)]
            fn last(self, blocks: $blocks, key: $blocks) -> $blocks {
                // SAFETY: `self` proves that the instruction is there.
                unsafe { $last(blocks, key) }
            }
        }
    };
}

register!(
    Bits256,
    __m256i,
    2,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_add_epi64,
    _mm256_xor_si256,
    _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128
);
register!(
    Bits512,
    __m512i,
    4,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_add_epi64,
    _mm512_xor_si512,
    _mm512_aesenc_epi128,
    _mm512_aesenclast_epi128
);

/// Encrypts the counters from `index` on.
#[inline(always)]
fn encrypt<R: Register>(registers: R, keys: &Keys, id: u32, index: u64, out: &mut [Block]) {
    let counters = from_fn(|i| [index.wrapping_add(i as u64), u64::from(id)]);
    let mut next = registers.load(&counters);
    let mut chunks = out.chunks_exact_mut(WIDE * R::COUNT);
    for chunk in &mut chunks {
        keystream(registers, keys, &mut next, chunk);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        let mut last = [[0; 2]; MOST];
        keystream(registers, keys, &mut next, &mut last[..WIDE * R::COUNT]);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Encrypts the next counters.
#[inline(always)]
fn keystream<R: Register>(r: R, [first, middle @ .., last]: &Keys, next: &mut R::Blocks, out: &mut [Block]) {
    let key = |block: &Block| r.load(&[*block; 4]);
    let (first, last, step) = (key(first), key(last), key(&[R::COUNT as u64, 0]));
    let mut all = [*next; WIDE];
    for blocks in &mut all {
        *blocks = r.xor(*next, first);
        *next = r.add(*next, step);
    }
    for block in middle {
        let key = key(block);
        for blocks in &mut all {
            *blocks = r.round(*blocks, key);
        }
    }
    for (blocks, to) in all.into_iter().zip(out.chunks_exact_mut(R::COUNT)) {
        r.store(r.last(blocks, last), to);
    }
}
