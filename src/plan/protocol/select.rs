//! Multiplying by a secret bit that was opened under a random mask: ReLU, select, maximum.
//!
//! For `b = c xor r` with c public, `x b = c x + (1 - 2c) x r` is local once `x r` is known, and `x r` needs no b: it hides
//! behind the carry tree. With `e = r0 xor r1` (role 0), `g = r2` (roles 1, 2) and x = U + V:
//! `x r = U e + V g + g (U - 2 U e) + e V (1 - 2g)`. 4K bits: role 0 sends `U e - t` and `e - s`; roles 1 and 2 exchange
//! one masked summand each. The pair for e serves any number of tensors under the same bit (3K bits each).

use super::sign::Opened;
use super::{Assembly, BitShares, Roles, Shares};
use crate::plan::build::{Builder, Map, StreamId};
use crate::plan::{BufId, Party, Reg};

/// The random bit of an opening in the forms that products need.
#[derive(Clone, Copy, Debug)]
pub struct RandomBit {
    roles: Roles,
    /// e as a plane at role 0.
    e: BufId,
    /// g as a plane at roles 1 and 2.
    g: [BufId; 2],
    /// The stream of s: e is shared between role 1 (s) and role 2 (n = e - s).
    s: StreamId,
    /// n at role 2.
    n: BufId,
    len: usize,
}

impl RandomBit {
    /// Prepares e, g and the pair (s, n) for the stream `r`. K bits, no input.
    pub fn prepare(b: &mut Builder, r: StreamId, roles: Roles, len: usize) -> RandomBit {
        let ring = b.ring();
        let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
        let bits = BitShares::random(r);
        let mut m = b.plane_map(p0, "random_bit.e", len);
        let [r0, r1] = m.bits(&bits);
        let e = m.xor(r0, r1);
        let e = m.write_planes(&[e]);
        m.finish();
        let g = [p1, p2].map(|party| {
            let mut m = b.plane_map(party, "random_bit.g", len);
            let r2 = m.prf_plane(roles.index(2), r, 0);
            let g = m.write_planes(&[r2]);
            m.finish();
            g
        });
        let s = b.stream();
        let mut m = b.ring_map(p0, "random_bit.n", len);
        let (bit, mask) = (m.bit(e, 0), m.prf(roles.index(1), s, ring));
        let n = m.sub(bit, mask);
        let n = m.write(n, ring);
        m.finish();
        let n = b.send(n, p2, "n");
        RandomBit { roles, e, g, s, n, len }
    }

    /// `[r]` in arithmetic form: `r = e + g (1 - 2e)`. 2K bits, 1 round.
    pub fn arithmetic(&self, b: &mut Builder) -> Shares {
        let ring = b.ring();
        let roles = self.roles;
        let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
        let [k0, k1, k2] = [0, 1, 2].map(|j| roles.index(j));
        let tau = b.stream();
        let mut shares = Assembly::default();

        // y1 = g - 2 g s - tau_1 and y2 = - 2 g n - tau_0; share 0 is n + tau_0, share 1 is s + tau_1.
        let mut m = b.ring_map(p0, "random_bit.p0", self.len);
        let (e, s) = (m.bit(self.e, 0), m.prf(k1, self.s, ring));
        let n = m.sub(e, s);
        let (tau0, tau1) = (m.prf(k0, tau, ring), m.prf(k1, tau, ring));
        let (share0, share1) = (m.add(n, tau0), m.add(s, tau1));
        shares.set(k0, p0, m.write(share0, ring));
        shares.set(k1, p0, m.write(share1, ring));
        m.finish();

        let mut m = b.ring_map(p1, "random_bit.p1", self.len);
        let (g, s, tau1) = (m.bit(self.g[0], 0), m.prf(k1, self.s, ring), m.prf(k1, tau, ring));
        let gs = m.mul(g, s);
        let twice = m.shl(gs, 1);
        let y1 = m.sub(g, twice);
        let y1 = m.sub(y1, tau1);
        let y1 = m.write(y1, ring);
        let share1 = m.add(s, tau1);
        shares.set(k1, p1, m.write(share1, ring));
        m.finish();

        let mut m = b.ring_map(p2, "random_bit.p2", self.len);
        let (g, n, tau0) = (m.bit(self.g[1], 0), m.read(self.n), m.prf(k0, tau, ring));
        let gn = m.mul(g, n);
        let twice = m.shl(gn, 1);
        let zero = m.imm(0);
        let y2 = m.sub(zero, twice);
        let y2 = m.sub(y2, tau0);
        let y2 = m.write(y2, ring);
        let share0 = m.add(n, tau0);
        shares.set(k0, p2, m.write(share0, ring));
        m.finish();

        for (party, part) in exchange(b, [p1, p2], [y1, y2], self.len) {
            shares.set(k2, party, part);
        }
        shares.finish()
    }

    /// `x r`. 3K bits; role 0's message in its first round, the exchange when x is there.
    pub fn times(&self, b: &mut Builder, x: &Shares) -> Shares {
        let ring = b.ring();
        let roles = self.roles;
        let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
        let [k0, k1, k2] = [0, 1, 2].map(|j| roles.index(j));
        let (t, tau) = (b.stream(), b.stream());
        let mut shares = Assembly::default();

        // Role 0: m = U e - t; shares 0 and 1 are m + tau_0 and t + tau_1.
        let mut m = b.ring_map(p0, "times_bit.p0", self.len);
        let (x0, x1, e) = (m.read(x.share(k0, p0)), m.read(x.share(k1, p0)), m.bit(self.e, 0));
        let u = m.add(x0, x1);
        let ue = m.mul(u, e);
        let mask = m.prf(k1, t, ring);
        let half = m.sub(ue, mask);
        let half_buf = m.write(half, ring);
        let (tau0, tau1) = (m.prf(k0, tau, ring), m.prf(k1, tau, ring));
        let (share0, share1) = (m.add(half, tau0), m.add(mask, tau1));
        shares.set(k0, p0, m.write(share0, ring));
        shares.set(k1, p0, m.write(share1, ring));
        m.finish();
        let half = b.send(half_buf, p2, "m");

        // P1 -> P2: g (V + x1 - 2t) + s Q - tau_1 with Q = V (1 - 2g).
        let mut m = b.ring_map(p1, "times_bit.p1", self.len);
        let (g, v, x1) = (m.bit(self.g[0], 0), m.read(x.share(k2, p1)), m.read(x.share(k1, p1)));
        let (t_word, s, tau1) = (m.prf(k1, t, ring), m.prf(k1, self.s, ring), m.prf(k1, tau, ring));
        let sum = m.add(v, x1);
        let y1 = summand(&mut m, [g, v, sum, t_word, s, tau1]);
        let y1 = m.write(y1, ring);
        let share1 = m.add(t_word, tau1);
        shares.set(k1, p1, m.write(share1, ring));
        m.finish();

        // P2 -> P1: g (x0 - 2m) + n Q - tau_0.
        let mut m = b.ring_map(p2, "times_bit.p2", self.len);
        let (g, v, x0) = (m.bit(self.g[1], 0), m.read(x.share(k2, p2)), m.read(x.share(k0, p2)));
        let (half, n, tau0) = (m.read(half), m.read(self.n), m.prf(k0, tau, ring));
        let y2 = summand(&mut m, [g, v, x0, half, n, tau0]);
        let y2 = m.write(y2, ring);
        let share0 = m.add(half, tau0);
        shares.set(k0, p2, m.write(share0, ring));
        m.finish();

        for (party, part) in exchange(b, [p1, p2], [y1, y2], self.len) {
            shares.set(k2, party, part);
        }
        shares.finish()
    }
}

/// `g (a - 2h) + q (V - 2 g V) - tau`.
fn summand(m: &mut Map<'_>, [g, v, a, h, q, tau]: [Reg; 6]) -> Reg {
    let twice = m.shl(h, 1);
    let inner = m.sub(a, twice);
    let first = m.mul(g, inner);
    let gv = m.mul(g, v);
    let twice = m.shl(gv, 1);
    let signed = m.sub(v, twice);
    let second = m.mul(q, signed);
    let sum = m.add(first, second);
    m.sub(sum, tau)
}

/// Roles 1 and 2 send each other their masked summands; both learn the sum.
fn exchange(b: &mut Builder, parties: [Party; 2], own: [BufId; 2], len: usize) -> [(Party, BufId); 2] {
    let received = [b.send(own[1], parties[0], "y2"), b.send(own[0], parties[1], "y1")];
    [0, 1].map(|i| {
        let ring = b.ring();
        let mut m = b.ring_map(parties[i], "share2", len);
        let (own, other) = (m.read(own[i]), m.read(received[i]));
        let sum = m.add(own, other);
        let sum = m.write(sum, ring);
        m.finish();
        (parties[i], sum)
    })
}

/// Which way an opened bit chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choose {
    /// x where the bit is 1, 0 elsewhere.
    Set,
    /// x where the bit is 0, 0 elsewhere.
    Clear,
}

/// `base + x b` (or `base + x (1 - b)`) from the opened c and `x r`: local.
pub fn choose(
    b: &mut Builder,
    bit: &Opened,
    way: Choose,
    x: &Shares,
    xr: &Shares,
    base: Option<&Shares>,
    len: usize,
) -> Shares {
    let ring = b.ring();
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        let i = party.index();
        let mut m = b.ring_map(party, "choose", len);
        let c = m.bit(bit.c[i], 0);
        let c = if way == Choose::Clear {
            let one = m.imm(1);
            m.xor(c, one)
        } else {
            c
        };
        // b = c xor r, so x b = c x + (1 - 2c) x r; for the complement, c is flipped and r stays.
        let one = m.imm(1);
        let twice = m.shl(c, 1);
        let factor = m.sub(one, twice);
        for (part, row) in at.iter_mut().enumerate() {
            let (x, xr) = (m.read(x.at[part][i]), m.read(xr.at[part][i]));
            let (cx, rest) = (m.mul(c, x), m.mul(factor, xr));
            let mut sum = m.add(cx, rest);
            if let Some(base) = base {
                let base = m.read(base.at[part][i]);
                sum = m.add(sum, base);
            }
            row[i] = m.write(sum, ring);
        }
        m.finish();
    }
    Shares::dense(at)
}

/// The opened bit itself as a ring element: `c + (1 - 2c) [r]`; local once `[r]` is there.
pub fn bit_to_ring(b: &mut Builder, bit: &Opened, r: &Shares, len: usize) -> Shares {
    let ring = b.ring();
    let mut at = [[BufId(0); 3]; 2];
    for party in Party::ALL {
        let i = party.index();
        let mut m = b.ring_map(party, "bit_to_ring", len);
        let (c, one) = (m.bit(bit.c[i], 0), m.imm(1));
        let twice = m.shl(c, 1);
        let factor = m.sub(one, twice);
        for (part, row) in at.iter_mut().enumerate() {
            let r = m.read(r.at[part][i]);
            let mut value = m.mul(factor, r);
            if party.plus(part as u8) == Party(0) {
                value = m.add(value, c);
            }
            row[i] = m.write(value, ring);
        }
        m.finish();
    }
    Shares::dense(at)
}
