//! Truncation without gross errors: `floor(z / 2^f) + [V mod 2^f < z mod 2^f]` from two-summand form.
//!
//! K + 3f bits in 2 rounds; role 0's message needs nothing from the others. For `-2^(K-2) - 2^f < z <= 2^(K-2) - 2^f` and
//! `1 <= f <= K - 2` the error is 0 or 1 unit in the last place, unbiased for uniform V, 0 on multiples of `2^f`. The
//! offset keeps `u + V` below `2^(K-1)`, so its wrap is the OR of the top bits.
//!
//! Security: each message is a value plus a fresh stream that its receiver lacks, so a simulator draws it at random. The
//! rounding bit is a function of V (known to two parties) and of the secret; it stays shared.

use super::{Assembly, Shares, TwoSummand};
use crate::plan::Reg;
use crate::plan::build::{Builder, Map};

/// Bits of the messages modulo `2^f`: at least 2, because buffers of 1-bit elements are planes.
fn wide(f: u32) -> u32 {
    f.max(2)
}

/// `top bit of u` and `(u >> f) - top * 2^(K-f)` for a value reduced modulo 2^K.
fn split(m: &mut Map<'_>, u: Reg, f: u32) -> (Reg, Reg) {
    let ring = m.ring();
    let u = m.low(u, ring);
    let top = m.shr(u, ring - 1);
    let (high, wrap) = (m.shr(u, f), m.shl(top, ring - f));
    (top, m.sub(high, wrap))
}

/// Replicated shares of z truncated by `f` bits.
pub fn truncate(b: &mut Builder, z: &TwoSummand, f: u32) -> Shares {
    let ring = b.ring();
    let [p0, p1, p2] = [0, 1, 2].map(|r| z.roles.party(r));
    let [s0, s1, s2] = [0, 1, 2].map(|j| z.roles.index(j));
    let [t_id, s_id, tau_id] = [b.stream(), b.stream(), b.stream()];
    let len = z.len;
    let mut shares = Assembly::default();

    // Role 0, round 1: D = (u >> f) - u_m 2^(K-f) - t and E = u_m - s; it knows shares 0 and 1 of the result at once.
    let mut m = b.ring_map(p0, "truncate.p0", len);
    let (u, offset) = (m.read(z.u), m.imm((1 << (ring - 2)) + (1 << f) - 1));
    let u = m.add(u, offset);
    let (top, high) = split(&mut m, u, f);
    let (t, s) = (m.prf(s1, t_id, ring), m.prf(s1, s_id, wide(f)));
    let d = m.sub(high, t);
    let e = m.sub(top, s);
    let (d_buf, e) = (m.write(d, ring), m.write(e, wide(f)));
    let c0 = share0(&mut m, d, s0, tau_id, f);
    let c1 = share1(&mut m, t, s1, tau_id, f);
    shares.set(s0, p0, m.write(c0, ring));
    shares.set(s1, p0, m.write(c1, ring));
    m.finish();
    let (d, e) = (b.send(d_buf, p2, "D"), b.send(e, p2, "E"));

    // Round 2: P1 -> P2: s v_m - tau_1, P2 -> P1: E v_m - tau_0.
    let mut m = b.ring_map(p1, "truncate.p1", len);
    let v = m.read(z.v[0]);
    let (top, high) = split(&mut m, v, f);
    let (s, tau1) = (m.prf(s1, s_id, wide(f)), m.prf(s1, tau_id, wide(f)));
    let q1 = m.mul(s, top);
    let q1 = m.sub(q1, tau1);
    let (q1, high1) = (m.write(q1, wide(f)), m.write(high, ring));
    m.finish();
    let mut m = b.ring_map(p1, "truncate.p1.share1", len);
    let t = m.prf(s1, t_id, ring);
    let c1 = share1(&mut m, t, s1, tau_id, f);
    shares.set(s1, p1, m.write(c1, ring));
    m.finish();

    let mut m = b.ring_map(p2, "truncate.p2", len);
    let (v, e) = (m.read(z.v[1]), m.read(e));
    let (top, high) = split(&mut m, v, f);
    let tau0 = m.prf(s0, tau_id, wide(f));
    let q2 = m.mul(e, top);
    let q2 = m.sub(q2, tau0);
    let (q2, high2) = (m.write(q2, wide(f)), m.write(high, ring));
    let d = m.read(d);
    let c0 = share0(&mut m, d, s0, tau_id, f);
    shares.set(s0, p2, m.write(c0, ring));
    m.finish();

    let others = [b.send(q2, p1, "q2"), b.send(q1, p2, "q1")];
    for (party, own, other, high) in [(p1, q1, others[0], high1), (p2, q2, others[1], high2)] {
        let mut m = b.ring_map(party, "truncate.share2", len);
        let (own, other, high) = (m.read(own), m.read(other), m.read(high));
        let q = m.add(own, other);
        let q = m.shl(q, ring - f);
        let c2 = m.add(high, q);
        shares.set(s2, party, m.write(c2, ring));
        m.finish();
    }
    shares.finish()
}

/// `c_0 = D + 2^(K-f) tau_0 - 2^(K-2-f)`.
fn share0(m: &mut Map<'_>, d: Reg, k0: u8, tau: crate::plan::build::StreamId, f: u32) -> Reg {
    let ring = m.ring();
    let tau0 = m.prf(k0, tau, wide(f));
    let tau0 = m.shl(tau0, ring - f);
    let offset = m.imm(1 << (ring - 2 - f));
    let c0 = m.add(d, tau0);
    m.sub(c0, offset)
}

/// `c_1 = t + 2^(K-f) tau_1`.
fn share1(m: &mut Map<'_>, t: Reg, k1: u8, tau: crate::plan::build::StreamId, f: u32) -> Reg {
    let ring = m.ring();
    let tau1 = m.prf(k1, tau, wide(f));
    let tau1 = m.shl(tau1, ring - f);
    m.add(t, tau1)
}
