//! The key expansion of AES-128 (FIPS 197, section 5.2), for devices that compute the rounds themselves.

use zeroize::Zeroizing;

use crate::backend::StreamKey;

/// Words of an expanded key: 11 round keys of 16 bytes.
pub(crate) const WORDS: usize = 22;

/// The round keys, byte by byte in order, as little-endian words.
pub(crate) fn expand(key: &StreamKey) -> Zeroizing<[u64; WORDS]> {
    let mut columns = Zeroizing::new([0u32; 44]);
    for (column, bytes) in columns.iter_mut().zip(key.0.as_chunks::<4>().0) {
        *column = u32::from_le_bytes(*bytes);
    }
    let mut constant = 1;
    for i in 4..44 {
        let mut column = columns[i - 1];
        if i % 4 == 0 {
            let [a, b, c, d] = column.to_le_bytes();
            column = u32::from_le_bytes([substitute(b) ^ constant, substitute(c), substitute(d), substitute(a)]);
            constant = double(constant);
        }
        columns[i] = columns[i - 4] ^ column;
    }
    let mut words = Zeroizing::new([0; WORDS]);
    for (word, [low, high]) in words.iter_mut().zip(columns.as_chunks::<2>().0) {
        *word = u64::from(*low) | u64::from(*high) << 32;
    }
    words
}

/// Multiplication by x in GF(2^8), in constant time.
fn double(a: u8) -> u8 {
    (a << 1) ^ ((a >> 7) * 0x1b)
}

fn times(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for i in 0..8 {
        product ^= a * (b >> i & 1);
        a = double(a);
    }
    product
}

/// The S-box: the inverse a^254, then an affine map; no table, whose place would tell of the key.
fn substitute(a: u8) -> u8 {
    let (mut power, mut inverse) = (a, 1);
    for _ in 1..8 {
        power = times(power, power);
        inverse = times(inverse, power);
    }
    inverse ^ inverse.rotate_left(1) ^ inverse.rotate_left(2) ^ inverse.rotate_left(3) ^ inverse.rotate_left(4) ^ 0x63
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_keys_are_those_of_the_standard() {
        // FIPS 197, appendix A.1: w4 to w7 and w40 to w43, as bytes.
        let key =
            StreamKey([0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c]);
        let words = expand(&key);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(bytes[..16], key.0);
        let hex = |range: std::ops::Range<usize>| bytes[range].iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(16..32), "a0fafe1788542cb123a339392a6c7605");
        assert_eq!(hex(160..176), "d014f9a8c9ee2589e13f0cc8b6630ca6");
    }
}
