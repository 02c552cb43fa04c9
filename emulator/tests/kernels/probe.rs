//! Probes: that they do all that is counted.

use crate::device::{Args, in_both_orders};

const CHAINS: u32 = 8;

fn noise(thread: u32, place: u32) -> u32 {
    (thread * 64 + place + 1).wrapping_mul(0x9e37_79b1)
}

/// Runs a probe with two blocks; `wanted` says what a thread of a block finds after so many rounds.
fn probe(kernel: &str, threads: u32, wanted: impl Fn(u32, u32) -> u32) {
    for rounds in [0, 1, 3] {
        in_both_orders(|device| {
            let out = device.room(threads as usize);
            device.launch(kernel, [2, 1, 1], threads, 0, &Args::default().u64(out).u32(rounds));
            let found = device.read(out).into_iter().flat_map(|word| [word as u32, (word >> 32) as u32]);
            let numbers = (0..2 * threads).map(|number| wanted(number % threads, rounds));
            assert!(found.eq(numbers), "{kernel}, {rounds} rounds");
        });
    }
}

/// Byte `k` of row `row` of a warp's left factor, or of column `row` of its right one: lanes hold four bytes of a row each, from
/// `place` on, first of rows 0-7 at depths 0-15; then of rows 8-15, if there are, then the same at depths 16-31.
fn byte(warp: u32, place: u32, rows: u32, row: u32, k: u32) -> u32 {
    let (lane, register) = (row % 8 * 4 + k % 16 / 4, row / 8 + k / 16 * (rows / 8));
    noise(warp * 32 + lane, place + register) >> (8 * (k % 4)) & 255
}

#[test]
fn products_of_bytes() {
    probe("probe_bytes", 256, |thread, rounds| {
        let (warp, lane) = (thread / 32, thread % 32);
        let product =
            |row: u32, col: u32| -> u32 { (0..32).map(|k| byte(warp, 0, 16, row, k) * byte(warp, 4, 8, col, k)).sum() };
        let places = (0..4 * CHAINS).map(|at| (at, lane / 4 + at % 4 / 2 * 8, lane % 4 * 2 + at % 2));
        places.fold(0, |all, (at, row, col)| {
            all ^ noise(thread, 8 + at).wrapping_add(rounds.wrapping_mul(product(row, col)))
        })
    });
}

#[test]
fn multiply_adds() {
    probe("probe_multiply_adds", 512, |thread, rounds| {
        let (factor, term) = (noise(thread, 0), noise(thread, 1));
        let next = |x: u32| x.wrapping_mul(factor).wrapping_add(term);
        (0..CHAINS).fold(0, |all, chain| all ^ (0..rounds).fold(noise(thread, 2 + chain), |x, _| next(x)))
    });
}

#[test]
fn lookups() {
    probe("probe_lookups", 512, |thread, rounds| {
        let last = |chain| (0..rounds).fold(noise(thread, chain) >> 24, |entry, _| (5 * entry + 3) % 256);
        (0..CHAINS).map(|chain| last(chain) * 128 + thread % 32 * 4).sum()
    });
}
