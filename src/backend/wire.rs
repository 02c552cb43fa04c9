//! Buffers as bytes: only the bits that mean anything travel.
//!
//! Each plane packs its elements' low `width` bits, least significant first, padded to a whole byte ([`Buf::wire_bytes`]).

use crate::fixed::low_mask;
use crate::plan::Buf;

/// Appends the packed words of a buffer.
pub fn pack(buf: &Buf, words: &[u64], out: &mut Vec<u8>) {
    if buf.width == 64 && cfg!(target_endian = "little") {
        out.extend_from_slice(bytemuck::cast_slice(words));
        return;
    }
    let start = out.len();
    out.resize(start + buf.wire_bytes(), 0);
    pack_to(buf, words, &mut out[start..]);
}

/// The same into `buf.wire_bytes()` bytes.
pub fn pack_to(buf: &Buf, words: &[u64], bytes: &mut [u8]) {
    debug_assert_eq!((bytes.len(), words.len()), (buf.wire_bytes(), buf.words()));
    let planes = words.chunks_exact(buf.stride().max(1));
    for (plane, bytes) in planes.zip(bytes.chunks_exact_mut(plane_bytes(buf).max(1))) {
        pack_part(buf.width, buf.len, plane, bytes);
    }
}

/// Bytes of a plane on the wire.
pub(super) fn plane_bytes(buf: &Buf) -> usize {
    (buf.len * buf.width as usize).div_ceil(8)
}

/// Packs `elements` elements, bits of a plane if `width` is 1, from as many words as they have into as many bytes.
#[inline(always)]
pub fn pack_part(width: u32, elements: usize, words: &[u64], bytes: &mut [u8]) {
    match width {
        1 => {
            pack_words(words, bytes);
            if let (Some(last), rest @ 1..) = (bytes.last_mut(), elements % 8) {
                *last &= (1 << rest) - 1;
            }
        }
        64 => pack_words(words, bytes),
        _ => pack_bits(words, width as usize, bytes),
    }
}

/// As many bytes of the words as there is room for.
#[inline(always)]
fn pack_words(words: &[u64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    whole.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    if let (Some(word), false) = (words.get(whole.len()), rest.is_empty()) {
        rest.copy_from_slice(&word.to_le_bytes()[..rest.len()]);
    }
}

/// Packs words of 2 to 63 bits.
#[inline(always)]
fn pack_bits(words: &[u64], width: usize, bytes: &mut [u8]) {
    let mask = low_mask(width as u32);
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    let mut whole = whole.iter_mut();
    // Fewer than 64 bits that are not written yet.
    let (mut held, mut bits) = (0u64, 0);
    for word in words {
        let word = word & mask;
        held |= word << bits;
        bits += width;
        if bits >= 64 {
            bits -= 64;
            *whole.next().expect("there is room for all bits") = held.to_le_bytes();
            held = word >> (width - bits);
        }
    }
    match whole.next() {
        Some(bytes) => *bytes = held.to_le_bytes(),
        None => rest.copy_from_slice(&held.to_le_bytes()[..rest.len()]),
    }
}

/// The words of a buffer from its packed bytes, which must be `buf.wire_bytes()` long.
#[must_use]
pub fn unpack(buf: &Buf, bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0; buf.words()];
    unpack_to(buf, bytes, &mut words);
    words
}

/// The same into `buf.words()` words.
pub fn unpack_to(buf: &Buf, bytes: &[u8], words: &mut [u64]) {
    debug_assert_eq!((bytes.len(), words.len()), (buf.wire_bytes(), buf.words()));
    let planes = bytes.chunks_exact(plane_bytes(buf).max(1));
    for (plane, words) in planes.zip(words.chunks_exact_mut(buf.stride().max(1))) {
        unpack_part(buf.width, plane, words);
    }
}

/// Unpacks the first words of a plane, or of what lies behind a whole number of bytes of it.
#[inline(always)]
pub fn unpack_part(width: u32, bytes: &[u8], words: &mut [u64]) {
    match width {
        1 | 64 => {
            let (whole, rest) = bytes.as_chunks::<8>();
            words.iter_mut().zip(whole).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
            if let (Some(last), false) = (words.get_mut(whole.len()), rest.is_empty()) {
                *last = partial(rest);
            }
        }
        _ => unpack_bits(bytes, width as usize, words),
    }
}

/// Up to eight little-endian bytes as a word.
fn partial(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Unpacks words of 2 to 63 bits.
#[inline(always)]
fn unpack_bits(bytes: &[u8], width: usize, words: &mut [u64]) {
    // Whatever bit of a byte a word begins at, its bits are in so many bytes.
    let done =
        if width > 57 { unpack_groups::<9>(bytes, width, words) } else { unpack_groups::<8>(bytes, width, words) };
    for (number, to) in words.iter_mut().enumerate().skip(done) {
        let (at, shift) = (number * width / 8, number * width % 8);
        let mut some = [0; 16];
        let left = bytes.len().min(at + 16) - at;
        some[..left].copy_from_slice(&bytes[at..at + left]);
        *to = (u128::from_le_bytes(some) >> shift) as u64 & low_mask(width as u32);
    }
}

/// The same eight words at a time, of which the first begins where a byte does, as long as there are `READ` bytes from the one on
/// where the last begins; how many words.
#[inline(always)]
fn unpack_groups<const READ: usize>(bytes: &[u8], width: usize, words: &mut [u64]) -> usize {
    let mask = low_mask(width as u32);
    let mut places = [(0, 0); 8];
    for (number, place) in places.iter_mut().enumerate() {
        *place = (number * width / 8, number * width % 8);
    }
    let span = places[7].0 + READ;
    let groups = bytes.len().checked_sub(span).map_or(0, |last| last / width + 1).min(words.len() / 8);
    for (number, group) in words.as_chunks_mut::<8>().0.iter_mut().take(groups).enumerate() {
        let bytes = &bytes[number * width..number * width + span];
        for (to, (at, shift)) in group.iter_mut().zip(&places) {
            let bytes = &bytes[*at..*at + READ];
            let mut word = partial(&bytes[..8]) >> shift;
            if let Some(ninth) = bytes.get(8) {
                word |= (u64::from(*ninth) << 1) << (63 - shift);
            }
            *to = word & mask;
        }
    }
    8 * groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Party;

    #[test]
    fn packing_keeps_the_low_bits() {
        for width in 1..=64u32 {
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
