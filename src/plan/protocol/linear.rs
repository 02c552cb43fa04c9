//! Products of two shared tensors, and the ways from one summand a party to other forms.
//!
//! `z_i = x_i (y_i + y_{i+1}) + x_{i+1} y_i`: two products a party, or one for twice the result. Then either 2K bits to two-summand form (before a
//! truncation) or 3K bits to replicated shares; one round each. Source: Araki et al., CCS 2016; the two-summand form
//! after Mohassel and Rindal, CCS 2018 (ABY3), section 5.

use super::{Additive, Assembly, Roles, Shares, TwoSummand, local};
use crate::plan::build::Builder;
use crate::plan::{BufId, Kernel, Party, Product};

/// Elementwise product, local part.
pub fn multiply(b: &mut Builder, x: &Shares, y: &Shares, len: usize) -> Additive {
    let operands = [x.at[0], x.at[1], y.at[0], y.at[1]];
    local::each_summand(b, "multiply", len, &operands, |m, _, r| {
        let sum = m.add(r[2], r[3]);
        let (a, c) = (m.mul(r[0], sum), m.mul(r[1], r[2]));
        m.add(a, c)
    })
}

/// Matrix product or convolution, local part. `y` is the operand whose two shares are added first (the smaller one).
pub fn product(b: &mut Builder, product: &Product, x: &Shares, y: &Shares, sizes: [usize; 3]) -> Additive {
    let [x_len, y_len, out_len] = sizes;
    let (x, y) = (local::dense_shares(b, x, x_len), local::dense_shares(b, y, y_len));
    // Symmetric in x and y, so the sum is taken on whichever side is smaller.
    let sum_left = x_len < y_len;
    let (summed, summed_len) = if sum_left { (&x, x_len) } else { (&y, y_len) };
    let sums =
        local::each_summand(b, "product.sum", summed_len, &[summed.at[0], summed.at[1]], |m, _, r| m.add(r[0], r[1]));
    Additive(Party::ALL.map(|party| {
        let i = party.index();
        let (x, y) = (x.at.map(|row| row[i].buf), y.at.map(|row| row[i].buf));
        let sum = sums.0[i];
        let ins: [BufId; 4] = if sum_left { [sum, y[0], x[0], y[1]] } else { [x[0], sum, x[1], y[0]] };
        b.launch(party, Kernel::Product(product.clone()), &ins, out_len)
    }))
}

/// Twice a matrix product or convolution, local part: one product a party, of what it knows of either factor.
///
/// `2 x y = (x_0 + 2 x_1)(y_0 + 2 y_1) + (2 x_1 - 2 x_2)(y_2 - y_1) + (2 x_2 + x_0)(2 y_2 + y_0)`: the nine `x_i y_j` count
/// twice each. Three products that each party could compute do not make `x y` itself modulo a power of two: of a number and
/// its difference to 1, which would have to be units, one is even.
///
/// A factor that is an input for nothing else (`alone`: which of the two) is summed once, for all runs on it.
pub fn double_product(
    b: &mut Builder,
    product: &Product,
    (x, y): (&Shares, &Shares),
    alone: [bool; 2],
    sizes: [usize; 3],
) -> Additive {
    let [x_len, y_len, out_len] = sizes;
    let (x, y) = (local::dense_shares(b, x, x_len), local::dense_shares(b, y, y_len));
    let factors: [[[i8; 2]; 2]; 3] = [[[1, 2], [1, 2]], [[2, -2], [-1, 1]], [[2, 1], [2, 1]]];
    Additive(Party::ALL.map(|party| {
        let i = party.index();
        let mut factors = factors[i];
        let mut ins = Vec::new();
        for (((side, len), alone), factor) in [(&x, x_len), (&y, y_len)].into_iter().zip(alone).zip(&mut factors) {
            let terms = side.at.map(|row| row[i].buf);
            if alone {
                ins.push(sum_once(b, party, terms, *factor, len));
                *factor = [1, 0];
            } else {
                ins.extend(terms);
            }
        }
        b.launch(party, Kernel::ProductOfSums(product.clone(), factors), &ins, out_len)
    }))
}

/// `a x + b y` of a party's two shares of an input, for all runs on it.
fn sum_once(b: &mut Builder, party: Party, terms: [BufId; 2], factors: [i8; 2], len: usize) -> BufId {
    let ring = b.ring();
    let mut m = b.ring_map(party, "product.factor", len);
    let [x, y] = [0, 1].map(|at| {
        let (x, factor) = (m.read(terms[at]), m.imm(i64::from(factors[at]) as u64));
        m.mul(x, factor)
    });
    let sum = m.add(x, y);
    let out = m.write(sum, ring);
    m.finish_once();
    out
}

/// One summand a party -> replicated shares. 3K bits, 1 round: `z_i + F(k_i) - F(k_{i+1})` to party i - 1.
pub fn reshare(b: &mut Builder, z: &Additive, len: usize) -> Shares {
    let (ring, id) = (b.ring(), b.stream());
    let mut shares = Assembly::default();
    for party in Party::ALL {
        let next = party.plus(1);
        let mut m = b.ring_map(party, "reshare", len);
        let z = m.read(z.0[party.index()]);
        let (own, other) = (m.prf(party.0, id, ring), m.prf(next.0, id, ring));
        let sum = m.add(z, own);
        let sum = m.sub(sum, other);
        let sum = m.write(sum, ring);
        m.finish();
        shares.set(party.0, party, sum);
        shares.set(party.0, party.plus(2), b.send(sum, party.plus(2), "reshare"));
    }
    shares.finish()
}

/// One summand a party -> two-summand form modulo `2^ring`. 2 `ring` bits, 1 round; role 0 has U without a message.
///
/// P1 -> P2: `z_1 + F(k_1)`, P2 -> P1: `z_2 - F(k_0)`; their sum is V, and `U = z_0 + F(k_0) - F(k_1)`.
///
/// Of twice a number, the form is of the number itself, modulo `2^(ring - 1)`: U and V are both even or both odd, and
/// `floor(U / 2) + ceil(V / 2)` is half their sum.
pub fn to_two_summand(b: &mut Builder, z: &Additive, twice: bool, ring: u32, roles: Roles, len: usize) -> TwoSummand {
    let id = b.stream();
    let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
    let [k0, k1] = [0, 1].map(|j| roles.index(j));

    let mut m = b.ring_map(p0, "summand.u", len);
    let z0 = m.read(z.0[p0.index()]);
    let (f0, f1) = (m.prf(k0, id, ring), m.prf(k1, id, ring));
    let u = m.add(z0, f0);
    let u = m.sub(u, f1);
    let half = ring - u32::from(twice);
    let u = if twice {
        let u = m.low(u, ring);
        m.shr(u, 1)
    } else {
        u
    };
    let u = m.write(u, half);
    m.finish();

    let mut m = b.ring_map(p1, "summand.v1", len);
    let (z1, f1) = (m.read(z.0[p1.index()]), m.prf(k1, id, ring));
    let v1 = m.add(z1, f1);
    let v1 = m.write(v1, ring);
    m.finish();
    let mut m = b.ring_map(p2, "summand.v2", len);
    let (z2, f0) = (m.read(z.0[p2.index()]), m.prf(k0, id, ring));
    let v2 = m.sub(z2, f0);
    let v2 = m.write(v2, ring);
    m.finish();

    let received = [b.send(v2, p1, "v2"), b.send(v1, p2, "v1")];
    let v = [(p1, v1, received[0]), (p2, v2, received[1])].map(|(party, own, other)| {
        let mut m = b.ring_map(party, "summand.v", len);
        let (own, other) = (m.read(own), m.read(other));
        let v = m.add(own, other);
        let v = if twice {
            let v = m.low(v, ring);
            let odd = m.low(v, 1);
            let floor = m.shr(v, 1);
            m.add(floor, odd)
        } else {
            v
        };
        let v = m.write(v, half);
        m.finish();
        v
    });
    TwoSummand { ring: half, roles, u, v, len }
}
