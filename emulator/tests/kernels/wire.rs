//! Messages.

use crate::device::{Args, Device, Fields, in_both_orders, random};

/// A buffer: elements a plane, planes, bits.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    len: usize,
    planes: usize,
    width: usize,
}

impl Buffer {
    fn stride(&self) -> usize {
        if self.width == 1 { self.len.div_ceil(64) } else { self.len }
    }

    fn plane_bytes(&self) -> usize {
        (self.len * self.width).div_ceil(8)
    }

    /// The message's bytes, bit by bit.
    fn packed(&self, words: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; self.plane_bytes() * self.planes];
        for plane in 0..self.planes {
            for bit in 0..self.len * self.width {
                let (word, place) =
                    if self.width == 1 { (bit / 64, bit % 64) } else { (bit / self.width, bit % self.width) };
                let value = words[plane * self.stride() + word] >> place & 1;
                bytes[plane * self.plane_bytes() + bit / 8] |= (value as u8) << (bit % 8);
            }
        }
        bytes
    }

    /// The words that a message's bytes mean; padding bits of planes stay.
    fn unpacked(&self, bytes: &[u8]) -> Vec<u64> {
        let mut words = vec![0; self.stride() * self.planes];
        for plane in 0..self.planes {
            let bits = if self.width == 1 { self.plane_bytes() * 8 } else { self.len * self.width };
            for bit in 0..bits {
                let (word, place) =
                    if self.width == 1 { (bit / 64, bit % 64) } else { (bit / self.width, bit % self.width) };
                let value = bytes[plane * self.plane_bytes() + bit / 8] >> (bit % 8) & 1;
                words[plane * self.stride() + word] |= u64::from(value) << place;
            }
        }
        words
    }
}

/// Puts buffers and their table on the device.
fn put(device: &mut Device, buffers: &[Buffer], contents: &[Vec<u64>]) -> (Vec<u64>, u64) {
    let addresses: Vec<u64> = contents.iter().map(|words| device.put(words)).collect();
    let (mut byte, mut word) = (0, 0);
    let mut fields = Vec::new();
    for (buffer, address) in buffers.iter().zip(&addresses) {
        let [bytes, stride] = [buffer.plane_bytes() as u64, buffer.stride() as u64];
        let numbers = Fields::default().u64s([*address, buffer.len as u64, stride, bytes, byte, word]);
        let numbers = numbers.long_divisor(bytes).long_divisor(stride).long_divisor(buffer.width as u64);
        fields.push(numbers.u32(buffer.planes as u32).u32(buffer.width as u32));
        byte += bytes * buffer.planes as u64;
        word += stride * buffer.planes as u64;
    }
    (addresses, device.put(&Fields::words(fields)))
}

fn check(buffers: &[Buffer]) {
    let words = |buffer: &Buffer| buffer.stride() * buffer.planes;
    let contents: Vec<Vec<u64>> = buffers.iter().zip(1..).map(|(buffer, seed)| random(seed, words(buffer))).collect();
    let message: Vec<u8> = buffers.iter().zip(&contents).flat_map(|(buffer, words)| buffer.packed(words)).collect();
    let size = message.len().div_ceil(8);
    let to_words = |mut bytes: Vec<u8>| -> Vec<u64> {
        bytes.resize(size * 8, 0);
        bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
    };
    // Bits that nobody packs are as another party likes.
    let received: Vec<u8> = random(99, message.len()).iter().map(|word| *word as u8).collect();
    in_both_orders(|device| {
        let (_, table) = put(device, buffers, &contents);
        let to = device.room(size);
        let args = Args::default().u64(table).u32(buffers.len() as u32).u64(to).u64(message.len() as u64);
        device.launch("pack", [2, 1, 1], 256, 0, &args);
        assert_eq!(device.read(to), to_words(message.clone()), "{buffers:?}");

        let empty: Vec<Vec<u64>> = buffers.iter().map(|buffer| vec![7; words(buffer)]).collect();
        let (addresses, table) = put(device, buffers, &empty);
        let from = device.put(&to_words(received.clone()));
        let total = buffers.iter().map(words).sum::<usize>() as u64;
        let args = Args::default().u64(table).u32(buffers.len() as u32).u64(from).u64(received.len() as u64);
        device.launch("unpack", [2, 1, 1], 256, 0, &args.u64(total));
        let mut rest = &received[..];
        for (buffer, address) in buffers.iter().zip(addresses) {
            let (mine, behind) = rest.split_at(buffer.plane_bytes() * buffer.planes);
            rest = behind;
            assert_eq!(device.read(address), buffer.unpacked(mine), "{buffer:?} of {buffers:?}");
        }
    });
}

#[test]
fn every_width_by_itself() {
    for width in 2..=64 {
        for len in [1, 7, 65] {
            check(&[Buffer { len, planes: 1, width }]);
        }
    }
}

#[test]
fn planes_of_any_length() {
    for len in [1, 7, 8, 9, 63, 64, 65, 130, 200] {
        check(&[Buffer { len, planes: 1, width: 1 }]);
        check(&[Buffer { len, planes: 13, width: 1 }]);
    }
}

#[test]
fn many_buffers() {
    let ring = |len, width| Buffer { len, planes: 1, width };
    let bits = |len, planes| Buffer { len, planes, width: 1 };
    check(&[
        ring(1, 3),
        bits(3, 40),
        ring(5, 64),
        bits(70, 3),
        ring(300, 21),
        ring(1, 2),
        ring(1, 2),
        ring(2, 7),
        bits(1, 1),
    ]);
    check(&[bits(9, 2), ring(1_000, 40), ring(7, 9)]);
}
