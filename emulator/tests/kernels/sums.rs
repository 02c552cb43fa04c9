//! Sums along an axis and over windows.

use crate::device::{Args, Fields, in_both_orders, random};

fn sum([outer, axis, inner]: [usize; 3], words: &[u64]) -> Vec<u64> {
    let word = |o: usize, i: usize| (0..axis).fold(0u64, |sum, a| sum.wrapping_add(words[(o * axis + a) * inner + i]));
    (0..outer * inner).map(|at| word(at / inner, at % inner)).collect()
}

#[test]
fn an_element_a_thread() {
    for [outer, axis, inner] in [[1, 1, 1], [3, 7, 200], [301, 3, 1], [2, 0, 3]] {
        let words = random(1, outer * axis * inner);
        in_both_orders(|device| {
            let (from, to) = (device.put(&words), device.room(outer * inner));
            let args = Args::default().u64(from).u64(to).u64((outer * inner) as u64).u64(axis as u64).u64(inner as u64);
            let args = args.fields(Fields::default().long_divisor(inner as u64));
            device.launch("sum_each", [2, 1, 1], 256, 0, &args);
            assert_eq!(device.read(to), sum([outer, axis, inner], &words));
        });
    }
}

#[test]
fn long_axes() {
    for ([outer, axis, inner], log, parts) in [
        ([1, 1, 1], 0, 1),
        ([2, 1000, 1], 0, 1),
        ([3, 700, 1], 0, 2),
        ([2, 300, 5], 3, 1),
        ([2, 77, 9], 3, 3),
        ([1, 40, 33], 5, 1),
        ([2, 3, 40], 5, 5),
        ([1, 0, 2], 1, 1),
    ] {
        let words = random(1, outer * axis * inner);
        in_both_orders(|device| {
            let to = device.put(&vec![if parts > 1 { 0 } else { 5 }; outer * inner]);
            let args = Args::default().u64(device.put(&words)).u64(to).u64(axis as u64).u64(inner as u64).u32(log);
            device.launch("sum_long", [(outer * inner.div_ceil(1 << log)) as u32, parts, 1], 256, 0, &args);
            assert_eq!(device.read(to), sum([outer, axis, inner], &words));
        });
    }
}

#[test]
fn windows() {
    for (planes, size, window, stride, pad) in [
        (1, [1, 1], [1, 1], [1, 1], [0, 0]),
        (3, [7, 9], [3, 2], [2, 3], [1, 1]),
        (2, [5, 4], [5, 4], [1, 1], [0, 0]),
        (2, [2, 3], [3, 3], [1, 1], [2, 2]),
        (1, [4, 4], [2, 2], [3, 3], [3, 3]),
    ] {
        let result: [usize; 2] = std::array::from_fn(|i| (size[i] + 2 * pad[i] - window[i]) / stride[i] + 1);
        let words = random(1, planes * size[0] * size[1]);
        let count = planes * result[0] * result[1];
        let expected: Vec<u64> = (0..count)
            .map(|at| {
                let (plane, y, x) = (at / (result[0] * result[1]), at / result[1] % result[0], at % result[1]);
                let mut sum = 0u64;
                for place in 0..window[0] * window[1] {
                    let row = (y * stride[0] + place / window[1]).wrapping_sub(pad[0]);
                    let column = (x * stride[1] + place % window[1]).wrapping_sub(pad[1]);
                    if row < size[0] && column < size[1] {
                        sum = sum.wrapping_add(words[(plane * size[0] + row) * size[1] + column]);
                    }
                }
                sum
            })
            .collect();
        in_both_orders(|device| {
            let to = device.room(count);
            let pool = [size, window, stride, pad, result];
            let fields = Fields::default().u32s(pool.as_flattened().iter().map(|number| *number as u32));
            let fields = fields.long_divisor((result[0] * result[1]) as u64).long_divisor(result[1] as u64);
            let args = Args::default().u64(device.put(&words)).u64(to).fields(fields).u64(count as u64);
            device.launch("sum_pool", [1, 1, 1], 256, 0, &args);
            assert_eq!(device.read(to), expected);
        });
    }
}
