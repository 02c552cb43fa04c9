//! The sign of a two-summand value: blocks read from the summands, then a carry tree on bit planes.
//!
//! `u + V` over a block of B bit positions is bilinear between the products `u^S` of u's bits (role 0) and functions of
//! V's bits (roles 1, 2): its generate G and propagate P are `sum over S of u^S b_S(v)` and `sum of u^S d_S(v)`. Role 0
//! sends every masked `u^S` (2^B - 1 bits a block) and the masked top bit; roles 1 and 2 exchange their halves of G and P
//! (2 bits each a block); a binary tree at 3 bits an AND gives the carry into the top bit.
//!
//! Window [m, m + w): reads the sign of `h = floor(x/2^m) + [V mod 2^m < x mod 2^m]`, the very h that truncation by m of
//! the same summands returns; exact for `-2^(w-1) <= h < 2^(w-1)`. With m = 0 that is x itself.
//!
//! Security: each message is masked by a fresh stream plane that its receiver lacks. [`open`] opens the bit under a random
//! bit r that nobody knows, used for this one opening.

mod sizes;

use super::{Assembly, BitShares, BitSource, TwoSummand};
use crate::plan::build::{Builder, Map, StreamId};
use crate::plan::{BufId, Operand, Party, Reg};
pub use sizes::{Prefer, sign_blocks};

/// Bits [from, from + width) of a two-summand value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Lowest bit, the m above.
    pub from: u32,
    /// Bits, the sign included.
    pub width: u32,
}

/// A bit opened under a random mask: the true bit is `c xor r`.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// The public plane at each party.
    pub c: [BufId; 3],
    /// The stream of the random bit r: share j is its plane 0 under key j.
    pub r: StreamId,
}

/// Generate and propagate of one block, shared.
#[derive(Clone, Copy, Debug)]
struct Block {
    generate: BitShares,
    /// Never needed for the lowest block.
    propagate: Option<BitShares>,
}

/// Everything the tree starts from.
#[derive(Debug)]
struct Leaves {
    blocks: Vec<Block>,
    /// `u xor v` of the top bit.
    top: BitShares,
}

/// Replicated shares of the sign bit.
pub fn sign(b: &mut Builder, x: &TwoSummand, window: Window, prefer: Prefer) -> BitShares {
    let leaves = leaves(b, x, window, prefer);
    match tree(b, leaves.blocks, x.len) {
        Tree::Empty => leaves.top,
        Tree::Single(g) => xor(b, "sign", &[g.generate, leaves.top], x.len),
        Tree::Pair(lo, hi) => {
            let z = last_and(b, &lo, &hi, &[leaves.top], x.len);
            let mut shares = Assembly::default();
            for party in Party::ALL {
                shares.set(party.0, party, z[party.index()]);
                shares.set(party.0, party.plus(2), b.send(z[party.index()], party.plus(2), "and"));
            }
            let shares = shares.finish();
            BitShares::from_fn(|j, party| BitSource::Plane(shares.share(j, party).buf, 0))
        }
    }
}

/// The sign bit, opened under a fresh random bit: the tree's last AND is not reshared but sent to everybody (6 bits).
pub fn open_sign(b: &mut Builder, x: &TwoSummand, window: Window, prefer: Prefer) -> Opened {
    let leaves = leaves(b, x, window, prefer);
    let r = b.stream();
    let mask = BitShares::random(r);
    match tree(b, leaves.blocks, x.len) {
        Tree::Empty => open_masked(b, &[leaves.top, mask], r, x.len),
        Tree::Single(g) => open_masked(b, &[g.generate, leaves.top, mask], r, x.len),
        Tree::Pair(lo, hi) => {
            let z = last_and(b, &lo, &hi, &[leaves.top, mask], x.len);
            let mut others = [[BufId(0); 2]; 3];
            for party in Party::ALL {
                for steps in [1, 2u8] {
                    let to = party.plus(steps);
                    others[to.index()][usize::from(steps) - 1] = b.send_opening(z[party.index()], to, "open", r);
                }
            }
            Opened { c: xor_received(b, &z, &others, x.len), r }
        }
    }
}

/// Opens a replicated bit under a fresh random bit. 3 bits, 1 round.
pub fn open(b: &mut Builder, bit: &BitShares, len: usize) -> Opened {
    let r = b.stream();
    open_masked(b, &[*bit, BitShares::random(r)], r, len)
}

/// The opened bit as a replicated one: `c xor r`, local.
pub fn of_opened(b: &mut Builder, bit: &Opened, len: usize) -> BitShares {
    let random = BitShares::random(bit.r);
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        let mut m = b.plane_map(party, "opened", len);
        let (c, shares) = (m.read_plane(bit.c[party.index()], 0), m.bits(&random));
        for part in 0..2u8 {
            let mut share = shares[usize::from(part)];
            if party.plus(part) == Party(0) {
                share = m.xor(share, c);
            }
            at[usize::from(part)][party.index()] = m.write_planes(&[share]);
        }
        m.finish();
    }
    BitShares { at: at.map(|row| row.map(|buf| BitSource::Plane(buf, 0))) }
}

/// Opens the sum of replicated bits, one of which is the random `r`: party i gets share i + 2 from party i + 1.
fn open_masked(b: &mut Builder, summands: &[BitShares], r: StreamId, len: usize) -> Opened {
    let masked = xor_buffers(b, "open", summands, len);
    let mut others = [[BufId(0); 1]; 3];
    for party in Party::ALL {
        let sender = party.plus(1);
        others[party.index()] = [b.send_opening(masked[1][sender.index()], party, "open", r)];
    }
    let c = Party::ALL.map(|party| {
        let i = party.index();
        let mut m = b.plane_map(party, "open.sum", len);
        let (own, next, other) =
            (m.read_plane(masked[0][i], 0), m.read_plane(masked[1][i], 0), m.read_plane(others[i][0], 0));
        let sum = m.xor(own, next);
        let sum = m.xor(sum, other);
        let c = m.write_planes(&[sum]);
        m.finish();
        c
    });
    Opened { c, r }
}

/// Exclusive or of replicated bits, local.
pub fn xor(b: &mut Builder, name: &str, summands: &[BitShares], len: usize) -> BitShares {
    let at = xor_buffers(b, name, summands, len);
    BitShares { at: at.map(|row| row.map(|buf| BitSource::Plane(buf, 0))) }
}

fn xor_buffers(b: &mut Builder, name: &str, summands: &[BitShares], len: usize) -> [[BufId; 3]; 2] {
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        let mut m = b.plane_map(party, name, len);
        let bits: Vec<[Reg; 2]> = summands.iter().map(|x| m.bits(x)).collect();
        for (part, row) in at.iter_mut().enumerate() {
            let sum = bits.iter().map(|x| x[part]).reduce(|x, y| m.xor(x, y)).expect("at least one summand");
            row[party.index()] = m.write_planes(&[sum]);
        }
        m.finish();
    }
    at
}

/// And of replicated bits. 3 bits, 1 round.
pub fn and(b: &mut Builder, x: &BitShares, y: &BitShares, len: usize) -> BitShares {
    let zero = b.stream();
    let mut shares = Assembly::default();
    for party in Party::ALL {
        let mut m = b.plane_map(party, "and", len);
        let (x, y) = (m.bits(x), m.bits(y));
        let z = and_local(&mut m, x, y, zero, 0);
        let z = m.write_planes(&[z]);
        m.finish();
        shares.set(party.0, party, z);
        shares.set(party.0, party.plus(2), b.send(z, party.plus(2), "and"));
    }
    let shares = shares.finish();
    BitShares::from_fn(|j, party| BitSource::Plane(shares.share(j, party).buf, 0))
}

/// `x_i (y_i + y_{i+1}) + x_{i+1} y_i + F(k_i) + F(k_{i+1})`.
fn and_local(m: &mut Map<'_>, x: [Reg; 2], y: [Reg; 2], zero: StreamId, plane: usize) -> Reg {
    let party = m.party();
    let sum = m.xor(y[0], y[1]);
    let (first, second) = (m.and(x[0], sum), m.and(x[1], y[0]));
    let z = m.xor(first, second);
    let (own, next) = (m.prf_plane(party.0, zero, plane), m.prf_plane(party.plus(1).0, zero, plane));
    let z = m.xor(z, own);
    m.xor(z, next)
}

/// Rounds 1 and 2: masked monomials from role 0, halves of G and P between roles 1 and 2.
fn leaves(b: &mut Builder, x: &TwoSummand, window: Window, prefer: Prefer) -> Leaves {
    let Window { from, width } = window;
    let sizes = prefer.blocks(width - 1, x.len);
    let roles = x.roles;
    let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
    let [k0, k1] = [0, 1].map(|j| roles.index(j));
    let (mono_id, half_id) = (b.stream(), b.stream());
    let len = x.len;

    let u = Operand::bits(x.u, (1 << from) - 1, from);
    let mut m = b.plane_map(p0, "sign.monomials", len);
    let mut masked = Vec::new();
    let mut at = 0;
    for size in &sizes {
        let bits: Vec<Reg> = (0..*size as usize).map(|i| m.read_plane(u, at + i)).collect();
        at += *size as usize;
        let mut products: Vec<Reg> = Vec::new();
        for set in 1usize..1 << size {
            let lowest = set & set.wrapping_neg();
            let bit = bits[lowest.trailing_zeros() as usize];
            let product = if set == lowest { bit } else { m.and(products[(set ^ lowest) - 1], bit) };
            products.push(product);
            let mask = m.prf_plane(k1, mono_id, masked.len());
            masked.push(m.xor(product, mask));
        }
    }
    let top_plane = masked.len();
    let top = m.read_plane(u, at);
    let mask = m.prf_plane(k1, mono_id, top_plane);
    masked.push(m.xor(top, mask));
    // What is read in the next round alone is a buffer of its own, which needs no memory besides the message.
    let mono0 = (top_plane > 0).then(|| m.write_planes(&masked[..top_plane]));
    let top0 = m.write_planes(&masked[top_plane..]);
    m.finish();
    let mono2 = mono0.map(|buf| b.send(buf, p2, "monomials"));
    let top2 = b.send(top0, p2, "top");

    // Each of roles 1 and 2 sums its part of the monomials times the coefficients it knows, under its own mask. For later it
    // keeps of V the top bit and the product of each block's bits, but the lowest's.
    let top_kept = sizes.len().saturating_sub(1);
    let [(half1, kept1), (half2, kept2)] = [(p1, x.v[0], None), (p2, x.v[1], mono2)].map(|(party, v, mono)| {
        let v = Operand::bits(v, 0, from);
        let mut m = b.plane_map(party, "sign.halves", len);
        let (mut sums, mut kept) = (Vec::new(), Vec::new());
        for block in layout(&sizes) {
            let monomials: Vec<Reg> = (0..(1 << block.size) - 1)
                .map(|i| block.monomial + i)
                .map(|plane| match mono {
                    Some(buf) => m.read_plane(buf, plane),
                    None => m.prf_plane(k1, mono_id, plane),
                })
                .collect();
            let (g, d) = coefficients(&mut m, v, &block);
            kept.extend(d[0].filter(|_| block.kept.is_some()));
            for (coefficients, plane) in [(g, Some(block.generate)), (d, block.propagate)] {
                let Some(plane) = plane else { continue };
                let terms = monomials.iter().zip(&coefficients[1..]).filter_map(|(mono, c)| c.map(|c| (*mono, c)));
                let mut sum = m.prf_plane(if mono.is_some() { k0 } else { k1 }, half_id, plane);
                for (mono, coefficient) in terms.collect::<Vec<_>>() {
                    let term = m.and(mono, coefficient);
                    sum = m.xor(sum, term);
                }
                debug_assert_eq!(plane, sums.len());
                sums.push(sum);
            }
        }
        kept.push(m.read_plane(v, at));
        debug_assert_eq!(kept.len(), top_kept + 1);
        let sums = (!sums.is_empty()).then(|| m.write_planes(&sums));
        let kept = m.write_planes(&kept);
        m.finish();
        (sums, kept)
    });
    let kept = [kept1, kept2];
    let summand = |plane: usize, kept_plane: usize| {
        let of_role0 = |party: Party| match if party == p0 { (mono0, top0) } else { (mono2, top2) } {
            (Some(monomials), _) if plane < top_plane => BitSource::Plane(monomials, plane),
            (_, top) => BitSource::Plane(top, 0),
        };
        BitShares::from_fn(|j, party| match roles.name(j) {
            0 => of_role0(party),
            1 => BitSource::Stream(mono_id, plane),
            _ => BitSource::Plane(kept[usize::from(party == p2)], kept_plane),
        })
    };
    let top = summand(top_plane, top_kept);
    let (Some(half1), Some(half2)) = (half1, half2) else { return Leaves { blocks: Vec::new(), top } };
    let halves = [half1, half2];
    let received = [b.send(half2, p1, "halves"), b.send(half1, p2, "halves")];
    let share2 = [(p1, 0), (p2, 1)].map(|(party, i)| {
        let mut m = b.plane_map(party, "sign.blocks", len);
        let mut sums = Vec::new();
        for block in layout(&sizes) {
            for plane in std::iter::once(block.generate).chain(block.propagate) {
                let (own, other) = (m.read_plane(halves[i], plane), m.read_plane(received[i], plane));
                let mut sum = m.xor(own, other);
                if let Some(all) = block.kept.filter(|_| Some(plane) == block.propagate) {
                    let all = m.read_plane(kept[i], all);
                    sum = m.xor(sum, all);
                }
                sums.push(sum);
            }
        }
        let sums = m.write_planes(&sums);
        m.finish();
        sums
    });
    let exchanged = |plane: usize| {
        BitShares::from_fn(|j, party| match roles.name(j) {
            0 | 1 => BitSource::Stream(half_id, plane),
            _ => BitSource::Plane(share2[usize::from(party == p2)], plane),
        })
    };
    let blocks = layout(&sizes)
        .into_iter()
        .map(|block| Block {
            generate: exchanged(block.generate),
            propagate: match block.propagate {
                Some(plane) => Some(exchanged(plane)),
                None => block.kept.map(|kept| summand(block.monomial, kept)),
            },
        })
        .collect();
    Leaves { blocks, top }
}

/// Where a block's planes lie.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// First bit position.
    position: usize,
    /// Positions.
    size: usize,
    /// Plane of its first monomial.
    monomial: usize,
    /// Plane of G in the exchanged halves.
    generate: usize,
    /// Plane of P, when it is exchanged: not for the lowest block, nor for single positions, where P is `u xor v`.
    propagate: Option<usize>,
    /// Plane of the product of V's bits in what roles 1 and 2 keep: not for the lowest block.
    kept: Option<usize>,
}

fn layout(sizes: &[u32]) -> Vec<Layout> {
    let (mut position, mut monomial, mut plane) = (0, 0, 0);
    let mut blocks = Vec::new();
    for (number, size) in sizes.iter().map(|s| *s as usize).enumerate() {
        let propagate = (number > 0 && size > 1).then_some(plane + 1);
        let kept = number.checked_sub(1);
        blocks.push(Layout { position, size, monomial, generate: plane, propagate, kept });
        position += size;
        monomial += (1 << size) - 1;
        plane += 1 + usize::from(propagate.is_some());
    }
    blocks
}

/// The coefficients b_S of G and d_S of P by subset S (bit i of the index: position i), one position at a time.
fn coefficients(m: &mut Map<'_>, v: Operand, block: &Layout) -> (Vec<Option<Reg>>, Vec<Option<Reg>>) {
    let ones = m.imm(u64::MAX);
    let mut g: Vec<Option<Reg>> = vec![None];
    let mut p: Vec<Option<Reg>> = vec![Some(ones)];
    for i in 0..block.size {
        let vi = m.read_plane(v, block.position + i);
        let times_v = |m: &mut Map<'_>, c: &Option<Reg>| c.map(|c| if c == ones { vi } else { m.and(vi, c) });
        let mut next_g: Vec<Option<Reg>> = g.iter().map(|c| times_v(m, c)).collect();
        next_g.extend(g.iter().copied());
        let single = &mut next_g[1 << i];
        *single = Some(single.map_or(vi, |c| m.xor(c, vi)));
        let mut next_p: Vec<Option<Reg>> = p.iter().map(|c| times_v(m, c)).collect();
        next_p.extend(p.iter().copied());
        (g, p) = (next_g, next_p);
    }
    (g, p)
}

/// What is left of the carry tree when at most one AND is missing.
enum Tree {
    Empty,
    Single(Block),
    Pair(Block, Block),
}

/// Combines neighbours, least significant first, until two blocks are left. 3 bits an AND, one round a level.
fn tree(b: &mut Builder, mut blocks: Vec<Block>, len: usize) -> Tree {
    while blocks.len() > 2 {
        let zero = b.stream();
        let pairs = blocks.len() / 2;
        let planes: usize = blocks.chunks_exact(2).map(|pair| 1 + usize::from(pair[0].propagate.is_some())).sum();
        let mut shares = Assembly::default();
        for party in Party::ALL {
            let mut m = b.plane_map(party, "sign.tree", len);
            let mut sums = Vec::with_capacity(planes);
            for pair in blocks.chunks_exact(2) {
                let (lo, hi) = (&pair[0], &pair[1]);
                let p = m.bits(hi.propagate.as_ref().expect("only the lowest block has no propagate"));
                let (g, carry) = (m.bits(&hi.generate), m.bits(&lo.generate));
                let z = and_local(&mut m, p, carry, zero, sums.len());
                sums.push(m.xor(z, g[0]));
                if let Some(lower) = &lo.propagate {
                    let lower = m.bits(lower);
                    let z = and_local(&mut m, p, lower, zero, sums.len());
                    sums.push(z);
                }
            }
            let z = m.write_planes(&sums);
            m.finish();
            shares.set(party.0, party, z);
            shares.set(party.0, party.plus(2), b.send(z, party.plus(2), "and"));
        }
        let shares = shares.finish();
        let at = |plane| BitShares::from_fn(|j, party| BitSource::Plane(shares.share(j, party).buf, plane));
        let mut next = Vec::with_capacity(pairs + 1);
        let mut plane = 0;
        for pair in blocks.chunks_exact(2) {
            let propagate = pair[0].propagate.is_some().then(|| at(plane + 1));
            next.push(Block { generate: at(plane), propagate });
            plane += 1 + usize::from(propagate.is_some());
        }
        next.extend(blocks.chunks_exact(2).remainder());
        blocks = next;
    }
    match blocks.as_slice() {
        [] => Tree::Empty,
        [one] => Tree::Single(*one),
        [lo, hi, ..] => Tree::Pair(*lo, *hi),
    }
}

/// Each party's summand of `G_hi + P_hi G_lo + extra`, not yet sent.
fn last_and(b: &mut Builder, lo: &Block, hi: &Block, extra: &[BitShares], len: usize) -> [BufId; 3] {
    let zero = b.stream();
    Party::ALL.map(|party| {
        let mut m = b.plane_map(party, "sign.last", len);
        let p = m.bits(hi.propagate.as_ref().expect("only the lowest block has no propagate"));
        let (g, carry) = (m.bits(&hi.generate), m.bits(&lo.generate));
        let z = and_local(&mut m, p, carry, zero, 0);
        let mut z = m.xor(z, g[0]);
        for bit in extra {
            let own = m.bits(bit)[0];
            z = m.xor(z, own);
        }
        let z = m.write_planes(&[z]);
        m.finish();
        z
    })
}

/// The sum of everybody's summands, at each party.
fn xor_received(b: &mut Builder, own: &[BufId; 3], others: &[[BufId; 2]; 3], len: usize) -> [BufId; 3] {
    Party::ALL.map(|party| {
        let i = party.index();
        let mut m = b.plane_map(party, "open.sum", len);
        let (z, first, second) =
            (m.read_plane(own[i], 0), m.read_plane(others[i][0], 0), m.read_plane(others[i][1], 0));
        let sum = m.xor(z, first);
        let sum = m.xor(sum, second);
        let c = m.write_planes(&[sum]);
        m.finish();
        c
    })
}
