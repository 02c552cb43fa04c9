//! Pseudorandom streams: AES-128 in counter mode, addressed by element.
//!
//! Keystream block `n` of stream `id` is the encryption of the 16 bytes `le64(n) || le32(id) || le32(0)`; the keystream
//! is the blocks' bytes in order. [`Stream::class`] says which bytes an element takes. Every backend has to produce
//! exactly these words.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};

#[cfg(target_arch = "x86_64")]
use super::vaes::Vaes;
use crate::backend::StreamKey;
use crate::fixed::low_mask;
use crate::plan::Stream;

/// Words of keystream made at a time for elements narrower than a word: many blocks, whose encryptions overlap.
const BATCH: usize = 128;

/// All streams of one key. The expanded key is zeroised on drop.
pub struct Keystream {
    cipher: Aes128Enc,
    #[cfg(target_arch = "x86_64")]
    vaes: Option<Vaes>,
}

impl Keystream {
    /// Expands a key.
    pub fn new(key: &StreamKey) -> Keystream {
        Keystream {
            cipher: Aes128Enc::new(&key.0.into()),
            #[cfg(target_arch = "x86_64")]
            vaes: Vaes::all(key).into_iter().next(),
        }
    }

    /// Elements `start..` of a stream (for `bits == 1`: words, 64 elements each, planes one after the other).
    ///
    /// `stream.key` is the caller's business: this is the stream under the key at hand. What else than encrypting there is to do is
    /// compiled for the caller's instructions.
    #[inline(always)]
    pub fn fill(&self, stream: &Stream, start: u64, out: &mut [u64]) {
        let mask = if stream.bits == 1 { u64::MAX } else { low_mask(stream.bits) };
        match stream.class() {
            1 | 64 => {
                self.words(stream.id, start, out);
                if mask != u64::MAX {
                    out.iter_mut().for_each(|word| *word &= mask);
                }
            }
            32 => self.narrow::<2>(stream.id, mask, start, out),
            16 => self.narrow::<4>(stream.id, mask, start, out),
            _ => self.narrow::<8>(stream.id, mask, start, out),
        }
    }

    /// Elements of which `PER` share a word, lowest bits first.
    #[inline(always)]
    fn narrow<const PER: usize>(&self, id: u32, mask: u64, start: u64, out: &mut [u64]) {
        let bits = 64 / PER;
        let per = PER as u64;
        let lead = out.len().min(((per - start % per) % per) as usize);
        let (lead, rest) = out.split_at_mut(lead);
        let mut word = start / per;
        if !lead.is_empty() {
            let mut first = [0];
            self.words(id, word, &mut first);
            let skipped = (start % per) as usize;
            for (i, value) in lead.iter_mut().enumerate() {
                *value = (first[0] >> ((skipped + i) * bits)) & mask;
            }
            word += 1;
        }
        let mut packed = [0; BATCH];
        for chunk in rest.chunks_mut(BATCH * PER) {
            let packed = &mut packed[..chunk.len().div_ceil(PER)];
            self.words(id, word, packed);
            word += packed.len() as u64;
            let (whole, tail) = chunk.as_chunks_mut::<PER>();
            for (values, word) in whole.iter_mut().zip(&*packed) {
                for (i, value) in values.iter_mut().enumerate() {
                    *value = (word >> (i * bits)) & mask;
                }
            }
            for (i, value) in tail.iter_mut().enumerate() {
                *value = (packed[packed.len() - 1] >> (i * bits)) & mask;
            }
        }
    }

    /// Little-endian 64-bit words `start..` of the keystream.
    #[inline(always)]
    fn words(&self, id: u32, start: u64, out: &mut [u64]) {
        let mut index = start / 2;
        let mut out = out;
        if start % 2 == 1 {
            let Some((first, rest)) = out.split_first_mut() else { return };
            let mut block = [[0; 2]];
            self.blocks(id, index, &mut block);
            *first = block[0][1];
            index += 1;
            out = rest;
        }
        let (whole, tail) = out.as_chunks_mut::<2>();
        self.blocks(id, index, whole);
        if let [last] = tail {
            let mut block = [[0; 2]];
            self.blocks(id, index + whole.len() as u64, &mut block);
            *last = block[0][0];
        }
    }

    /// Keystream blocks `index..`, as pairs of words.
    fn blocks(&self, id: u32, index: u64, out: &mut [[u64; 2]]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(vaes) = &self.vaes {
            return vaes.blocks(id, index, out);
        }
        for (words, n) in out.iter_mut().zip(0..) {
            *words = [index.wrapping_add(n).to_le(), u64::from(id).to_le()];
        }
        self.cipher.encrypt_blocks(as_blocks(out));
        for words in out.as_flattened_mut() {
            *words = u64::from_le(*words);
        }
    }
}

/// The memory of pairs of words as cipher blocks.
#[allow(unsafe_code, reason = "encrypting counters in the memory of the result")]
fn as_blocks(words: &mut [[u64; 2]]) -> &mut [Block] {
    const { assert!(size_of::<Block>() == size_of::<[u64; 2]>() && align_of::<Block>() <= align_of::<u64>()) };
    // SAFETY: a block is 16 bytes, as a pair of words is, and is aligned no more strictly; every byte is valid in both;
    // the result borrows the memory in place of `words`.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> StreamKey {
        StreamKey(std::array::from_fn(|i| i as u8))
    }

    fn hex(text: &str) -> [u8; 16] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    fn aes(key: &str, block: &str) -> [u8; 16] {
        let mut block: Block = hex(block).into();
        Aes128Enc::new(&hex(key).into()).encrypt_block(&mut block);
        block.into()
    }

    #[test]
    fn the_cipher_is_aes_128() {
        // FIPS 197, appendix C.1, and SP 800-38A, F.1.1.
        let fips = aes("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff");
        assert_eq!(fips, hex("69c4e0d86a7b0430d8cdb78070b4c55a"));
        let sp = aes("2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a");
        assert_eq!(sp, hex("3ad77bb40d7a3660a89ecaf32466ef97"));
    }

    #[test]
    fn blocks_encrypt_the_documented_counter() {
        let stream = Stream { key: 0, id: 0x0a0b_0c0d, bits: 64 };
        let mut words = [0; 2];
        Keystream::new(&key()).fill(&stream, 2 * 0x0102_0304_0506_0708, &mut words);
        let block = aes("000102030405060708090a0b0c0d0e0f", "08070605040302010d0c0b0a00000000");
        assert_eq!(words[0].to_le_bytes(), block[..8]);
        assert_eq!(words[1].to_le_bytes(), block[8..]);
    }

    #[test]
    fn elements_are_these() {
        // Stream 7 under key 00 01 .. 0f begins with bytes 75 23 18 3c f1 a4 7d f9 b6 35 3a 3c e7 4a 10 a7.
        let first: [(u32, [u64; 4]); 8] = [
            (64, [0xf97d_a4f1_3c18_2375, 0xa710_4ae7_3c3a_35b6, 0x2025_6b01_2a26_35b2, 0x1027_8f6c_212f_4894]),
            (1, [0xf97d_a4f1_3c18_2375, 0xa710_4ae7_3c3a_35b6, 0x2025_6b01_2a26_35b2, 0x1027_8f6c_212f_4894]),
            (48, [0xa4f1_3c18_2375, 0x4ae7_3c3a_35b6, 0x6b01_2a26_35b2, 0x8f6c_212f_4894]),
            (32, [0x3c18_2375, 0xf97d_a4f1, 0x3c3a_35b6, 0xa710_4ae7]),
            (20, [0x8_2375, 0xd_a4f1, 0xa_35b6, 0x4ae7]),
            (16, [0x2375, 0x3c18, 0xa4f1, 0xf97d]),
            (8, [0x75, 0x23, 0x18, 0x3c]),
            (5, [0x15, 0x3, 0x18, 0x1c]),
        ];
        for (bits, expected) in first {
            let mut words = [0; 4];
            Keystream::new(&key()).fill(&Stream { key: 0, id: 7, bits }, 0, &mut words);
            assert_eq!(words, expected, "{bits} bits");
        }
    }

    /// Keystreams that use each way the processor has.
    fn all(key: &StreamKey) -> Vec<Keystream> {
        let mut all = vec![Keystream::new(key)];
        #[cfg(target_arch = "x86_64")]
        {
            let with = |vaes| Keystream { vaes, ..Keystream::new(key) };
            all.extend(Vaes::all(key).into_iter().map(Some).chain([None]).map(with));
        }
        all
    }

    /// What the crate's cipher makes of the counters.
    fn by_crate(key: [u8; 16], id: u32, index: u64, count: usize) -> Vec<[u64; 2]> {
        let counter = |n: usize| [index.wrapping_add(n as u64).to_le(), u64::from(id).to_le()];
        let mut blocks: Vec<[u64; 2]> = (0..count).map(counter).collect();
        Aes128Enc::new(&key.into()).encrypt_blocks(as_blocks(&mut blocks));
        blocks.into_iter().map(|block| block.map(u64::from_le)).collect()
    }

    #[test]
    fn counters_carry_and_end() {
        for index in [u64::from(u32::MAX) - 9, u64::MAX - 9] {
            for keystream in all(&key()) {
                let mut found = [[0; 2]; 10];
                keystream.blocks(3, index, &mut found);
                assert_eq!(found.to_vec(), by_crate(key().0, 3, index, 10));
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_are_those_of_the_crate(key: [u8; 16], id: u32, index in 0..u64::MAX - 99, count in 0usize..99) {
            for keystream in all(&StreamKey(key)) {
                let mut found = vec![[0; 2]; count];
                keystream.blocks(id, index, &mut found);
                prop_assert_eq!(found, by_crate(key, id, index, count));
            }
        }

        #[test]
        fn random_access_agrees_with_reading_in_order(bits in 1u32..=64, start in 0usize..600, len in 0usize..600) {
            let streams = Keystream::new(&key());
            let stream = Stream { key: 0, id: 7, bits };
            let mut all = vec![0; start + len];
            streams.fill(&stream, 0, &mut all);
            let mut some = vec![0; len];
            streams.fill(&stream, start as u64, &mut some);
            prop_assert_eq!(&all[start..], &some[..]);
        }
    }
}
