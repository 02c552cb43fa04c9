//! Pseudorandom streams: AES-128 in counter mode, addressed by element.
//!
//! Keystream block `n` of stream `id` is the encryption of the 16 bytes `le64(n) || le32(id) || le32(0)`; the keystream
//! is the blocks' bytes in order. [`Stream::class`] says which bytes an element takes. Every backend has to produce
//! exactly these words.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};

use crate::backend::StreamKey;
use crate::fixed::low_mask;
use crate::plan::Stream;

/// Blocks encrypted together, so that independent encryptions overlap.
const BATCH: usize = 64;

/// Words of a batch.
const BATCH_WORDS: usize = 2 * BATCH;

/// All streams of one key. The expanded key is zeroised on drop.
pub struct Keystream {
    cipher: Aes128,
}

impl Keystream {
    /// Expands a key.
    pub fn new(key: &StreamKey) -> Keystream {
        Keystream { cipher: Aes128::new(&key.0.into()) }
    }

    /// Elements `start..` of a stream (for `bits == 1`: words, 64 elements each, planes one after the other).
    ///
    /// `stream.key` is the caller's business: this is the stream under the key at hand.
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
        let mut packed = [0; BATCH_WORDS];
        for chunk in rest.chunks_mut(BATCH_WORDS * PER) {
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
    fn words(&self, id: u32, start: u64, out: &mut [u64]) {
        let mut blocks = [Block::default(); BATCH];
        let mut index = start / 2;
        let mut out = out;
        if start % 2 == 1 {
            let Some((first, rest)) = out.split_first_mut() else { return };
            self.encrypt(id, index, &mut blocks[..1]);
            *first = halves(&blocks[0])[1];
            index += 1;
            out = rest;
        }
        for chunk in out.chunks_mut(BATCH_WORDS) {
            let blocks = &mut blocks[..chunk.len().div_ceil(2)];
            self.encrypt(id, index, blocks);
            index += blocks.len() as u64;
            let (whole, tail) = chunk.as_chunks_mut::<2>();
            for (words, block) in whole.iter_mut().zip(&*blocks) {
                *words = halves(block);
            }
            if let [last] = tail {
                *last = halves(&blocks[blocks.len() - 1])[0];
            }
        }
    }

    /// Keystream blocks `index..`.
    fn encrypt(&self, id: u32, index: u64, blocks: &mut [Block]) {
        for (block, n) in blocks.iter_mut().zip(index..) {
            *block = (u128::from(n) | u128::from(id) << 64).to_le_bytes().into();
        }
        self.cipher.encrypt_blocks(blocks);
    }
}

/// The two words of a block.
fn halves(block: &Block) -> [u64; 2] {
    let whole = u128::from_le_bytes((*block).into());
    [whole as u64, (whole >> 64) as u64]
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
        Aes128::new(&hex(key).into()).encrypt_block(&mut block);
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

    proptest! {
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
