//! Functions of the bits of a sum `U + V`, block by block, read from the two summands.
//!
//! A block of B positions has u (role 0) and v (roles 1, 2) from 0 to `2^B - 1`, and any function of both is
//! `f(0, v) + sum over a > 0 of [u = a] (f(a, v) + f(0, v))`. Role 0 sends the bits `[u = a]`, masked by k1 (`2^B - 1` bits a
//! block, whatever the number of functions); roles 1 and 2 exchange their halves of each function (2 bits). The functions
//! here depend on `u + v` alone: they are 1 where it lies in one of some ranges.
//!
//! Security: as for the sign's blocks. Every bit that travels is masked by a fresh stream plane that its receiver lacks.

use super::{Assembly, BitShares, BitSource, TwoSummand};
use crate::plan::build::{Builder, Map};
use crate::plan::{Operand, Reg};

/// 1 where `u + v` lies in one of these ranges (first included, second not).
pub type Ranges = Vec<(i64, i64)>;

/// A block of bit positions and what is wanted of it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Positions.
    pub size: u32,
    /// Functions of `u + v`.
    pub functions: Vec<Ranges>,
}

/// Blocks of at most `size` positions that cover n of them, least significant first.
#[must_use]
pub fn sizes(n: u32, size: u32) -> Vec<u32> {
    let count = n.div_ceil(size);
    (0..count).map(|i| (n + count - 1 - i) / count).collect()
}

/// The functions of each block, of the positions from 0 on of `U + (V + add)`. 2 rounds.
pub fn read(b: &mut Builder, x: &TwoSummand, add: u64, blocks: &[Block]) -> Vec<Vec<BitShares>> {
    let len = x.len;
    let [p0, p1, p2] = [0, 1, 2].map(|r| x.roles.party(r));
    let [k0, k1] = [0, 1].map(|j| x.roles.index(j));
    let (one_hot, half) = (b.stream(), b.stream());

    let u = Operand::bits(x.u, 0, 0);
    let mut m = b.plane_map(p0, "blocks.u", len);
    let mut masked = Vec::new();
    for (first, block) in starts(blocks) {
        for value in &minterms(&mut m, u, first, block.size)[1..] {
            let mask = m.prf_plane(k1, one_hot, masked.len());
            masked.push(m.xor(*value, mask));
        }
    }
    let masked = m.write_planes(&masked);
    m.finish();
    let masked = b.send(masked, p2, "blocks");

    // Each half is masked by the key that the other of the two lacks. Each of the two keeps f(0, v) for later.
    let halves = [(p1, x.v[0], None, k1), (p2, x.v[1], Some(masked), k0)].map(|(party, v, places, key)| {
        let v = Operand::bits(v, add, 0);
        let mut m = b.plane_map(party, "blocks.halves", len);
        let (mut sums, mut zeros) = (Vec::new(), Vec::new());
        let mut plane = 0;
        for (first, block) in starts(blocks) {
            let at_least = thresholds(&mut m, v, first, block.size);
            let places: Vec<Reg> = (0..(1 << block.size) - 1)
                .map(|i| match places {
                    Some(buf) => m.read_plane(buf, plane + i),
                    None => m.prf_plane(k1, one_hot, plane + i),
                })
                .collect();
            plane += places.len();
            for ranges in &block.functions {
                let zero = value(&mut m, &at_least, ranges, 0);
                let mut sum = m.prf_plane(key, half, sums.len());
                for (i, place) in places.iter().enumerate() {
                    let f = value(&mut m, &at_least, ranges, i as i64 + 1);
                    let differs = m.xor(f, zero);
                    let part = m.and(*place, differs);
                    sum = m.xor(sum, part);
                }
                sums.push(sum);
                zeros.push(zero);
            }
        }
        let written = [m.write_planes(&sums), m.write_planes(&zeros)];
        m.finish();
        written
    });
    let received = [b.send(halves[1][0], p1, "halves"), b.send(halves[0][0], p2, "halves")];
    let planes: usize = blocks.iter().map(|block| block.functions.len()).sum();
    let share2 = [(p1, 0), (p2, 1)].map(|(party, i)| {
        let mut m = b.plane_map(party, "blocks.share2", len);
        let shares: Vec<Reg> = (0..planes)
            .map(|plane| {
                let [own, zero] = halves[i].map(|buf| m.read_plane(buf, plane));
                let other = m.read_plane(received[i], plane);
                let sum = m.xor(own, other);
                m.xor(sum, zero)
            })
            .collect();
        let shares = m.write_planes(&shares);
        m.finish();
        shares
    });
    // Shares 0 and 1 are the masks; drawn once, as they serve in several products.
    let mut shares = Assembly::default();
    for (i, party) in [p1, p2].into_iter().enumerate() {
        shares.set(x.roles.index(2), party, share2[i]);
    }
    for (party, key) in [(p0, k0), (p0, k1), (p1, k1), (p2, k0)] {
        let mut m = b.plane_map(party, if key == k0 { "blocks.share0" } else { "blocks.share1" }, len);
        let words: Vec<Reg> = (0..planes).map(|plane| m.prf_plane(key, half, plane)).collect();
        shares.set(key, party, m.write_planes(&words));
        m.finish();
    }
    let shares = shares.finish();
    let mut all = (0..planes).map(|plane| BitShares::from_fn(|j, p| BitSource::Plane(shares.share(j, p).buf, plane)));
    blocks.iter().map(|block| all.by_ref().take(block.functions.len()).collect()).collect()
}

/// Blocks with their first positions.
fn starts(blocks: &[Block]) -> impl Iterator<Item = (usize, &Block)> {
    blocks.iter().scan(0, |next, block| {
        let first = *next;
        *next += block.size as usize;
        Some((first, block))
    })
}

/// The bits `[x = a]` for all a of a block.
fn minterms(m: &mut Map<'_>, bits: Operand, first: usize, size: u32) -> Vec<Reg> {
    let mut all = vec![m.imm(u64::MAX)];
    for i in 0..size as usize {
        let bit = m.read_plane(bits, first + i);
        let ones: Vec<Reg> = all.iter().map(|a| m.and(*a, bit)).collect();
        let zeros: Vec<Reg> = all.iter().zip(&ones).map(|(a, one)| m.xor(*a, *one)).collect();
        all = [zeros, ones].concat();
    }
    all
}

/// The bits `[x >= a]` for a from 0 to `2^size`.
fn thresholds(m: &mut Map<'_>, bits: Operand, first: usize, size: u32) -> Vec<Reg> {
    let minterms = minterms(m, bits, first, size);
    let mut all = vec![m.imm(0)];
    for term in minterms.iter().rev() {
        let above = all[all.len() - 1];
        all.push(m.xor(above, *term));
    }
    all.reverse();
    all
}

/// Whether `a + v` lies in the ranges.
fn value(m: &mut Map<'_>, at_least: &[Reg], ranges: &Ranges, a: i64) -> Reg {
    let end = at_least.len() as i64 - 1;
    let mut sum = m.imm(0);
    for (low, high) in ranges {
        for bound in [low, high] {
            let from = at_least[(bound - a).clamp(0, end) as usize];
            sum = m.xor(sum, from);
        }
    }
    sum
}
