//! Pseudorandom streams.

use crate::aes::Aes;
use crate::device::{Args, Fields, in_both_orders};

/// Elements of a stream.
#[derive(Clone, Copy, Debug)]
struct Use {
    key: u32,
    id: u32,
    bits: u32,
    start: u64,
    count: u64,
}

impl Use {
    /// Bytes of keystream that an element takes.
    fn bytes(&self) -> u64 {
        match self.bits {
            1 | 33.. => 8,
            17.. => 4,
            9.. => 2,
            _ => 1,
        }
    }

    /// Units of so many blocks from the first element's to the last's.
    fn units(&self, unit: u64) -> u64 {
        let per = 16 / self.bytes();
        ((self.start + self.count - 1) / per - self.start / per + 1).div_ceil(unit)
    }

    fn element(&self, aes: &Aes, e: u64) -> u64 {
        let mut value = 0;
        let first = e * self.bytes();
        let mut block = [0; 16];
        block[..8].copy_from_slice(&(first / 16).to_le_bytes());
        block[8..12].copy_from_slice(&self.id.to_le_bytes());
        let block = aes.encrypt(block);
        for b in 0..self.bytes() {
            value |= u64::from(block[((first + b) % 16) as usize]) << (8 * b);
        }
        if self.bits == 1 { value } else { value & (u64::MAX >> (64 - self.bits)) }
    }
}

/// Key j is bytes 16 j + 0, 1, .. 15.
fn keys() -> Vec<Aes> {
    (0..4u8).map(|j| Aes::new(std::array::from_fn(|i| 16 * j + i as u8))).collect()
}

/// Runs the kernel with so many thread blocks and units of so many blocks.
fn run(uses: &[Use], grid: u32, unit: u64) -> Vec<Vec<u64>> {
    let keys = keys();
    let expected: Vec<Vec<u64>> = uses
        .iter()
        .map(|one| (one.start..one.start + one.count).map(|e| one.element(&keys[one.key as usize], e)).collect())
        .collect();
    in_both_orders(|device| {
        let round_keys = device.put(&keys.iter().flat_map(Aes::words).collect::<Vec<_>>());
        let outs: Vec<u64> = uses.iter().map(|one| device.room(one.count as usize)).collect();
        let mut units = 0;
        let mut fields = Vec::new();
        for (one, out) in uses.iter().zip(&outs) {
            let place = Fields::default().u64s([*out, one.start, one.count, units]);
            fields.push(place.u32s([one.id, one.bits, one.key, 0]));
            units += one.units(unit);
        }
        let table = device.put(&Fields::words(fields));
        let args = Args::default().u64(round_keys).u32(4).u64(table).u32(uses.len() as u32).u64(units).u32(unit as u32);
        device.launch("streams", [grid, 1, 1], 512, 73_728, &args);
        for ((one, out), expected) in uses.iter().zip(&outs).zip(&expected) {
            assert!(device.read(*out) == *expected, "{one:?}");
        }
    });
    expected
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
    let uses = first.map(|(bits, _)| Use { key: 0, id: 7, bits, start: 0, count: 4 });
    let words = run(&uses, 3, 32);
    assert!(words.iter().zip(first).all(|(words, (_, expected))| words[..] == expected));
}

#[test]
fn any_elements_of_any_width() {
    let widths = [1, 2, 7, 8, 9, 16, 17, 31, 33, 63, 64];
    let uses: Vec<Use> = widths
        .iter()
        .zip(0u64..)
        .map(|(bits, j)| Use {
            key: j as u32 % 4,
            id: 0x8000_0001 + j as u32,
            bits: *bits,
            start: j * 13,
            count: 1 + j * 59,
        })
        .collect();
    run(&uses, 2, 64);
}

#[test]
fn counters_of_64_bits_and_more_blocks_than_threads() {
    let far = Use { key: 1, id: u32::MAX, bits: 64, start: (1 << 34) - 3, count: 1_111 };
    let near = Use { key: 2, id: 0, bits: 30, start: 1, count: 2_250 };
    run(&[far, near], 1, 1_024);
}

/// More uses than a block has room for the beginnings of: it has those of each third, and looks from there on.
#[test]
fn many_uses() {
    let use_of = |j: u64| Use { key: j as u32 % 4, id: j as u32, bits: 64, start: j % 7, count: 1 + j * 37 % 200 };
    let uses: Vec<Use> = (0..1_100).map(use_of).collect();
    run(&uses, 3, 32);
}
