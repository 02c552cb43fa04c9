//! One-hot places, rotation, sums of polynomials by piece.

use crate::device::{Args, Fields, in_both_orders, random};

#[test]
fn one_hot_places() {
    for (count, shift, log, add, with_values) in [
        (1, 0, 0, 0, false),
        (7, 62, 2, 1 << 63, true),
        (40, 5, 4, 9, true),
        (3, 20, 9, u64::MAX, false),
        (5, 60, 4, 1, true),
    ] {
        let (words, values) = (random(1, count), random(2, count));
        let place = |e: usize| (words[e].wrapping_add(add) >> shift) % (1 << log);
        let value = |e: usize| if with_values { values[e] } else { 1 };
        let word = |i: usize| if place(i >> log) == i as u64 % (1 << log) { value(i >> log) } else { 0 };
        let expected: Vec<u64> = (0..count << log).map(word).collect();
        in_both_orders(|device| {
            let to = device.room(expected.len());
            let from = device.put(&words);
            let values = if with_values { device.put(&values) } else { 0 };
            let args = Args::default().u64(from).u64(values).u64(to).u64(expected.len() as u64).u64(add);
            device.launch("one_hot", [2, 1, 1], 256, 0, &args.u32(shift).u32(log));
            assert_eq!(device.read(to), expected);
        });
    }
}

#[test]
fn rotations() {
    for (count, shift, log) in [(1, 0, 0), (33, 3, 4), (2, 55, 9)] {
        let (rows, by) = (random(1, count << log), random(2, count));
        let word = |i: usize| {
            let (e, j) = (i >> log, i as u64 % (1 << log));
            rows[(e << log) + (j.wrapping_sub(by[e] >> shift) % (1 << log)) as usize]
        };
        let expected: Vec<u64> = (0..count << log).map(word).collect();
        in_both_orders(|device| {
            let to = device.room(expected.len());
            let args = Args::default().u64(device.put(&rows)).u64(device.put(&by)).u64(to).u64(expected.len() as u64);
            device.launch("rotate", [2, 1, 1], 256, 0, &args.u32(shift).u32(log));
            assert_eq!(device.read(to), expected);
        });
    }
}

/// A term: polynomials of all pieces, lowest coefficient first, or one and factors.
enum Term {
    Polynomials(Vec<Vec<i64>>),
    Multiples(Vec<i64>, Vec<i64>),
}

#[derive(Clone, Copy)]
struct Table {
    shift: u32,
    log: u32,
    fraction: u32,
    drop: u32,
}

fn divide(x: i128, bits: u32) -> i128 {
    x.div_euclid(1 << bits)
}

fn lookup(table: Table, term: &Term, rows: &[u64], by: &[u64]) -> Vec<u64> {
    let pieces = 1 << table.log;
    let word = |e: usize| {
        let low = u128::from(by[e]) % (1 << table.shift);
        let v = (low << table.fraction >> table.shift) as i128;
        let polynomial = |c: &[i64]| {
            c.iter().rev().fold(0i64, |y, c| (divide(i128::from(y) * v, table.fraction) as i64).wrapping_add(*c))
        };
        (0..pieces).fold(0u64, |sum, j| {
            let piece = ((j as u128 + (u128::from(by[e]) >> table.shift)) % pieces as u128) as usize;
            let value = match term {
                Term::Polynomials(pieces) => i128::from(polynomial(&pieces[piece])),
                Term::Multiples(of, factors) => i128::from(polynomial(of)) * i128::from(factors[piece]),
            };
            let rounded = divide(value + (1 << (table.drop - 1)), table.drop);
            sum.wrapping_add(rows[e * pieces + j].wrapping_mul(rounded as u64))
        })
    };
    (0..by.len()).map(word).collect()
}

#[test]
fn sums_of_polynomials() {
    for (count, table) in [
        (1, Table { shift: 0, log: 0, fraction: 0, drop: 1 }),
        (70, Table { shift: 12, log: 2, fraction: 20, drop: 7 }),
        (9, Table { shift: 40, log: 5, fraction: 20, drop: 62 }),
        (3, Table { shift: 57, log: 7, fraction: 62, drop: 33 }),
    ] {
        let pieces = 1usize << table.log;
        let (rows, by) = (random(1, count * pieces), random(2, count));
        let signed = |seed, len| -> Vec<i64> { random(seed, len).iter().map(|word| *word as i64).collect() };
        let terms = [
            Term::Polynomials((0..pieces).map(|j| signed(10 + j as u64, 1 + j % 4)).collect()),
            Term::Multiples(vec![i64::MAX, i64::MIN, -1], signed(5, pieces)),
            Term::Multiples(signed(6, 1), vec![i64::MIN; pieces]),
            Term::Polynomials(vec![vec![i64::MAX]; pieces]),
        ];
        in_both_orders(|device| {
            let mut outs = Vec::new();
            let mut fields = Vec::new();
            for term in &terms {
                let (columns, factors): (Vec<&Vec<i64>>, _) = match term {
                    Term::Polynomials(pieces) => (pieces.iter().collect(), None),
                    Term::Multiples(of, factors) => (vec![of], Some(factors)),
                };
                let powers = columns.iter().map(|c| c.len()).max().unwrap();
                let coefficient = |power: usize| columns.iter().map(move |c| c.get(power).copied().unwrap_or(0) as u64);
                let coefficients: Vec<u64> = (0..powers).rev().flat_map(coefficient).collect();
                let coefficients = device.put(&coefficients);
                let factors = factors.map(|f| f.iter().map(|factor| *factor as u64).collect::<Vec<_>>());
                let factors = factors.map_or(0, |factors| device.put(&factors));
                outs.push(device.room(count));
                let place = Fields::default().u64s([coefficients, factors, outs[outs.len() - 1]]);
                fields.push(place.u32(powers as u32).u32(0));
            }
            let table_at = device.put(&Fields::words(fields));
            let args =
                Args::default().u64(device.put(&rows)).u64(device.put(&by)).u64(table_at).u32(terms.len() as u32);
            let args = args.u64(count as u64).u32(table.shift).u32(table.log).u32(table.fraction).u32(table.drop);
            device.launch("lookup", [1, 1, 1], 256, 0, &args);
            for (term, out) in terms.iter().zip(outs) {
                assert_eq!(device.read(out), lookup(table, term, &rows, &by));
            }
        });
    }
}
