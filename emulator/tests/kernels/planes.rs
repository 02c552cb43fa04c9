//! Between words and bit planes.

use crate::device::{Args, bit, in_both_orders, planes_of, random, random_planes};

#[test]
fn bits_of_words() {
    for (len, from, planes, add) in [
        (1, 0, 64, 0),
        (63, 5, 1, u64::MAX),
        (64, 63, 1, 1 << 62),
        (65, 0, 33, 3),
        (2_049, 20, 30, 0x1234_5678_9abc_def0),
        (4_200, 60, 4, 7),
    ] {
        let words = random(2, len);
        let expected = planes_of(len, planes, |j, e| words[e].wrapping_add(add) >> (from + j) & 1);
        in_both_orders(|device| {
            let to = device.room(expected.len());
            let args = Args::default().u64(device.put(&words)).u64(to).u64(len as u64).u64(add);
            device.launch("to_planes", [2, 1, 1], 256, 0, &args.u32(from as u32).u32(planes as u32));
            assert_eq!(device.read(to), expected);
        });
    }
}

#[test]
fn words_of_bits() {
    for len in [1, 64, 300] {
        let plane = random_planes(1, len, 1);
        in_both_orders(|device| {
            let to = device.room(len);
            let args = Args::default().u64(device.put(&plane)).u64(to).u64(len as u64);
            device.launch("bit_of", [1, 1, 1], 256, 0, &args);
            assert_eq!(device.read(to), (0..len).map(|e| bit(&plane, len, 0, e)).collect::<Vec<_>>());
        });
    }
}
