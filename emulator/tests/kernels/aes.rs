//! AES-128 as FIPS 197 defines it, byte by byte.

fn double(a: u8) -> u8 {
    a << 1 ^ if a & 0x80 == 0 { 0 } else { 0x1b }
}

fn times(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |product, i| double(product) ^ if b >> i & 1 == 1 { a } else { 0 })
}

/// The S-box, by looking for the inverse.
fn s_box(x: u8) -> u8 {
    let inverse = (0..=255).find(|y| times(x, *y) == 1).unwrap_or(0);
    (0..5).fold(0x63, |sum, i| sum ^ inverse.rotate_left(i))
}

/// A cipher with its round keys.
pub struct Aes {
    boxes: [u8; 256],
    pub round_keys: [[u8; 16]; 11],
}

impl Aes {
    pub fn new(key: [u8; 16]) -> Aes {
        let boxes: [u8; 256] = std::array::from_fn(|x| s_box(x as u8));
        let mut round_keys = [key; 11];
        let mut constant = 1;
        for r in 1..11 {
            let before = round_keys[r - 1];
            let mut word = [13, 14, 15, 12].map(|i: usize| boxes[usize::from(before[i])]);
            word[0] ^= constant;
            constant = double(constant);
            for i in 0..16 {
                word[i % 4] ^= before[i];
                round_keys[r][i] = word[i % 4];
            }
        }
        Aes { boxes, round_keys }
    }

    pub fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let add = |s: [u8; 16], r: usize| -> [u8; 16] { std::array::from_fn(|i| s[i] ^ self.round_keys[r][i]) };
        let mut state = add(block, 0);
        for r in 1..11 {
            // SubBytes and ShiftRows: row i moves i columns to the left.
            state = std::array::from_fn(|i| self.boxes[usize::from(state[(i + 4 * (i % 4)) % 16])]);
            if r < 10 {
                let at = |i: usize, row: usize| state[i / 4 * 4 + (i + row) % 4];
                state = std::array::from_fn(|i| double(at(i, 0)) ^ times(at(i, 1), 3) ^ at(i, 2) ^ at(i, 3));
            }
            state = add(state, r);
        }
        state
    }

    /// Round keys as the kernels take them.
    pub fn words(&self) -> Vec<u64> {
        self.round_keys.as_flattened().as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    }
}

#[test]
fn known_answers() {
    // FIPS 197, appendix C.1, and SP 800-38A, F.1.1.
    let block = |text: u128| text.to_be_bytes();
    let fips = Aes::new(block(0x000102030405060708090a0b0c0d0e0f)).encrypt(block(0x00112233445566778899aabbccddeeff));
    assert_eq!(fips, block(0x69c4e0d86a7b0430d8cdb78070b4c55a));
    let sp = Aes::new(block(0x2b7e151628aed2a6abf7158809cf4f3c)).encrypt(block(0x6bc1bee22e409f96e93d7e117393172a));
    assert_eq!(sp, block(0x3ad77bb40d7a3660a89ecaf32466ef97));
}
