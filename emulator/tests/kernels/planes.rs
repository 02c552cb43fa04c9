//! Matrix products by planes of bytes.

use crate::device::{Args, Device, Fields, in_both_orders, random};
use crate::terms::{self, Terms};

/// A product of pairs, all of whose matrices lie in ones that have some columns more.
struct Product {
    m: usize,
    k: usize,
    n: usize,
    gap: usize,
    pairs: Vec<[Terms; 2]>,
    /// Whether it is added to what is there, and blocks that share the steps.
    add: bool,
    parts: u32,
    /// Words before operands and result.
    skipped: usize,
}

impl Product {
    fn new(m: usize, k: usize, n: usize, pairs: Vec<[Terms; 2]>) -> Product {
        Product { m, k, n, gap: 0, pairs, add: false, parts: 1, skipped: 0 }
    }

    /// Of random words.
    fn random(gap: usize, m: usize, k: usize, n: usize, pairs: u64) -> Product {
        let terms = |seed, len| Terms::of(random(seed, len));
        let pair = |pair| [terms(pair, m * (k + gap)), terms(pair + 7, k * (n + gap))];
        Product { gap, ..Product::new(m, k, n, (0..pairs).map(pair).collect()) }
    }

    /// What is in the result before: what is replaced or added to, and 77 between rows.
    fn before(&self) -> Vec<u64> {
        let pitch = self.n + self.gap;
        let word = if self.add {
            5
        } else if self.parts > 1 {
            0
        } else {
            0xdead_beef
        };
        (0..self.m * pitch).map(|place| if place % pitch < self.n { word } else { 77 }).collect()
    }

    fn expected(&self) -> Vec<u64> {
        let Product { m, k, n, gap, .. } = *self;
        let mut out = self.before();
        for row in 0..m {
            for col in 0..n {
                let mut sum = if self.add { 5u64 } else { 0 };
                for [left, right] in &self.pairs {
                    for x in 0..k {
                        let product = left.at(row * (k + gap) + x).wrapping_mul(right.at(x * (n + gap) + col));
                        sum = sum.wrapping_add(product);
                    }
                }
                out[row * (n + gap) + col] = sum;
            }
        }
        out
    }
}

/// Launches a split; the planes.
fn split(device: &mut Device, product: &Product, side: usize) -> u64 {
    let Product { m, k, n, gap, skipped, .. } = *product;
    let (name, lines, pitch) = [("plane_split_left", m, k + gap), ("plane_split_right", n, n + gap)][side];
    let units = lines.div_ceil(64) * product.pairs.len() * k.div_ceil(32);
    let matrices: Vec<&Terms> = product.pairs.iter().map(|pair| &pair[side]).collect();
    let fields = terms::fields(device, skipped, &matrices);
    let planes = device.room(units * 2048);
    let fields = fields.u64(planes).u64(pitch as u64);
    let fields = fields.u32s([lines, k, product.pairs.len(), 8].map(|size| size as u32));
    device.launch(name, [units.div_ceil(2) as u32, 1, 1], 256, 0, &Args::default().fields(fields));
    planes
}

fn check_on(device: &mut Device, product: &Product) {
    let Product { m, k, n, gap, skipped, .. } = *product;
    let planes = [0, 1].map(|side| split(device, product, side));
    let c = device.put_after(skipped, &product.before());
    let steps = product.pairs.len() * k.div_ceil(32);
    let fields = Fields::default().u64s(planes).u64(c).u64((n + gap) as u64);
    let fields = fields.u32s([m, n, steps].map(|size| size as u32)).u32(product.add.into());
    let grid = [(m.div_ceil(64) * n.div_ceil(64)) as u32, product.parts, 1];
    device.launch("plane_product", grid, 256, 98_304, &Args::default().fields(fields));
    assert!(device.read(c) == product.expected(), "{m} x {k} x {n}");
}

fn check(product: &Product) {
    in_both_orders(|device| check_on(device, product));
}

#[test]
fn tiles_and_steps_are_filled_up() {
    check(&Product::random(0, 1, 1, 1, 1));
    check(&Product::random(0, 64, 32, 64, 1));
    check(&Product::random(0, 65, 33, 66, 2));
    check(&Product::random(0, 30, 130, 100, 1));
    // Nine rows of tiles make a band of eight and one of one; an odd number of panels and steps.
    check(&Product::random(0, 513, 1, 3, 1));
}

#[test]
fn operands_and_results_lie_anywhere() {
    check(&Product { skipped: 1, ..Product::random(3, 20, 50, 70, 2) });
    check(&Product { add: true, ..Product::random(1, 66, 40, 5, 1) });
    // Sums of two.
    let terms = |seed, len, factors| Terms { words: vec![random(seed, len), random(seed + 1, len)], factors };
    let sums = [terms(1, 40 * 65, [2, -1]), terms(3, 65 * 33, [-1, 1])];
    check(&Product::new(40, 65, 33, vec![sums]));
}

#[test]
fn blocks_share_steps() {
    check(&Product { parts: 3, ..Product::random(0, 3, 140, 2, 2) });
    // More blocks than steps, and what is there is added to.
    check(&Product { parts: 7, add: true, ..Product::random(0, 2, 70, 65, 1) });
}

#[test]
fn the_largest_bytes_at_the_largest_depth() {
    // With the second pair, more than the depth of 16,512 at which sums of bytes must have become words.
    let (m, k) = (2, 8_260);
    let ones = |len| Terms::of(vec![u64::MAX; len]);
    let pairs = (0..2).map(|_| [ones(m * k), ones(k)]).collect();
    check_on(&mut Device::default(), &Product::new(m, k, 1, pairs));
}
