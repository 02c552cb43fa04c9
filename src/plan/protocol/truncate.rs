//! Truncation without gross errors: `floor(z / 2^f) + [V mod 2^f < z mod 2^f]` from two-summand form.
//!
//! The summands may be of a ring of R <= K bits; the result is of the full one. K + 3 (K - R + f) bits in 2 rounds, which
//! is K + 3f for R = K; role 0's message needs nothing from the others. For `-2^(R-2) - 2^f < z <= 2^(R-2) - 2^f` and
//! `1 <= f <= R - 2` the error is 0 or 1 unit in the last place, unbiased for uniform V, 0 on multiples of `2^f`. The
//! offset keeps `u + V` below `2^(R-1)`, so its wrap is the OR of the top bits.
//!
//! Security: each message is a value plus a fresh stream that its receiver lacks, so a simulator draws it at random. The
//! rounding bit is a function of V (known to two parties) and of the secret; it stays shared.

use super::{Assembly, Shares, TwoSummand};
use crate::plan::Reg;
use crate::plan::build::{Builder, Map, StreamId};

/// Sizes of one truncation.
#[derive(Clone, Copy)]
struct Bits {
    /// Of the ring of the summands.
    from: u32,
    /// Dropped.
    drop: u32,
    /// Of the ring of the result.
    ring: u32,
}

impl Bits {
    /// Bits that are left: the wrap of the summands counts `2^high`.
    fn high(self) -> u32 {
        self.from - self.drop
    }

    /// Bits of the messages modulo `2^(ring - high)`: at least 2, because buffers of 1-bit elements are planes.
    fn wide(self) -> u32 {
        (self.ring - self.high()).max(2)
    }

    /// `top bit of u` and `(u >> f) - top * 2^high` for a value reduced modulo `2^from`.
    fn split(self, m: &mut Map<'_>, u: Reg) -> (Reg, Reg) {
        let u = m.low(u, self.from);
        let top = m.shr(u, self.from - 1);
        let (high, wrap) = (m.shr(u, self.drop), m.shl(top, self.high()));
        (top, m.sub(high, wrap))
    }

    /// `c_0 = D + 2^high tau_0 - 2^(R-2-f)`.
    fn share0(self, m: &mut Map<'_>, d: Reg, k0: u8, tau: StreamId) -> Reg {
        let tau0 = m.prf(k0, tau, self.wide());
        let tau0 = m.shl(tau0, self.high());
        let offset = m.imm(1 << (self.high() - 2));
        let c0 = m.add(d, tau0);
        m.sub(c0, offset)
    }

    /// `c_1 = t + 2^high tau_1`.
    fn share1(self, m: &mut Map<'_>, t: Reg, k1: u8, tau: StreamId) -> Reg {
        let tau1 = m.prf(k1, tau, self.wide());
        let tau1 = m.shl(tau1, self.high());
        m.add(t, tau1)
    }
}

/// Replicated shares of z truncated by `f` bits.
pub fn truncate(b: &mut Builder, z: &TwoSummand, f: u32) -> Shares {
    let ring = b.ring();
    let bits = Bits { from: z.ring, drop: f, ring };
    let [p0, p1, p2] = [0, 1, 2].map(|r| z.roles.party(r));
    let [s0, s1, s2] = [0, 1, 2].map(|j| z.roles.index(j));
    let [t_id, s_id, tau_id] = [b.stream(), b.stream(), b.stream()];
    let len = z.len;
    let mut shares = Assembly::default();

    // Role 0, round 1: D = (u >> f) - u_m 2^(K-f) - t and E = u_m - s; it knows shares 0 and 1 of the result at once.
    let mut m = b.ring_map(p0, "truncate.p0", len);
    let (u, offset) = (m.read(z.u), m.imm((1 << (z.ring - 2)) + (1 << f) - 1));
    let u = m.add(u, offset);
    let (top, high) = bits.split(&mut m, u);
    let (t, s) = (m.prf(s1, t_id, ring), m.prf(s1, s_id, bits.wide()));
    let d = m.sub(high, t);
    let e = m.sub(top, s);
    let (d_buf, e) = (m.write(d, ring), m.write(e, bits.wide()));
    let c0 = bits.share0(&mut m, d, s0, tau_id);
    let c1 = bits.share1(&mut m, t, s1, tau_id);
    shares.set(s0, p0, m.write(c0, ring));
    shares.set(s1, p0, m.write(c1, ring));
    m.finish();
    let (d, e) = (b.send(d_buf, p2, "D"), b.send(e, p2, "E"));

    // Round 2: P1 -> P2: s v_m - tau_1, P2 -> P1: E v_m - tau_0.
    let mut m = b.ring_map(p1, "truncate.p1", len);
    let v = m.read(z.v[0]);
    let (top, high) = bits.split(&mut m, v);
    let (s, tau1) = (m.prf(s1, s_id, bits.wide()), m.prf(s1, tau_id, bits.wide()));
    let q1 = m.mul(s, top);
    let q1 = m.sub(q1, tau1);
    let (q1, high1) = (m.write(q1, bits.wide()), m.write(high, ring));
    m.finish();
    let mut m = b.ring_map(p1, "truncate.p1.share1", len);
    let t = m.prf(s1, t_id, ring);
    let c1 = bits.share1(&mut m, t, s1, tau_id);
    shares.set(s1, p1, m.write(c1, ring));
    m.finish();

    let mut m = b.ring_map(p2, "truncate.p2", len);
    let (v, e) = (m.read(z.v[1]), m.read(e));
    let (top, high) = bits.split(&mut m, v);
    let tau0 = m.prf(s0, tau_id, bits.wide());
    let q2 = m.mul(e, top);
    let q2 = m.sub(q2, tau0);
    let (q2, high2) = (m.write(q2, bits.wide()), m.write(high, ring));
    let d = m.read(d);
    let c0 = bits.share0(&mut m, d, s0, tau_id);
    shares.set(s0, p2, m.write(c0, ring));
    m.finish();

    let others = [b.send(q2, p1, "q2"), b.send(q1, p2, "q1")];
    for (party, own, other, high) in [(p1, q1, others[0], high1), (p2, q2, others[1], high2)] {
        let mut m = b.ring_map(party, "truncate.share2", len);
        let (own, other, high) = (m.read(own), m.read(other), m.read(high));
        let q = m.add(own, other);
        let q = m.shl(q, bits.high());
        let c2 = m.add(high, q);
        shares.set(s2, party, m.write(c2, ring));
        m.finish();
    }
    shares.finish()
}
