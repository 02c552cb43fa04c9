//! Buffers as bytes: only the bits that mean anything travel.
//!
//! Each plane packs its elements' low `width` bits, least significant first, padded to a whole byte ([`Buf::wire_bytes`]).

use crate::fixed::low_mask;
use crate::plan::Buf;

/// Appends the packed words of a buffer.
pub fn pack(buf: &Buf, words: &[u64], out: &mut Vec<u8>) {
    let width = buf.width as usize;
    let start = out.len();
    out.reserve(buf.wire_bytes());
    for plane in words.chunks_exact(buf.stride().max(1)) {
        match width {
            1 => {
                let bytes = buf.len.div_ceil(8);
                let end = out.len() + bytes;
                plane.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
                out.truncate(end);
                if let (Some(last), rest @ 1..) = (out.last_mut(), buf.len % 8) {
                    *last &= (1 << rest) - 1;
                }
            }
            64 => plane.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes())),
            _ if width.is_multiple_of(8) => {
                plane.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()[..width / 8]))
            }
            _ => pack_bits(plane, width, out),
        }
    }
    debug_assert_eq!(out.len() - start, buf.wire_bytes());
}

fn pack_bits(words: &[u64], width: usize, out: &mut Vec<u8>) {
    let mask = low_mask(width as u32);
    let (mut held, mut bits) = (0u128, 0);
    for word in words {
        held |= u128::from(word & mask) << bits;
        bits += width;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
}

/// The words of a buffer from its packed bytes, which must be `buf.wire_bytes()` long.
#[must_use]
pub fn unpack(buf: &Buf, bytes: &[u8]) -> Vec<u64> {
    debug_assert_eq!(bytes.len(), buf.wire_bytes());
    let width = buf.width as usize;
    let mut words = Vec::with_capacity(buf.words());
    let plane_bytes = (buf.len * width).div_ceil(8);
    for plane in bytes.chunks_exact(plane_bytes.max(1)) {
        match width {
            1 => words.extend(plane.chunks(8).map(partial)),
            64 => words.extend(plane.chunks_exact(8).map(partial)),
            _ if width.is_multiple_of(8) => words.extend(plane.chunks_exact(width / 8).map(partial)),
            _ => unpack_bits(plane, width, buf.len, &mut words),
        }
    }
    words
}

/// Up to eight little-endian bytes as a word.
fn partial(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

fn unpack_bits(bytes: &[u8], width: usize, len: usize, words: &mut Vec<u64>) {
    let mask = u128::from(low_mask(width as u32));
    let (mut held, mut bits) = (0u128, 0);
    let mut bytes = bytes.iter();
    for _ in 0..len {
        while bits < width {
            let byte = bytes.next().expect("the length was checked against the plan");
            held |= u128::from(*byte) << bits;
            bits += 8;
        }
        words.push((held & mask) as u64);
        held >>= width;
        bits -= width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Party;

    #[test]
    fn packing_keeps_the_low_bits() {
        for width in [1u32, 2, 7, 8, 12, 16, 20, 24, 48, 63, 64] {
            for len in [1usize, 7, 8, 63, 64, 65, 130] {
                for planes in [1, 3] {
                    if planes > 1 && width != 1 {
                        continue;
                    }
                    let buf = Buf { planes, ..Buf::ring(Party(0), len, width) };
                    let words: Vec<u64> =
                        (0..buf.words() as u64).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
                    let mut bytes = Vec::new();
                    pack(&buf, &words, &mut bytes);
                    assert_eq!(bytes.len(), buf.wire_bytes());
                    let tail = if width == 1 && len % 64 != 0 { low_mask(len as u32 % 64) } else { u64::MAX };
                    let wanted: Vec<u64> = words
                        .iter()
                        .enumerate()
                        .map(|(i, w)| {
                            if width > 1 {
                                w & low_mask(width)
                            } else if (i + 1) % buf.stride() == 0 {
                                w & tail
                            } else {
                                *w
                            }
                        })
                        .collect();
                    assert_eq!(unpack(&buf, &bytes), wanted, "width {width} len {len} planes {planes}");
                }
            }
        }
    }
}
