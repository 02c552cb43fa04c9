//! The protocols against what they promise: results, errors, bits and rounds. Graphs are written in their text form.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use smlc::backend::StreamKey;
use smlc::backend::wire;
use smlc::fixed::Format;
use smlc::graph::{self, eval};
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Instr, Kernel, Party, Plan, cost, lower, verify};
use smlc::run::lockstep;
use smlc::span::Sources;

type Data = BTreeMap<String, Vec<f64>>;

fn data(items: &[(&str, &[f64])]) -> Data {
    items.iter().map(|(k, v)| ((*k).to_string(), v.to_vec())).collect()
}

/// Compiles a graph's text as it stands.
fn plan(text: &str, prefer: Prefer) -> smlc::plan::Plan {
    let graph = graph::text::parse(text).unwrap();
    graph::verify::verify(&graph).unwrap();
    let plan = lower::lower(&graph, &Sources::default(), lower::Options { prefer, ..Default::default() });
    verify::verify(&plan).unwrap();
    plan
}

/// Runs a plan and checks that what was sent is what the cost report says.
fn run(plan: &smlc::plan::Plan, data: &Data) -> Data {
    let outcome = lockstep::run(plan, data, &mut |_, _, _, _| {}).unwrap();
    let cost = cost::cost(plan);
    assert_eq!(outcome.bytes_per_link, cost.bytes_per_link);
    assert_eq!(outcome.rounds, cost.rounds);
    outcome.outputs
}

/// A small generator for test data: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self, limit: f64) -> f64 {
        ((self.next() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) * limit
    }

    fn fixed(&mut self, n: usize, limit: f64, frac: i32) -> Vec<f64> {
        let unit = 2f64.powi(frac);
        (0..n).map(|_| (self.uniform(limit) * unit).round() / unit).collect()
    }
}

fn product_relu(n: usize, format: Format) -> String {
    let Format { ring, int, frac: f } = format;
    let w = 2 * f;
    format!(
        "graph test\nformat ring={ring} int={int} frac={f}\nowners a b\n\
         %0 = input \"x\" : clear(a) [{n}]\n%1 = input \"y\" : clear(b) [{n}]\n\
         %2 = share scale={f} %0 : ring({f}) [{n}]\n%3 = share scale={f} %1 : ring({f}) [{n}]\n\
         %4 = mul %2 %3 : ring({w}) [{n}]\n%5 = trunc bits={f} %4 : ring({f}) [{n}]\n%6 = relu %5 : ring({f}) [{n}]\n\
         %7 = reveal \"h\" to=a %5 : ring({f}) [{n}]\n%8 = reveal \"y\" to=a %6 : ring({f}) [{n}]\n"
    )
}

#[test]
fn multiply_truncate_relu_costs_what_the_protocol_says() {
    let n = 6400u64;
    let narrow = Format { ring: 48, int: 15, frac: 16 };
    for (format, prefer, bits, rounds) in [
        (Format::default(), Prefer::Bytes, 658, 6),
        (Format::default(), Prefer::Rounds, 675, 5),
        (narrow, Prefer::Bytes, 538, 6),
        (narrow, Prefer::Rounds, 555, 5),
    ] {
        let plan = plan(&product_relu(n as usize, format), prefer);
        let cost = cost::cost(&plan);
        assert_eq!((cost.bytes_total * 8, cost.rounds), (n * bits, rounds), "{format:?} {prefer:?}");
    }
}

#[test]
fn fused_relu_is_the_positive_part_of_the_truncated_product() {
    let mut random = Random(5);
    for (format, limit) in [
        (Format::default(), 181.0),
        (Format { ring: 48, int: 15, frac: 16 }, 127.0),
        (Format { ring: 64, int: 10, frac: 12 }, 22.0),
        (Format { ring: 64, int: 12, frac: 20 }, 45.0),
        (Format { ring: 40, int: 3, frac: 5 }, 1.9),
        (Format { ring: 8, int: 2, frac: 1 }, 1.0),
    ] {
        for prefer in [Prefer::Bytes, Prefer::Rounds, Prefer::Time { bits: 1 << 20 }] {
            let n = 5003;
            let frac = format.frac as i32;
            let x = random.fixed(n, limit, frac);
            let mut y = random.fixed(n, limit, frac);
            // Many products near zero.
            y[..n / 4].iter_mut().for_each(|y| *y = (*y * 1e-3 * 2f64.powi(frac)).round() / 2f64.powi(frac));
            let out = run(&plan(&product_relu(n, format), prefer), &data(&[("x", &x), ("y", &y)]));
            let unit = 2f64.powi(-frac);
            for i in 0..n {
                let floor = (x[i] * y[i] / unit).floor() * unit;
                let error = out["h"][i] - floor;
                assert!(error == 0.0 || error == unit, "{format:?}: {} * {} gave {}", x[i], y[i], out["h"][i]);
                assert_eq!(out["y"][i], out["h"][i].max(0.0), "{format:?}");
            }
        }
    }
}

/// Truncates shares of n elements by f bits.
fn truncation(n: usize, ring: u32, f: u32) -> String {
    let (int, scale) = (1, f + 1);
    format!(
        "graph test\nformat ring={ring} int={int} frac=1\nowners a\n%0 = input \"x\" : clear(a) [{n}]\n\
         %1 = share scale={scale} %0 : ring({scale}) [{n}]\n%2 = trunc bits={f} %1 : ring(1) [{n}]\n\
         %3 = reveal \"h\" to=a %2 : ring(1) [{n}]\n"
    )
}

/// What came of many truncations.
#[derive(Clone, Copy, Debug, Default)]
struct Truncations {
    count: u64,
    /// Results that are neither neighbour of the quotient.
    gross: u64,
    /// Multiples of 2^f that did not become the quotient.
    moved: u64,
    /// Sum of the errors in units of 2^-f of the last place.
    error: i64,
}

impl Truncations {
    fn add(&mut self, other: Truncations) {
        self.count += other.count;
        self.gross += other.gross;
        self.moved += other.moved;
        self.error += other.error;
    }
}

/// Truncates blocks of numbers at the edge of the range: the outermost 2^(f + 6) at either end, whose ends are
/// -2^(K-2) - 2^f + 1 and 2^(K-2) - 2^f, and every eighth a multiple of 2^f. Shares go straight into the buffers and
/// results come straight out of them.
fn truncate_at_the_edge(plan: &Plan, f: u32, blocks: u64, seed: u64) -> Truncations {
    let ring = plan.format.ring;
    let (mask, unit) = (u64::MAX >> (64 - ring), 1i64 << f);
    let mut random = Random(seed);
    let mut key = || {
        let halves = [random.next(), random.next()].map(u64::to_le_bytes);
        StreamKey(std::array::from_fn(|i| halves[i / 8][i % 8]))
    };
    let keys = [key(), key(), key()];
    let mut tally = Truncations::default();
    for block in 0..blocks {
        let keys = keys.clone().map(|mut key| {
            key.0[8..].iter_mut().zip(block.to_le_bytes()).for_each(|(k, b)| *k ^= b);
            key
        });
        let input = &plan.inputs[0];
        let numbers: Vec<i64> = (0..input.len)
            .map(|i| {
                let word = random.next();
                let inward = (word >> 1) as i64 & ((unit << 6) - 1);
                let edge = 1i64 << (ring - 2);
                let z = if word & 1 == 0 { edge - unit - inward } else { 1 - edge - unit + inward };
                if i % 8 == 0 { z & -unit } else { z }
            })
            // The smallest one is no multiple, and rounding it down would leave the range.
            .map(|z| if z < 1 - (1i64 << (ring - 2)) - unit { z + unit } else { z })
            .collect();
        let mut shares = [(); 3].map(|()| Vec::with_capacity(input.len));
        for z in &numbers {
            let (x0, x1) = (random.next(), random.next());
            let x2 = (*z as u64).wrapping_sub(x0).wrapping_sub(x1);
            [x0, x1, x2].into_iter().zip(&mut shares).for_each(|(x, share)| share.push(x & mask));
        }
        let loads = Party::ALL.map(|party| {
            let part =
                |part: u8| (input.bufs[usize::from(part)][party.index()], shares[party.plus(part).index()].clone());
            vec![part(0), part(1)]
        });
        let outcome = lockstep::execute(plan, lockstep::devices(&keys), loads, &mut |_, _, _, _| {}).unwrap();
        let halves = [0, 1].map(|p| wire::unpack(plan.buf(plan.outputs[0].bufs[p]), &outcome.halves[p][0]));
        for ((z, a), b) in numbers.iter().zip(&halves[0]).zip(&halves[1]) {
            let h = (a.wrapping_add(*b) << (64 - ring)) as i64 >> (64 - ring);
            let (floor, rest) = (z >> f, z & (unit - 1));
            let up = h.wrapping_sub(floor);
            tally.count += 1;
            tally.gross += u64::from(up != 0 && up != 1);
            tally.moved += u64::from(rest == 0 && up != 0);
            tally.error += if up == 1 { unit } else { 0 } - rest;
        }
    }
    tally
}

/// No result is off by more than a unit in the last place, none of a multiple of 2^f at all, and the mean error is zero.
#[test]
fn a_hundred_million_truncations_at_the_edge_of_the_range() {
    let block = 1 << 15;
    let blocks = if cfg!(debug_assertions) { 1 } else { 128 };
    // 24 groups of blocks in all: 10^8 truncations.
    let formats = [(64, 16, 10), (48, 16, 8), (64, 20, 3), (40, 7, 2), (32, 1, 1)];
    let groups: Vec<(u32, u32, u64)> =
        formats.iter().flat_map(|(ring, f, groups)| (0..*groups).map(|g| (*ring, *f, g))).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(groups.len());
    let run = |thread: usize| -> Vec<((u32, u32), Truncations)> {
        let mine = groups.iter().skip(thread).step_by(threads);
        let tally = |(ring, f, group): &(u32, u32, u64)| {
            let plan = plan(&truncation(block, *ring, *f), Prefer::Bytes);
            ((*ring, *f), truncate_at_the_edge(&plan, *f, blocks, u64::from(*ring) << 16 | u64::from(*f) << 8 | group))
        };
        mine.map(tally).collect()
    };
    let tallies: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        handles.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    let mut all: BTreeMap<(u32, u32), Truncations> = BTreeMap::new();
    tallies.into_iter().for_each(|(format, tally)| all.entry(format).or_default().add(tally));
    for ((ring, f), tally) in &all {
        assert_eq!((tally.gross, tally.moved), (0, 0), "ring {ring}, f = {f}: {tally:?}");
        // One error has a standard deviation of at most half a unit.
        let (mean, count) = (tally.error as f64 / 2f64.powi(*f as i32) / tally.count as f64, tally.count as f64);
        assert!(mean.abs() < 6.0 * 0.5 / count.sqrt(), "ring {ring}, f = {f}: biased by {mean} ulp");
    }
    let count: u64 = all.values().map(|t| t.count).sum();
    assert!(count >= if cfg!(debug_assertions) { 700_000 } else { 100_000_000 }, "{count}");
}

/// The same count finds a truncation without the offset that keeps u + V from wrapping twice, one that rounds always the
/// same way, and the local truncation of shares, which is wrong with probability |z| / 2^(K-1).
#[test]
fn gross_errors_and_bias_are_counted() {
    let (ring, f) = (64, 16);
    let good = plan(&truncation(1 << 14, ring, f), Prefer::Bytes);
    let offset = (1u64 << (ring - 2)) + (1 << f) - 1;
    let change = |instr: fn(&Instr, u64) -> Option<Instr>| {
        let mut broken = good.clone();
        let mut changed = 0;
        for step in broken.rounds.iter_mut().flat_map(|r| &mut r.steps) {
            let Kernel::Map(program) = &mut step.kernel else { continue };
            for code in &mut Arc::make_mut(program).code {
                if let Some(other) = instr(code, offset) {
                    *code = other;
                    changed += 1;
                }
            }
        }
        assert!(changed > 0);
        truncate_at_the_edge(&broken, f, 1, 7)
    };
    let right = truncate_at_the_edge(&good, f, 1, 7);
    assert_eq!((right.gross, right.moved), (0, 0));
    let wraps = change(|i, offset| (*i == Instr::Imm(offset)).then_some(Instr::Imm((1 << 16) - 1)));
    assert!(wraps.gross > wraps.count / 4, "{wraps:?}");
    // Without the 2^f - 1 results are rounded down by one unit more at times.
    let down = change(|i, offset| (*i == Instr::Imm(offset)).then_some(Instr::Imm(1 << 62)));
    assert!(down.gross > 0 && down.error.unsigned_abs() > down.count << 14, "{down:?}");
    // Without the carry of the top bits each party's share is truncated by itself.
    let local = change(|i, _| matches!(i, Instr::Shl(_, 48)).then_some(Instr::Imm(0)));
    assert!(local.gross > local.count / 8, "{local:?}");
}

#[test]
fn signs_of_all_windows() {
    let mut random = Random(3);
    for (ring, int, frac) in [(64, 16, 16), (64, 40, 4), (48, 15, 16), (16, 3, 2), (8, 2, 1), (9, 1, 1), (64, 30, 16)] {
        for prefer in [Prefer::Bytes, Prefer::Rounds, Prefer::Time { bits: 1 << 20 }] {
            let n = 777;
            let text = format!(
                "graph test\nformat ring={ring} int={int} frac={frac}\nowners a\n%0 = input \"x\" : clear(a) [{n}]\n\
                 %1 = share scale={frac} %0 : ring({frac}) [{n}]\n%2 = is_negative %1 : bit [{n}]\n\
                 %3 = relu %1 : ring({frac}) [{n}]\n%4 = reveal \"b\" to=a %2 : bit [{n}]\n%5 = reveal \"r\" to=all %3 : ring({frac}) [{n}]\n"
            );
            let limit = 2f64.powi(int - 1);
            let unit = 2f64.powi(-frac);
            let mut x = random.fixed(n, limit - unit, frac);
            x[..6].copy_from_slice(&[0.0, unit, -unit, limit - unit, unit - limit, 0.0]);
            let out = run(&plan(&text, prefer), &data(&[("x", &x)]));
            for i in 0..n {
                assert_eq!(out["b"][i], f64::from(u8::from(x[i] < 0.0)), "ring {ring} int {int} frac {frac}: {}", x[i]);
                assert_eq!(out["r"][i], x[i].max(0.0));
            }
        }
    }
}

/// Compares a run with the fixed-point evaluator, allowing some units in the last place.
fn compare(text: &str, data: &Data, ulps: f64) {
    let graph = graph::text::parse(text).unwrap();
    let wanted = eval::results(&graph, data, eval::Mode::Fixed).unwrap();
    let unit = 2f64.powi(-(graph.format.frac as i32));
    for prefer in [Prefer::Bytes, Prefer::Rounds, Prefer::Time { bits: 1 << 20 }] {
        let out = run(&plan(text, prefer), data);
        assert_eq!(out.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        for (name, values) in &wanted {
            for (i, (a, b)) in out[name].iter().zip(values).enumerate() {
                assert!((a - b).abs() <= ulps * unit, "{name}[{i}]: {a} instead of {b}");
            }
        }
    }
}

#[test]
fn pools_maxima_and_argmax() {
    let mut random = Random(11);
    let n = 2 * 3 * 7 * 9;
    let x = random.fixed(n, 32767.0, 16);
    let text = "graph test\nformat ring=64 int=16 frac=16\nowners a\n%0 = input \"x\" : clear(a) [2, 3, 7, 9]\n\
        %1 = share scale=16 %0 : ring(16) [2, 3, 7, 9]\n\
        %2 = max_pool size=2x2 stride=2x2 pad=0x0 %1 : ring(16) [2, 3, 3, 4]\n\
        %3 = max_pool size=3x3 stride=2x2 pad=1x1 %1 : ring(16) [2, 3, 4, 5]\n\
        %4 = sum_pool size=3x2 stride=1x2 pad=1x0 %1 : ring(16) [2, 3, 7, 4]\n\
        %5 = reshape %1 : ring(16) [18, 21]\n%6 = argmax axis=1 %5 : ring(0) [18]\n%7 = max axis=0 %5 : ring(16) [1, 21]\n\
        %8 = reveal \"a\" to=a %2 : ring(16) [2, 3, 3, 4]\n%9 = reveal \"b\" to=a %3 : ring(16) [2, 3, 4, 5]\n\
        %10 = reveal \"c\" to=a %4 : ring(16) [2, 3, 7, 4]\n%11 = reveal \"d\" to=a %6 : ring(0) [18]\n\
        %12 = reveal \"e\" to=a %7 : ring(16) [1, 21]\n";
    // Sums of six values of that size leave the format: keep them small for the sum's sake, large for the maxima's.
    let graph = graph::text::parse(text).unwrap();
    let wanted = eval::results(&graph, &data(&[("x", &x)]), eval::Mode::Fixed).unwrap();
    let mut ties = x.clone();
    ties.chunks_mut(21).for_each(|row| row[20] = row[3]);
    compare(text, &data(&[("x", &x)]), 0.0);
    compare(text, &data(&[("x", &ties)]), 0.0);
    assert!(wanted["d"].iter().any(|v| *v > 0.0));
}

#[test]
fn linear_layers_in_every_mix_of_shared_and_public() {
    let mut random = Random(21);
    let text = "graph test\nformat ring=64 int=16 frac=16\nowners a b\n\
        %0 = input \"x\" : clear(a) [2, 4, 5, 6]\n%1 = input \"w\" : clear(b) [6, 2, 3, 3]\n%2 = input \"p\" : clear [6, 2, 3, 3]\n\
        %3 = share scale=16 %0 : ring(16) [2, 4, 5, 6]\n%4 = share scale=16 %1 : ring(16) [6, 2, 3, 3]\n\
        %5 = encode scale=16 %2 : public(16) [6, 2, 3, 3]\n\
        %6 = conv2d size=3x3 stride=2x1 pad=1x1 groups=2 %3 %4 : ring(32) [2, 6, 3, 6]\n\
        %7 = trunc bits=16 %6 : ring(16) [2, 6, 3, 6]\n\
        %8 = conv2d size=3x3 stride=2x1 pad=1x1 groups=2 %3 %5 : ring(32) [2, 6, 3, 6]\n\
        %9 = trunc bits=16 %8 : ring(16) [2, 6, 3, 6]\n\
        %10 = sub %7 %9 : ring(16) [2, 6, 3, 6]\n%11 = reveal \"conv\" to=b %10 : ring(16) [2, 6, 3, 6]\n\
        %12 = reshape %3 : ring(16) [2, 4, 30]\n%13 = transpose perm=0,2,1 %12 : ring(16) [2, 30, 4]\n\
        %14 = matmul %12 %13 : ring(32) [2, 4, 4]\n%15 = trunc bits=16 %14 : ring(16) [2, 4, 4]\n\
        %16 = reveal \"gram\" to=a %15 : ring(16) [2, 4, 4]\n\
        %17 = input \"c\" : clear [1, 4, 1]\n%18 = encode scale=16 %17 : public(16) [1, 4, 1]\n\
        %19 = broadcast %18 : public(16) [2, 4, 30]\n%20 = add %12 %19 : ring(16) [2, 4, 30]\n\
        %21 = mul %20 %19 : ring(32) [2, 4, 30]\n%22 = trunc bits=16 %21 : ring(16) [2, 4, 30]\n\
        %23 = slice axis=2 start=1 step=7 %22 : ring(16) [2, 4, 5]\n%24 = concat axis=1 %23 %23 : ring(16) [2, 8, 5]\n\
        %25 = sum axis=1 %24 : ring(16) [2, 1, 5]\n%26 = neg %25 : ring(16) [2, 1, 5]\n\
        %27 = reveal \"rest\" to=all %26 : ring(16) [2, 1, 5]\n";
    let inputs = data(&[
        ("x", &random.fixed(240, 10.0, 16)),
        ("w", &random.fixed(108, 2.0, 16)),
        ("p", &random.fixed(108, 2.0, 16)),
        ("c", &random.fixed(4, 3.0, 16)),
    ]);
    compare(text, &inputs, 16.0);
}

#[test]
fn bits_combine_and_choose() {
    let mut random = Random(8);
    let n = 131;
    let text = format!(
        "graph test\nformat ring=64 int=16 frac=16\nowners a b\n%0 = input \"x\" : clear(a) [{n}]\n%1 = input \"y\" : clear(b) [{n}]\n\
         %2 = share scale=16 %0 : ring(16) [{n}]\n%3 = share scale=16 %1 : ring(16) [{n}]\n\
         %4 = sub %2 %3 : ring(16) [{n}]\n%5 = is_negative %4 : bit [{n}]\n%6 = is_negative %2 : bit [{n}]\n\
         %7 = const 1.0 : clear [{n}]\n%8 = encode scale=0 %7 : public(0) [{n}]\n%9 = xor %5 %8 : bit [{n}]\n\
         %10 = and %9 %6 : bit [{n}]\n%11 = xor %10 %5 : bit [{n}]\n%12 = select %11 %2 %3 : ring(16) [{n}]\n\
         %13 = select %5 %3 %2 : ring(16) [{n}]\n\
         %14 = reveal \"b\" to=a %11 : bit [{n}]\n%15 = reveal \"s\" to=a %12 : ring(16) [{n}]\n%16 = reveal \"t\" to=a %13 : ring(16) [{n}]\n"
    );
    let inputs = data(&[("x", &random.fixed(n, 30000.0, 16)), ("y", &random.fixed(n, 30000.0, 16))]);
    compare(&text, &inputs, 0.0);
}

/// A comparison that leaves 8 bits unread errs for numbers between -2^-8 and 0 alone, and some of those do come out wrong.
#[test]
fn approximate_comparisons_err_near_zero_alone_and_cost_less() {
    let n = 4000;
    let error = 2f64.powi(-8);
    let mut random = Random(11);
    let exact = product_relu(n, Format::default());
    let approximate = exact.replace("relu %5", "relu unread=8 %5");
    let mut wrong = 0;
    for limit in [0.1, 100.0] {
        let inputs = data(&[("x", &random.fixed(n, limit, 16)), ("y", &random.fixed(n, limit, 16))]);
        let out = run(&plan(&approximate, Prefer::Rounds), &inputs);
        for (h, y) in out["h"].iter().zip(&out["y"]) {
            let is_wrong = (y - h.max(0.0)).abs() > 0.0;
            assert!(!is_wrong || (-error < *h && *h < 0.0), "relu({h}) = {y}");
            assert!(*y == 0.0 || y == h);
            wrong += usize::from(is_wrong);
        }
    }
    assert!(wrong > 100, "{wrong} of {n}");
    let bytes = |text: &str| cost::cost(&plan(text, Prefer::Bytes)).bytes_total;
    assert!(bytes(&approximate) + 5 * n as u64 <= bytes(&exact), "{} {}", bytes(&approximate), bytes(&exact));

    let pool = |unread: &str| {
        format!(
            "graph test\nformat ring=64 int=16 frac=16\nowners a b\n%0 = input \"x\" : clear(a) [1, 1, 40, 40]\n\
             %1 = share scale=16 %0 : ring(16) [1, 1, 40, 40]\n\
             %2 = max_pool size=2x2 stride=2x2 pad=0x0{unread} %1 : ring(16) [1, 1, 20, 20]\n\
             %3 = max axis=3{unread} %1 : ring(16) [1, 1, 40, 1]\n\
             %4 = argmax axis=3{unread} %1 : ring(0) [1, 1, 40]\n\
             %5 = reveal \"pool\" to=a %2 : ring(16) [1, 1, 20, 20]\n%6 = reveal \"max\" to=a %3 : ring(16) [1, 1, 40, 1]\n\
             %7 = reveal \"argmax\" to=a %4 : ring(0) [1, 1, 40]\n"
        )
    };
    let x = random.fixed(1600, 0.05, 16);
    let inputs = data(&[("x", &x)]);
    let (all, some) =
        (run(&plan(&pool(""), Prefer::Rounds), &inputs), run(&plan(&pool(" unread=8"), Prefer::Rounds), &inputs));
    let mut differ = 0;
    for (name, matches) in [("pool", 2.0), ("max", 6.0)] {
        for (a, b) in all[name].iter().zip(&some[name]) {
            assert!(*b <= *a && a - b < matches * error, "{name}: {b} for {a}");
            differ += usize::from(a != b);
        }
    }
    assert!(differ > 10, "{differ}");
    for (row, (a, b)) in all["argmax"].iter().zip(&some["argmax"]).enumerate() {
        let at = |i: f64| x[row * 40 + i as usize];
        assert!(at(*a) - at(*b) < 6.0 * error);
    }
}

/// One tournament gives the largest and its index: it costs the index, and one more selection in its last match.
#[test]
fn a_maximum_and_its_index_share_a_tournament() {
    let mut random = Random(31);
    for (n, unread) in [(1usize, ""), (2, ""), (3, ""), (7, ""), (16, ""), (9, " unread=4")] {
        let rows = 37;
        let text = |max: bool, argmax: bool| {
            let mut text = format!(
                "graph test\nformat ring=64 int=16 frac=16\nowners a\n%0 = input \"x\" : clear(a) [{rows}, {n}]\n\
                 %1 = share scale=16 %0 : ring(16) [{rows}, {n}]\n"
            );
            let mut id = 2;
            let mut add = |op: &str, ty: &str, name: &str| {
                text += &format!("%{id} = {op} axis=1{unread} %1 : {ty}\n");
                text += &format!("%{} = reveal \"{name}\" to=a %{id} : {ty}\n", id + 1);
                id += 2;
            };
            if argmax {
                add("argmax", &format!("ring(0) [{rows}]"), "index");
            }
            if max {
                add("max", &format!("ring(16) [{rows}, 1]"), "largest");
            }
            text
        };
        let mut x = random.fixed(rows * n, 32767.0, 16);
        // Ties: the earlier wins.
        for row in x.chunks_mut(n).step_by(2) {
            row[n - 1] = row[n / 2];
            row[0] = row[n / 3];
        }
        for prefer in [Prefer::Bytes, Prefer::Rounds, Prefer::Time { bits: 1 << 20 }] {
            let both = plan(&text(true, true), prefer);
            let out = run(&both, &data(&[("x", &x)]));
            if unread.is_empty() {
                for (i, row) in x.chunks(n).enumerate() {
                    let largest = row.iter().copied().fold(f64::MIN, f64::max);
                    let first = row.iter().position(|v| *v == largest).unwrap() as f64;
                    assert_eq!((out["largest"][i], out["index"][i]), (largest, first), "{n}: {row:?}");
                }
            } else {
                let picked = |i: usize| x[i * n + out["index"][i] as usize];
                assert!((0..rows).all(|i| out["largest"][i] == picked(i)));
            }
            let cost = |max, argmax| cost::cost(&plan(&text(max, argmax), prefer));
            let (largest, index, both) = (cost(true, false), cost(false, true), cost::cost(&both));
            let selection = if n == 1 { 0 } else { rows as u64 * 3 * 8 };
            assert_eq!(both.bytes_total, index.bytes_total + selection, "{n}");
            assert!(n == 1 || both.bytes_total < largest.bytes_total + index.bytes_total);
            assert_eq!(both.rounds, largest.rounds.max(index.rounds));
        }
    }
}

/// A thousand entrants play ten levels: no more steps than ten matches of two, and what moves those who are left over.
#[test]
fn matches_of_a_level_are_one() {
    let steps = |n: usize, op: &str, ty: &str| {
        let text = format!(
            "graph test\nformat ring=64 int=16 frac=16\nowners a\n%0 = input \"x\" : clear(a) [4, {n}]\n\
             %1 = share scale=16 %0 : ring(16) [4, {n}]\n%2 = {op} axis=1 %1 : {ty}\n%3 = reveal \"out\" to=a %2 : {ty}\n"
        );
        let plan = plan(&text, Prefer::Bytes);
        plan.rounds.iter().map(|round| round.steps.len()).sum::<usize>()
    };
    for (op, ty) in [("max", "ring(16) [4, 1]"), ("argmax", "ring(0) [4]")] {
        let (two, many) = (steps(2, op, ty), steps(1000, op, ty));
        assert!(many > 5 * two && many < 13 * two, "{op}: {two} for two, {many} for a thousand");
    }
}

/// Halving the summands of twice a product loses nothing: a multiple of the unit is truncated exactly, for a unit of few bits
/// too, where the lowest bit of the product counts.
#[test]
fn products_that_are_multiples_are_exact() {
    let (n, k) = (2000, 64);
    let text = format!(
        "graph test\nformat ring=64 int=24 frac=4\nowners a\n%0 = input \"x\" : clear(a) [{n}, {k}]\n\
         %1 = input \"y\" : clear(a) [{k}, 1]\n%2 = share scale=4 %0 : ring(4) [{n}, {k}]\n%3 = share scale=4 %1 : ring(4) [{k}, 1]\n\
         %4 = matmul %2 %3 : ring(8) [{n}, 1]\n%5 = trunc bits=4 %4 : ring(4) [{n}, 1]\n%6 = reveal \"z\" to=a %5 : ring(4) [{n}, 1]\n"
    );
    let mut random = Random(29);
    let (x, y) = (random.fixed(n * k, 100.0, 0), random.fixed(k, 100.0, 0));
    let plan = plan(&text, Prefer::Rounds);
    let once = |kernel: &Kernel| matches!(kernel, Kernel::ProductOfSums(..));
    assert!(plan.rounds.iter().flat_map(|r| &r.steps).any(|s| once(&s.kernel)), "one product a party");
    let out = run(&plan, &data(&[("x", &x), ("y", &y)]));
    for (row, z) in x.chunks(k).zip(&out["z"]) {
        assert_eq!(*z, row.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>());
    }
}
