//! Bit planes: sums of products, scans, decomposition into bits, and numbers made of bits.
//!
//! Sums of products of shared bits are local until they are reshared: 3 bits each however many products, 1 round. The
//! prefix network is Sklansky's (IEEE Trans. Comp. 1960): every prefix after `ceil(log2 n)` levels.
//!
//! [`weigh`]: `sum of w_j b_j` for `b_j = e_j xor g_j`, e at role 0, g at roles 1 and 2: `b_j = e_j + g_j - 2 e_j g_j`. Role 0 sends
//! `n_j = e_j - s_j` (s_j of k1), of which `K - t` bits matter where `2^t` divides `w_j`; roles 1 and 2 exchange
//! `sum of w_j (g_j - 2 g_j s_j) - tau_1` and `-2 sum of w_j g_j n_j - tau_0`. The shares are `sum of w_j n_j + tau_0`,
//! `sum of w_j s_j + tau_1`, and the sum of the two messages. 2K bits a sum, and `n_j` once for all sums of the same bits.
//!
//! Security: every message is masked by a fresh stream of its width that its receiver lacks: zero sharings, k1 and k0.

use super::blocks::{self, Block, Ranges};
use super::{Assembly, BitShares, BitSource, Roles, Shares, TwoSummand};
use crate::plan::build::{Builder, Map};
use crate::plan::{BufId, Party, Reg};

/// A sum (exclusive or) of products and of single bits.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Products of two bits.
    pub products: Vec<(BitShares, BitShares)>,
    /// Summands.
    pub bits: Vec<BitShares>,
}

impl Sum {
    /// `a + c (a + b)`: b where c is 1, else a.
    #[must_use]
    pub fn choice(c: BitShares, a: BitShares, b: BitShares) -> Sum {
        Sum { products: vec![(c, a), (c, b)], bits: vec![a] }
    }

    /// A single product.
    #[must_use]
    pub fn product(a: BitShares, b: BitShares) -> Sum {
        Sum { products: vec![(a, b)], bits: Vec::new() }
    }
}

/// Each party's summand of each sum, masked as `mask` says; not yet sent.
fn summands(b: &mut Builder, sums: &[Sum], len: usize, mask: impl Fn(Party) -> Vec<u8>) -> [BufId; 3] {
    let id = b.stream();
    Party::ALL.map(|party| {
        let mut m = b.plane_map(party, "bits.sums", len);
        let mut planes = Vec::with_capacity(sums.len());
        for (plane, sum) in sums.iter().enumerate() {
            let mut z: Option<Reg> = None;
            let mut parts: Vec<Reg> = Vec::new();
            for (x, y) in &sum.products {
                let (x, y) = (m.bits(x), m.bits(y));
                let both = m.xor(y[0], y[1]);
                let (first, second) = (m.and(x[0], both), m.and(x[1], y[0]));
                parts.extend([first, second]);
            }
            parts.extend(sum.bits.iter().map(|bit| m.bits(bit)[0]));
            for key in mask(party) {
                parts.push(m.prf_plane(key, id, plane));
            }
            for part in parts {
                z = Some(z.map_or(part, |z| m.xor(z, part)));
            }
            planes.push(z.expect("every party's summand is masked"));
        }
        let planes = m.write_planes(&planes);
        m.finish();
        planes
    })
}

/// The sums as replicated bits. 3 bits each, 1 round.
pub fn sums(b: &mut Builder, sums: &[Sum], len: usize) -> Vec<BitShares> {
    if sums.is_empty() {
        return Vec::new();
    }
    let z = summands(b, sums, len, |party| vec![party.0, party.plus(1).0]);
    let mut shares = Assembly::default();
    for party in Party::ALL {
        shares.set(party.0, party, z[party.index()]);
        shares.set(party.0, party.plus(2), b.send(z[party.index()], party.plus(2), "and"));
    }
    let shares = shares.finish();
    let plane = |plane| BitShares::from_fn(|j, party| BitSource::Plane(shares.share(j, party).buf, plane));
    (0..sums.len()).map(plane).collect()
}

/// Bits as `e xor g`: planes of e at role 0, of g at roles 1 and 2.
#[derive(Clone, Copy, Debug)]
pub struct TwoParts {
    roles: Roles,
    e: BufId,
    g: [BufId; 2],
}

impl TwoParts {
    /// From sums: 2 bits each, 1 round; role 0 has its part without a message.
    pub fn of_sums(b: &mut Builder, sums: &[Sum], roles: Roles, len: usize) -> TwoParts {
        let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
        let (k0, k1) = (roles.index(0), roles.index(1));
        let z = summands(b, sums, len, |party| match party {
            _ if party == p0 => vec![k0, k1],
            _ if party == p1 => vec![k1],
            _ => vec![k0],
        });
        let [z1, z2] = [p1, p2].map(|p| z[p.index()]);
        let received = [b.send(z2, p1, "parts"), b.send(z1, p2, "parts")];
        let g = [(p1, z1, received[0]), (p2, z2, received[1])].map(|(party, own, other)| {
            let mut m = b.plane_map(party, "bits.part", len);
            let planes: Vec<Reg> = (0..sums.len())
                .map(|plane| {
                    let (own, other) = (m.read_plane(own, plane), m.read_plane(other, plane));
                    m.xor(own, other)
                })
                .collect();
            let planes = m.write_planes(&planes);
            m.finish();
            planes
        });
        TwoParts { roles, e: z[p0.index()], g }
    }

    /// From replicated bits: no message.
    pub fn of_bits(b: &mut Builder, bits: &[BitShares], roles: Roles, len: usize) -> TwoParts {
        let e = roles.party(0);
        let part = |b: &mut Builder, party: Party| {
            let mut m = b.plane_map(party, "bits.part", len);
            let planes: Vec<Reg> = bits
                .iter()
                .map(|bit| {
                    let [own, next] = m.bits(bit);
                    // Role 0 has shares 0 and 1, the others share 2 and one of those.
                    if party == e {
                        m.xor(own, next)
                    } else if party.0 == roles.index(2) {
                        own
                    } else {
                        next
                    }
                })
                .collect();
            let planes = m.write_planes(&planes);
            m.finish();
            planes
        };
        TwoParts { roles, e: part(b, e), g: [1, 2].map(|r| part(b, roles.party(r))) }
    }
}

/// `sum of w_j b_j` for each row of weights. 2K bits a row, and up to K a bit; 2 rounds, of which the first needs role
/// 0's part alone.
pub fn weigh(b: &mut Builder, bits: &TwoParts, rows: &[Vec<u64>], len: usize) -> Vec<Shares> {
    let ring = b.ring();
    let roles = bits.roles;
    let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
    let [k0, k1, k2] = [0, 1, 2].map(|j| roles.index(j));
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    // A bit whose weights are all divisible by 2^t is sent modulo 2^(ring - t).
    let width = |j: usize| ring - rows.iter().map(|row| row[j].trailing_zeros()).min().unwrap_or(0).min(ring - 2);
    let s: Vec<_> = (0..count).map(|_| b.stream()).collect();
    let tau: Vec<_> = rows.iter().map(|_| b.stream()).collect();

    let mut m = b.ring_map(p0, "weigh.n", len);
    let n: Vec<BufId> = (0..count)
        .map(|j| {
            let (e, s) = (m.bit(bits.e, j), m.prf(k1, s[j], width(j)));
            let n = m.sub(e, s);
            m.write(n, width(j))
        })
        .collect();
    m.finish();
    let n2: Vec<BufId> = n.iter().map(|n| b.send(*n, p2, "n")).collect();

    let mut shares = vec![Assembly::default(); rows.len()];
    // Shares 0 and 1: sums of w_j n_j and of w_j s_j, with their taus.
    for (party, n) in [(p0, Some(&n)), (p1, None), (p2, Some(&n2))] {
        let mut m = b.ring_map(party, "weigh.known", len);
        for (r, row) in rows.iter().enumerate() {
            if let Some(n) = n {
                let words: Vec<Reg> = n.iter().map(|n| m.read(*n)).collect();
                let sum = weighted(&mut m, &words, row);
                let mask = m.prf(k0, tau[r], ring);
                let sum = m.add(sum, mask);
                shares[r].set(k0, party, m.write(sum, ring));
            }
            if party != p2 {
                let words: Vec<Reg> = (0..count).map(|j| m.prf(k1, s[j], width(j))).collect();
                let sum = weighted(&mut m, &words, row);
                let mask = m.prf(k1, tau[r], ring);
                let sum = m.add(sum, mask);
                shares[r].set(k1, party, m.write(sum, ring));
            }
        }
        m.finish();
    }
    // Share 2, of two summands.
    let own = [(p1, bits.g[0], None), (p2, bits.g[1], Some(&n2))].map(|(party, g, n)| {
        let mut m = b.ring_map(party, "weigh.summand", len);
        let words: Vec<Reg> = (0..count)
            .map(|j| {
                let g = m.bit(g, j);
                let part = if let Some(n) = n { m.read(n[j]) } else { m.prf(k1, s[j], width(j)) };
                let product = m.mul(g, part);
                let twice = m.shl(product, 1);
                let from = if n.is_some() { m.imm(0) } else { g };
                m.sub(from, twice)
            })
            .collect();
        let own: Vec<BufId> = rows
            .iter()
            .enumerate()
            .map(|(r, row)| {
                let sum = weighted(&mut m, &words, row);
                let mask = m.prf(if n.is_some() { k0 } else { k1 }, tau[r], ring);
                let sum = m.sub(sum, mask);
                m.write(sum, ring)
            })
            .collect();
        m.finish();
        own
    });
    for r in 0..rows.len() {
        let received = [b.send(own[1][r], p1, "y2"), b.send(own[0][r], p2, "y1")];
        for (i, party) in [p1, p2].into_iter().enumerate() {
            let mut m = b.ring_map(party, "weigh.share2", len);
            let (mine, other) = (m.read(own[i][r]), m.read(received[i]));
            let sum = m.add(mine, other);
            shares[r].set(k2, party, m.write(sum, ring));
            m.finish();
        }
    }
    shares.into_iter().map(Assembly::finish).collect()
}

fn weighted(m: &mut Map<'_>, words: &[Reg], weights: &[u64]) -> Reg {
    let mut sum = m.imm(0);
    for (word, weight) in words.iter().zip(weights).filter(|(_, weight)| **weight != 0) {
        let part = if weight.is_power_of_two() {
            m.shl(*word, weight.trailing_zeros())
        } else {
            let weight = m.imm(*weight);
            m.mul(*word, weight)
        };
        sum = m.add(sum, part);
    }
    sum
}

/// Generate and propagate of a block, for a carry that comes in from below.
#[derive(Clone, Copy, Debug)]
pub struct Carry {
    /// A carry leaves the block without one coming in.
    pub generate: BitShares,
    /// One leaves if one comes in; never needed of the lowest block.
    pub propagate: Option<BitShares>,
}

impl Carry {
    /// Of block `at`, from the functions that [`carry_functions`] lists.
    #[must_use]
    pub fn first(at: usize, functions: &[BitShares]) -> Carry {
        Carry { generate: functions[0], propagate: (at > 0).then(|| functions[1]) }
    }
}

/// What is asked of block `at` of n for the carries into later ones.
#[must_use]
pub fn carry_functions(size: u32, at: usize, n: usize) -> Vec<Ranges> {
    let top = 1i64 << size;
    match at {
        _ if at + 1 == n => Vec::new(),
        0 => vec![vec![(top, 2 * top)]],
        _ => vec![vec![(top, 2 * top)], vec![(top - 1, top)]],
    }
}

/// One level of a scan: which element takes in which.
#[must_use]
pub fn scan_level(n: usize, level: u32) -> Vec<(usize, usize)> {
    (0..n).filter(|i| i >> level & 1 == 1).map(|i| ((i >> level << level) - 1, i)).collect()
}

/// Levels of a scan of n elements.
#[must_use]
pub fn scan_levels(n: usize) -> u32 {
    n.max(1).next_power_of_two().trailing_zeros()
}

/// The bits of x from 0 to n, as replicated bits, lowest first. 2 rounds, the levels of the carries' scan, and 1.
pub fn decompose(b: &mut Builder, x: &TwoSummand, n: u32) -> Vec<BitShares> {
    let sizes = blocks::sizes(n, 4);
    let last = sizes.len() - 1;
    let wanted: Vec<Block> = sizes
        .iter()
        .enumerate()
        .map(|(at, size)| {
            let top = 1i64 << size;
            let carries = carry_functions(*size, at, sizes.len());
            let bits = (0..*size).flat_map(|i| {
                let with = move |carry: i64| {
                    let ones = (0..(2 * top) >> (i + 1)).map(move |k| ((2 * k + 1) << i, (2 * k + 2) << i));
                    ones.map(|(low, high)| (low - carry, high - carry)).collect()
                };
                (0..if at == 0 { 1 } else { 2 }).map(with).collect::<Vec<_>>()
            });
            Block { size: *size, functions: carries.into_iter().chain(bits).collect() }
        })
        .collect();
    let found = blocks::read(b, x, 0, &wanted);
    let mut carries: Vec<Carry> = found[..last].iter().enumerate().map(|(at, f)| Carry::first(at, f)).collect();
    for level in 0..scan_levels(carries.len()) {
        carries = scan_carries(b, &carries, level, x.len);
    }
    let choices: Vec<Sum> = (1..found.len())
        .flat_map(|at| {
            let bits = if at == last { &found[at][..] } else { &found[at][2..] };
            let carry = carries[at - 1].generate;
            bits.chunks_exact(2).map(move |pair| Sum::choice(carry, pair[0], pair[1]))
        })
        .collect();
    let low = if last == 0 { &found[0][..] } else { &found[0][1..] };
    low.iter().copied().chain(sums(b, &choices, x.len)).collect()
}

fn scan_carries(b: &mut Builder, carries: &[Carry], level: u32, len: usize) -> Vec<Carry> {
    let mut wanted = Vec::new();
    let pairs = scan_level(carries.len(), level);
    for (low, high) in &pairs {
        wanted.extend(carry_sums(&carries[*low], &carries[*high]));
    }
    let mut found = sums(b, &wanted, len).into_iter();
    let mut next = carries.to_vec();
    for (low, high) in pairs {
        let generate = found.next().expect("a sum for each wanted");
        let propagate = carries[low].propagate.and_then(|_| found.next());
        next[high] = Carry { generate, propagate };
    }
    next
}

/// Generate, and where the lower block has one propagate, of two neighbours.
pub fn carry_sums(low: &Carry, high: &Carry) -> Vec<Sum> {
    let propagate = high.propagate.expect("only the lowest block has no propagate");
    let mut all = vec![Sum { products: vec![(propagate, low.generate)], bits: vec![high.generate] }];
    all.extend(low.propagate.map(|p| Sum::product(propagate, p)));
    all
}

/// Bit i is whether any bit from i up is set; lowest first. 3 bits an or, `ceil(log2 n)` rounds.
pub fn suffix_or(b: &mut Builder, bits: &[BitShares], len: usize) -> Vec<BitShares> {
    let mut bits: Vec<BitShares> = bits.iter().rev().copied().collect();
    for level in 0..scan_levels(bits.len()) {
        let pairs = scan_level(bits.len(), level);
        let or = |(low, high): &(usize, usize)| {
            let (x, y) = (bits[*low], bits[*high]);
            Sum { products: vec![(x, y)], bits: vec![x, y] }
        };
        let found = sums(b, &pairs.iter().map(or).collect::<Vec<_>>(), len);
        for ((_, high), bit) in pairs.into_iter().zip(found) {
            bits[high] = bit;
        }
    }
    bits.reverse();
    bits
}

/// The and of all bits. 3 bits each but one, `ceil(log2 n)` rounds.
pub fn all(b: &mut Builder, mut bits: Vec<BitShares>, len: usize) -> BitShares {
    while bits.len() > 1 {
        let pairs: Vec<Sum> = bits.chunks_exact(2).map(|pair| Sum::product(pair[0], pair[1])).collect();
        let rest = bits.chunks_exact(2).remainder().to_vec();
        bits = sums(b, &pairs, len).into_iter().chain(rest).collect();
    }
    bits[0]
}

/// A bit that nobody knows, 1 with a probability of `ones / 2^n`: whether n shared random bits are below `ones`. For
/// `t` trailing zeros of `ones` the highest n - t are compared: up to 6 bits for each but one, in `ceil(log2(n - t))` rounds.
pub fn random(b: &mut Builder, ones: u32, n: u32, len: usize) -> BitShares {
    let first = ones.trailing_zeros();
    let count = (n - first) as usize;
    let id = b.stream();
    // The random bits, their negations (share 0 takes the constant) and a zero.
    let mut shares = Assembly::default();
    for party in Party::ALL {
        for (part, name) in ["random.own", "random.next"].into_iter().enumerate() {
            let key = party.plus(part as u8).0;
            let mut m = b.plane_map(party, name, len);
            let flip = m.imm(if key == 0 { u64::MAX } else { 0 });
            let words: Vec<Reg> = (0..count).map(|plane| m.prf_plane(key, id, plane)).collect();
            let flipped: Vec<Reg> = words.iter().map(|word| m.xor(*word, flip)).collect();
            let zero = m.imm(0);
            shares.set(key, party, m.write_planes(&[words, flipped, vec![zero]].concat()));
            m.finish();
        }
    }
    let shares = shares.finish();
    let plane = |at: usize| BitShares::from_fn(|j, party| BitSource::Plane(shares.share(j, party).buf, at));
    // u is below `ones` where the highest bit that differs is a 1 of `ones`.
    let mut carries: Vec<Carry> = (0..count)
        .map(|at| {
            let (bit, not, zero) = (plane(at), plane(count + at), plane(2 * count));
            let (generate, propagate) = if ones >> (first as usize + at) & 1 == 1 { (not, bit) } else { (zero, not) };
            Carry { generate, propagate: (at > 0).then_some(propagate) }
        })
        .collect();
    while carries.len() > 1 {
        let wanted: Vec<Sum> = carries.chunks_exact(2).flat_map(|pair| carry_sums(&pair[0], &pair[1])).collect();
        let mut found = sums(b, &wanted, len).into_iter();
        let mut next = || found.next().expect("a bit for each sum");
        let rest = carries.chunks_exact(2).remainder().to_vec();
        let pairs = carries.chunks_exact(2);
        let joined = pairs.map(|pair| Carry { generate: next(), propagate: pair[0].propagate.map(|_| next()) });
        carries = joined.collect::<Vec<_>>().into_iter().chain(rest).collect();
    }
    carries[0].generate
}
