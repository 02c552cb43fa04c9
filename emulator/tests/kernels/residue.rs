//! Matrix products by residues.

use crate::device::{Args, Device, Fields, in_both_orders, random};
use crate::terms::{self, Terms};

/// The largest numbers up to 256 without common factors.
const MODULI: [u64; 19] =
    [256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193, 191, 181, 179];

/// What so many moduli can do.
struct Residues {
    /// `W_p` and `P`, modulo 2^64.
    words: Vec<u64>,
    range: u64,
    /// `W_p / P` in fixed point.
    fractions: Vec<u64>,
    /// The largest depth, of all pairs together.
    depth: usize,
}

fn residues(count: usize) -> Residues {
    let moduli = &MODULI[..count];
    let (mut words, mut fractions, mut error) = (Vec::new(), Vec::new(), 0.0);
    for (i, p) in moduli.iter().enumerate() {
        let others = || moduli.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| *other);
        let rest = others().fold(1, |product, other| product * other % p);
        let inverse = (1..*p).find(|inverse| rest * inverse % p == 1).unwrap();
        words.push(others().fold(inverse, u64::wrapping_mul));
        let fraction = (2 * (inverse << 19) + p) / (2 * p);
        error += (p - 1) as f64 * (fraction as f64 / f64::from(1 << 19) - inverse as f64 / *p as f64).abs();
        fractions.push(fraction);
    }
    let range: f64 = moduli.iter().map(|p| *p as f64).product();
    // Less what the last bits of a float may be off.
    let fits = ((0.5 - error) * (range / 2_f64.powi(126)) * (1.0 - 1e-9)) as usize;
    let sums = ((1_usize << 32) - 1) / (255 * 255);
    let range = moduli.iter().copied().fold(1, u64::wrapping_mul);
    Residues { words, range, fractions, depth: fits.min(sums) }
}

/// A depth at which 18 moduli fail.
const BEYOND: usize = 11_214;

/// How many moduli a depth needs.
fn moduli_for(depth: usize) -> usize {
    [18, 19].into_iter().find(|count| depth <= residues(*count).depth).unwrap()
}

#[derive(Clone)]
struct Product {
    m: usize,
    k: usize,
    n: usize,
    /// Of each pair.
    left: Vec<Terms>,
    right: Vec<Terms>,
    /// Words between rows of the left factors, of the right ones, of the result.
    gaps: [usize; 3],
    /// What the result is added to.
    added: Option<Vec<u64>>,
    /// Words before operands and result.
    skipped: usize,
}

impl Product {
    fn new(m: usize, k: usize, n: usize, left: Vec<Terms>, right: Vec<Terms>) -> Product {
        Product { m, k, n, left, right, gaps: [0; 3], added: None, skipped: 0 }
    }

    /// Of random words.
    fn random(m: usize, k: usize, n: usize, pairs: usize) -> Product {
        Product::with_gaps([0; 3], m, k, n, pairs)
    }

    fn with_gaps(gaps: [usize; 3], m: usize, k: usize, n: usize, pairs: usize) -> Product {
        let terms = |seed, len| (0..pairs).map(|pair| Terms::of(random(seed + pair as u64, len))).collect();
        let (left, right) = (terms(1, m * (k + gaps[0])), terms(5, k * (n + gaps[1])));
        Product { gaps, ..Product::new(m, k, n, left, right) }
    }

    /// Of one word on the left and one on the right.
    fn of_words(m: usize, k: usize, n: usize, left: u64, right: u64) -> Product {
        let terms = |word, len| vec![Terms::of(vec![word; len])];
        Product::new(m, k, n, terms(left, m * k), terms(right, k * n))
    }

    fn expected(&self) -> Vec<u64> {
        let Product { m, k, n, .. } = *self;
        let [left_pitch, right_pitch, pitch] = [k + self.gaps[0], n + self.gaps[1], n + self.gaps[2]];
        let mut out = self.result();
        for (left, right) in self.left.iter().zip(&self.right) {
            let left: Vec<u64> = (0..m * left_pitch).map(|place| left.at(place)).collect();
            let right: Vec<u64> = (0..k * right_pitch).map(|place| right.at(place)).collect();
            for i in 0..m {
                for x in 0..k {
                    let row = &right[x * right_pitch..][..n];
                    let by = left[i * left_pitch + x];
                    let out = &mut out[i * pitch..][..n];
                    out.iter_mut().zip(row).for_each(|(out, b)| *out = out.wrapping_add(by.wrapping_mul(*b)));
                }
            }
        }
        out
    }

    /// The result before the product: as in `added`, or zeros where it will be replaced and 77 between rows.
    fn result(&self) -> Vec<u64> {
        let pitch = self.n + self.gaps[2];
        let empty = || (0..self.m * pitch).map(|place| if place % pitch < self.n { 0 } else { 77 }).collect();
        self.added.clone().unwrap_or_else(empty)
    }

    fn depth(&self) -> usize {
        self.left.len() * self.k
    }
}

/// Room for so many bytes.
fn bytes(device: &mut Device, count: usize) -> u64 {
    device.room(count / 8)
}

/// Launches a split; the planes.
fn split(device: &mut Device, product: &Product, right: bool, moduli: usize) -> u64 {
    let Product { m, k, n, skipped, .. } = *product;
    let (name, factor, lines, gap, panel) = if right {
        ("residue_split_right", &product.right, n, product.gaps[1], 256)
    } else {
        ("residue_split_left", &product.left, m, product.gaps[0], 128)
    };
    let pitch = gap + if right { n } else { k };
    let steps = factor.len() * k.div_ceil(64);
    let plane = lines.div_ceil(panel) * steps * panel * 64;
    let matrices: Vec<&Terms> = factor.iter().collect();
    let fields = terms::fields(device, skipped, &matrices);
    let planes = bytes(device, plane * moduli);
    let fields = fields.u64(planes).u64(pitch as u64);
    let fields = fields.u32s([lines, k, factor.len(), moduli].map(|size| size as u32));
    device.launch(name, [plane as u32 / 4096, 1, 1], 256, 0, &Args::default().fields(fields));
    planes
}

/// Launches the product for some moduli; the bytes of tiles.
fn multiply(device: &mut Device, product: &Product, planes: [u64; 2], moduli: usize) -> u64 {
    let Product { m, k, n, .. } = *product;
    let tiles = m.div_ceil(128) * n.div_ceil(256);
    let tile_bytes = bytes(device, tiles * 32_768 * moduli);
    let steps = product.left.len() * k.div_ceil(64);
    let fields = Fields::default().u64s(planes).u64(tile_bytes).u32s([m, n, steps].map(|size| size as u32));
    let grid = [tiles as u32, 1, moduli as u32];
    device.launch("residue_product", grid, 256, 98_304, &Args::default().fields(fields));
    tile_bytes
}

fn check_on(device: &mut Device, product: &Product) {
    let Product { m, n, skipped, .. } = *product;
    let moduli = moduli_for(product.depth());
    let planes = [false, true].map(|right| split(device, product, right, moduli));
    let tile_bytes = multiply(device, product, planes, moduli);
    let mut before = product.result();
    if product.added.is_none() {
        before.iter_mut().filter(|word| **word == 0).for_each(|word| *word = 0xdead_beef);
    }
    let c = device.put_after(skipped, &before);
    let fields = Fields::default().u64s([tile_bytes, c, (n + product.gaps[2]) as u64]);
    let fields = fields.u32s([m, n, moduli].map(|size| size as u32)).u32(product.added.is_some().into());
    let tiles = m.div_ceil(128) * n.div_ceil(256);
    device.launch("residue_join", [tiles as u32 * 8, 1, 1], 256, 0, &Args::default().fields(fields));
    assert!(device.read(c) == product.expected(), "{m} x {} x {n}, {moduli} moduli", product.k);
}

fn check(product: &Product) {
    in_both_orders(|device| check_on(device, product));
}

/// Words at which signs, bytes and halves meet.
fn extremes() -> Vec<u64> {
    let near = |word: u64| [word.wrapping_sub(1), word, word.wrapping_add(1)];
    let alternating = [0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa, 0x8080_8080_8080_8080, 0x7f7f_7f7f_7f7f_7f7f];
    (0..64).map(|bit| 1 << bit).chain([0, 0xffff_ffff]).chain(alternating).flat_map(near).collect()
}

#[test]
fn tiles_of_residues() {
    check(&Product::random(1, 1, 1, 1));
    // One beyond a tile, a step, a pair of columns.
    check(&Product::random(129, 1, 1, 1));
    check(&Product::random(1, 1, 257, 1));
    check(&Product::random(3, 65, 5, 2));
    check(&Product { skipped: 1, ..Product::random(66, 33, 70, 1) });
    check(&Product { added: Some(random(9, 5 * 9)), ..Product::random(5, 7, 9, 1) });
}

#[test]
fn more_steps_than_stages() {
    check(&Product::random(2, 64 * 9, 3, 1));
    check(&Product::random(9, 64 * 3 + 1, 10, 2));
}

#[test]
fn bands_of_tiles_of_residues() {
    check_on(&mut Device::default(), &Product::random(1_025, 1, 257, 1));
}

#[test]
fn parts_of_matrices() {
    check(&Product::with_gaps([3, 5, 4], 4, 66, 10, 2));
    let gaps = [1, 1, 3];
    check(&Product { added: Some(random(9, 4 * 10)), ..Product::with_gaps(gaps, 4, 5, 7, 1) });
}

#[test]
fn sums_of_terms() {
    let (m, k, n) = (6, 70, 11);
    let two = |seed, len, factors| Terms { words: vec![random(seed, len), random(seed + 1, len)], factors };
    let one = |seed, len, factor| Terms { words: vec![random(seed, len)], factors: [factor, 7] };
    let (left, right) = (two(1, m * k, [2, -2]), two(3, k * n, [i64::MIN, -1]));
    check(&Product::new(m, k, n, vec![left], vec![right]));
    // What a party computes: a (b + d) + c b.
    let (a, c, b) = (one(1, m * k, 1), one(2, m * k, 1), one(3, k * n, 1));
    let both = two(3, k * n, [1, 1]);
    check(&Product::new(m, k, n, vec![a, c], vec![both, b]));
}

#[test]
fn residues_of_any_word() {
    // A product by the identity: the words.
    let words = extremes();
    let k = words.len();
    let mut one = vec![0; k * k];
    (0..k).for_each(|i| one[i * k + i] = 1);
    let (row, ones) = (Terms::of(words.clone()), Terms::of(one));
    check_on(&mut Device::default(), &Product::new(1, k, k, vec![row.clone()], vec![ones.clone()]));
    check_on(&mut Device::default(), &Product::new(k, k, 1, vec![ones], vec![row]));
    let random = Terms::of(random(1, k));
    check(&Product::new(1, k, 1, vec![random], vec![Terms::of(words)]));
}

/// The arithmetic of the split and the product, for all numbers that occur or may matter.
#[test]
fn reductions_are_exact() {
    let high = |n: u32, by: u64| ((u64::from(n) * by) >> 32) as u32;
    for p in MODULI {
        let (reciprocal, p) = ((1_u64 << 32).div_ceil(p), p as u32);
        // Eight bytes with weights below p, and one number below p.
        for n in 0..(8 * 255 + 1) * (p - 1) {
            assert_eq!(n - p * high(n, reciprocal), n % p, "{n} mod {p}");
        }
        let sum = |n: u32| {
            let r = n.wrapping_sub(p.wrapping_mul(high(n, reciprocal)));
            r.min(r.wrapping_add(p))
        };
        let near = |n: u32| [n.wrapping_sub(1), n, n.wrapping_add(1)];
        // Where quotients change, and others.
        let numbers = (0..1 << 18).map(|i: u32| i.wrapping_mul(0x9e37_79b1)).chain(u32::MAX - 1024..=u32::MAX);
        for n in numbers.flat_map(|n| near(n - n % p)).chain((0..32).flat_map(|bit| near(1 << bit))) {
            assert_eq!(sum(n), n % p, "{n} mod {p}");
        }
    }
}

#[test]
fn so_many_moduli_do() {
    let coprime = |a: u64, b: u64| {
        let (mut a, mut b) = (a, b);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    for (i, p) in MODULI.iter().enumerate() {
        assert!(MODULI[..i].iter().all(|other| coprime(*p, *other)));
    }
    assert_eq!([18, 19].map(|count| residues(count).depth), [11_162, 66_051]);
    // Numbers from their residues, where the sums are as large as they get, and the definition of each weight: W_p is 1
    // modulo p and 0 modulo the others, so the weights' sum is 1 but for multiples of P.
    for count in [18, 19] {
        let residues = residues(count);
        let join = |rest: &dyn Fn(u64) -> u64| {
            let terms = MODULI.iter().zip(&residues.words).zip(&residues.fractions);
            let (mut sum, mut quotient) = (0_u64, 1 << 18);
            for ((p, word), fraction) in terms {
                sum = sum.wrapping_add(word.wrapping_mul(rest(*p)));
                quotient += fraction * rest(*p);
            }
            assert!(quotient < 1 << 32);
            sum.wrapping_sub((quotient >> 19).wrapping_mul(residues.range))
        };
        for x in extremes() {
            assert_eq!(join(&|p| x.cast_signed().rem_euclid(p.cast_signed()).cast_unsigned()), x);
        }
        // -1 has the largest residues.
        assert_eq!(join(&|p| p - 1), u64::MAX);
        // The largest products of words, of either sign, at the largest depth.
        let depth = residues.depth as i128;
        for c in [1 << 126, -(1 << 63) * ((1 << 63) - 1)] {
            let residue = |p: u64| ((c % i128::from(p)) * depth).rem_euclid(i128::from(p)) as u64;
            assert_eq!(join(&residue), (c as u64).wrapping_mul(depth as u64));
            // From P / 2 on the quotient is another one.
            if count == 18 && c > 0 {
                let beyond = |p: u64| ((c % i128::from(p)) * BEYOND as i128).rem_euclid(i128::from(p)) as u64;
                assert_ne!(join(&beyond), (c as u64).wrapping_mul(BEYOND as u64));
            }
        }
    }
}

#[test]
fn extreme_words_at_the_largest_depth() {
    let depth = residues(18).depth;
    let (least, most) = (1 << 63, (1 << 63) - 1);
    let check = |m, k, n, left, right| check_on(&mut Device::default(), &Product::of_words(m, k, n, left, right));
    check(1, depth, 1, least, least);
    check(1, depth, 1, least, most);
    assert_eq!((moduli_for(depth), moduli_for(depth + 1)), (18, 19));
    check(1, BEYOND, 1, least, least);
    check(1, 500, 2, u64::MAX, u64::MAX);
    check(2, 500, 1, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa);
}

#[test]
fn the_largest_residues_at_the_largest_depth() {
    // Of the first modulus, 256, alone: all bytes are 255.
    let depth = residues(19).depth;
    let product = Product::of_words(1, depth, 1, u64::MAX, u64::MAX);
    let device = &mut Device::default();
    let planes = [false, true].map(|right| split(device, &product, right, 1));
    let tile_bytes = multiply(device, &product, planes, 1);
    assert_eq!(device.read(tile_bytes)[0] & 255, (depth as u64 * 255 * 255) % 256);
}
