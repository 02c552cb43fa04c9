//! Functions of one number by pieces, read from its two summands: the exponential in 3 rounds, smooth functions on an
//! interval in 4.
//!
//! The interval is cut into pieces of `2^q` units. With U moved by the interval's start, `U = 2^q h + u`, `V = 2^q k + v`
//! and p = h + k, the number lies `u + v` units beyond the start of piece p: in it, or in the next one, as `u + v` is below
//! `2 * 2^q`. So no carry is needed if what is known of a piece holds for twice its width. A function that is a sum of
//! products `phi_a(u) g_a(p, v)` is then bilinear between role 0 and the others: role 0 sends M words that are 0 but for
//! place h, masked; roles 1 and 2 turn them round by k and sum `g_a(p, v)` over them, each a summand of its own.
//!
//! [`exponential`]: `e^x = e^(u-1) e^v e^(p+1)`. The place holds `e^(u-1)`, which is at most 1, so that it adds nothing to
//! the rounding of what it is multiplied by, and the sums are the result's summands. M + 2 words of R bits, and a truncation.
//!
//! [`polynomials`]: `(u + v)^d` is a sum of `u^a v^(d-a)`. The place holds 1; the sums G_a of roles 1 and 2, masked by rho_a
//! of k2, go to role 0, which adds up `u^a (G_a + rho_a)`. It has sent `n_a = u^a - s_a` to role 2 before, so that
//! roles 1 and 2 take off `s_a rho_a` and `n_a rho_a`. M + 3 D + 2 words of R bits, and a truncation.
//!
//! R is as small as the result ahead of its truncation allows; the truncation lifts it into the full ring.
//!
//! Security: role 2 receives words masked by k1 and k0, role 1 by k0, role 0 by k2; each mask serves one message, so a
//! simulator draws all of them at random. Outside of the interval the piece is taken modulo M: the result means nothing,
//! and tells nothing.

use super::truncate::truncate;
use super::{Additive, Roles, Shares, TwoSummand, linear};
use crate::fixed::pow2;
use crate::plan::build::{Builder, Map, StreamId};
use crate::plan::{BufId, Kernel, Lookup, Party, Reg, Term};

/// Bits that a table is computed with beyond those of its values, where 64 hold them.
const GUARD: u32 = 12;

/// Bits of e^u and e^v before they are rounded.
const EXP_BITS: u32 = 30;

/// Where the pieces lie, and what the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// The interval's start in units of the number.
    pub low: i64,
    /// Bits of a piece's width in units: q.
    pub shift: u32,
    /// M, a power of two. M - 1 pieces make up the interval; the last place is for the piece before its start.
    pub count: usize,
    /// Fraction bits of the result.
    pub scale: u32,
    /// The result lies between `-2^top` and `2^top`.
    pub top: u32,
}

/// The numbers that a table is computed in.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Bits of u and v as fractions of a piece.
    fraction: u32,
    /// Fraction bits of `phi_a`.
    phi: u32,
    /// Bits truncated at the end.
    drop: u32,
    /// R.
    ring: u32,
}

impl Sizes {
    /// A result with `drop` bits more than it needs.
    fn new(pieces: &Pieces, phi: u32, drop: u32) -> Sizes {
        let Pieces { shift, scale, top, .. } = *pieces;
        Sizes { fraction: shift.min(EXP_BITS), phi, drop, ring: top + scale + drop + 2 }
    }
}

impl Pieces {
    /// Bits by which a polynomial of values of `bits` fraction bits is computed more exactly: its coefficients may be some
    /// times larger than its values. Products with v stay below 64 bits where that costs few of them, which is faster.
    fn guard(&self, bits: u32, fraction: u32) -> u32 {
        let room = 60 - self.top - bits;
        let narrow = room.saturating_sub(fraction);
        GUARD.min(if narrow >= 5 { narrow } else { room })
    }

    /// Bits beyond the result's for which the ring has room.
    fn room(&self, ring: u32) -> u32 {
        ring - 2 - self.top - self.scale
    }

    /// The piece that a place stands for: -1 for the last.
    fn piece(&self, place: usize) -> i64 {
        if place + 1 == self.count { -1 } else { place as i64 }
    }

    fn kernel(&self, terms: Vec<Term>, drop: u32, sizes: Sizes) -> Kernel {
        Kernel::Lookup(Lookup { shift: self.shift, pieces: self.count, fraction: sizes.fraction, drop, terms })
    }

    /// Role 0's u as a fraction.
    fn u(&self, m: &mut Map<'_>, x: &TwoSummand, sizes: Sizes) -> Reg {
        let (u, low) = (m.read(x.u), m.imm(self.low as u64));
        let u = m.sub(u, low);
        let u = m.low(u, self.shift);
        m.shr(u, self.shift - sizes.fraction)
    }

    /// The sums of each term at roles 1 and 2. `value` is what stands in role 0's place, else 1. M words.
    fn sums(
        &self,
        b: &mut Builder,
        x: &TwoSummand,
        value: Option<BufId>,
        table: &Kernel,
        ring: u32,
    ) -> [Vec<BufId>; 2] {
        let [p0, p1, p2] = [0, 1, 2].map(|r| x.roles.party(r));
        let (k1, id, len) = (x.roles.index(1), b.stream(), x.len * self.count);
        let kernel = Kernel::OneHot { add: self.low.wrapping_neg() as u64, shift: self.shift, places: self.count };
        let ins: Vec<BufId> = std::iter::once(x.u).chain(value).collect();
        let places = b.launch(p0, kernel, &ins, len);
        let masked = mask(b, p0, Some(places), (k1, id), ring, len);
        let rows = [mask(b, p1, None, (k1, id), ring, len), b.send(masked, p2, "places")];
        [(p1, 0), (p2, 1)].map(|(party, i)| b.launch_all(party, table.clone(), &[rows[i], x.v[i]], x.len))
    }
}

/// The words less their mask, or the mask itself, of `ring` bits.
fn mask(b: &mut Builder, party: Party, words: Option<BufId>, by: (u8, StreamId), ring: u32, len: usize) -> BufId {
    let mut m = b.ring_map(party, "lookup.mask", len);
    let mask = m.prf(by.0, by.1, ring);
    let value = match words {
        Some(words) => {
            let words = m.read(words);
            m.sub(words, mask)
        }
        None => mask,
    };
    let out = m.write(value, ring);
    m.finish();
    out
}

/// `e^x` for `low <= x < low + M - 1` and x whose piece is 1 wide: the number has `pieces.shift` fraction bits.
/// Relative error below `2^-(scale + 2)`, and a quarter of a unit in the last place, where the ring has room for so many
/// bits; where it has room for one bit less than `scale`, as for e^x up to 2^15 with 16 fraction bits in one of 48, below
/// `1.4 * 2^-scale` and one unit. Then that of the truncation.
pub fn exponential(b: &mut Builder, x: &Shares, pieces: &Pieces, roles: Roles, len: usize) -> Shares {
    let x = TwoSummand::of_shares(b, x, roles, len);
    b.not_before(x.earliest(b));
    let p0 = roles.party(0);
    let (scale, room) = (pieces.scale, pieces.room(b.ring()));
    let phi = (scale + 3).min((scale + room).div_ceil(2)).min(EXP_BITS);
    let sizes = Sizes::new(pieces, phi, (scale + 4).min(room));

    let series =
        |factor: f64| -> Vec<i64> { taylor().map(|c| (c * factor * pow2(EXP_BITS as i32)).round() as i64).collect() };
    let mut m = b.ring_map(p0, "exp.u", len);
    let u = pieces.u(&mut m, &x, sizes);
    let mut y = m.imm(0);
    for c in series(power_of_e(-1)).into_iter().rev() {
        let product = m.mul(y, u);
        let (product, c) = (m.shr(product, sizes.fraction), m.imm(c as u64));
        y = m.add(product, c);
    }
    if EXP_BITS > sizes.phi {
        let half = m.imm(1 << (EXP_BITS - sizes.phi - 1));
        y = m.add(y, half);
        y = m.shr(y, EXP_BITS - sizes.phi);
    }
    let (value, zero) = (m.write(y, sizes.ring), m.imm(0));
    let zero = m.write(zero, sizes.ring);
    m.finish();

    let unit = pow2((scale + sizes.drop - sizes.phi + GUARD) as i32);
    let start = pieces.low >> pieces.shift;
    let factors =
        (0..pieces.count).map(|place| (power_of_e(start + pieces.piece(place) + 1) * unit).round() as i64).collect();
    let table = pieces.kernel(vec![Term::Multiples { of: series(1.0), factors }], EXP_BITS + GUARD, sizes);
    let [y1, y2] = pieces.sums(b, &x, Some(value), &table, sizes.ring).map(|sums| sums[0]);
    let z = Additive::of_roles(roles, [zero, y1, y2]);
    let z = linear::to_two_summand(b, &z, false, sizes.ring, roles, len);
    let result = truncate(b, &z, sizes.drop);
    b.not_before(0);
    result
}

/// Coefficients of e^x, for x from 0 to 1 within 2^-32.
fn taylor() -> impl Iterator<Item = f64> {
    let mut factorial = 1.0;
    (0..13).map(move |d| {
        factorial *= f64::from(d.max(1));
        1.0 / factorial
    })
}

/// e^n by multiplications alone, so that it is the same number everywhere.
fn power_of_e(n: i64) -> f64 {
    let power = (0..n.unsigned_abs()).fold(1.0, |power, _| power * std::f64::consts::E);
    if n < 0 { 1.0 / power } else { power }
}

/// A polynomial of each piece: with x a fraction w beyond the start of piece p, `sum of c_d w^d` over
/// `coefficients[p + 1][d]`, which has to hold for w from 0 to 2. Their rounding adds less than D units in the last place,
/// then that of the truncation.
pub fn polynomials(
    b: &mut Builder,
    x: &Shares,
    pieces: &Pieces,
    coefficients: &[Vec<f64>],
    roles: Roles,
    len: usize,
) -> Shares {
    let x = TwoSummand::of_shares(b, x, roles, len);
    b.not_before(x.earliest(b));
    let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
    let (k1, k2) = (roles.index(1), roles.index(2));
    // Coefficients are of 64 bits.
    let (scale, room) = (pieces.scale, pieces.room(b.ring()).min(56 - pieces.top - pieces.scale));
    let phi = (scale + 2).min(room - 2).min(EXP_BITS);
    let sizes = Sizes::new(pieces, phi, (phi + 2).min(room));
    let ring = sizes.ring;
    let degree = coefficients.iter().map(Vec::len).max().unwrap_or(1) - 1;

    let guard = pieces.guard(scale + sizes.drop, sizes.fraction);
    let terms = (0..=degree).map(|a| {
        let bits = scale + sizes.drop + guard - if a == 0 { 0 } else { sizes.phi };
        let of_place = |place: usize| {
            let c = &coefficients[(pieces.piece(place) + 1) as usize];
            let term = |d: usize| (binomial(d, a) * c[d] * pow2(bits as i32)).round() as i64;
            (a..c.len()).map(term).collect()
        };
        Term::Polynomials((0..pieces.count).map(of_place).collect())
    });
    let table = pieces.kernel(terms.collect(), guard, sizes);
    let sums = pieces.sums(b, &x, None, &table, ring);

    // Role 0's powers of u; role 2 has them less s_a, which role 1 has.
    let s: Vec<StreamId> = (0..degree).map(|_| b.stream()).collect();
    let (mut powers, mut rest) = (Vec::new(), Vec::new());
    if degree > 0 {
        let mut m = b.ring_map(p0, "lookup.powers", len);
        let u = pieces.u(&mut m, &x, sizes);
        // Whichever has more bits.
        let mut power = if sizes.phi > sizes.fraction { m.shl(u, sizes.phi - sizes.fraction) } else { u };
        for (a, id) in s.iter().enumerate() {
            if a > 0 {
                power = m.mul(power, u);
                power = m.shr(power, sizes.fraction);
            }
            let rounded = m.shr(power, sizes.fraction.saturating_sub(sizes.phi));
            powers.push(m.write(rounded, ring));
            let mask = m.prf(k1, *id, ring);
            let masked = m.sub(rounded, mask);
            rest.push(m.write(masked, ring));
        }
        m.finish();
    }
    let rest: Vec<BufId> = rest.into_iter().map(|n| b.send(n, p2, "power")).collect();

    // The sums go to role 0 under rho_a = F(k2) - F(k2).
    let rho: Vec<[StreamId; 2]> = (0..degree).map(|_| [b.stream(), b.stream()]).collect();
    let mut own = [BufId(0); 2];
    let mut received = [Vec::new(), Vec::new()];
    for (i, party) in [p1, p2].into_iter().enumerate() {
        let mut m = b.ring_map(party, "lookup.sums", len);
        let mut z = m.read(sums[i][0]);
        let mut masked = Vec::new();
        for a in 0..degree {
            let (plus, minus) = (m.prf(k2, rho[a][0], ring), m.prf(k2, rho[a][1], ring));
            let sum = m.read(sums[i][a + 1]);
            let sum = if i == 0 { m.add(sum, plus) } else { m.sub(sum, minus) };
            masked.push(m.write(sum, ring));
            let rho = m.sub(plus, minus);
            let part = if i == 0 { m.prf(k1, s[a], ring) } else { m.read(rest[a]) };
            let product = m.mul(part, rho);
            z = m.sub(z, product);
        }
        own[i] = m.write(z, ring);
        m.finish();
        received[i] = masked.into_iter().map(|sum| b.send(sum, p0, "sum")).collect();
    }
    let mut m = b.ring_map(p0, "lookup.p0", len);
    let mut z = m.imm(0);
    for a in 0..degree {
        let (power, first, second) = (m.read(powers[a]), m.read(received[0][a]), m.read(received[1][a]));
        let sum = m.add(first, second);
        let product = m.mul(power, sum);
        z = m.add(z, product);
    }
    let z0 = m.write(z, ring);
    m.finish();

    let z = Additive::of_roles(roles, [z0, own[0], own[1]]);
    let z = linear::to_two_summand(b, &z, false, ring, roles, len);
    let result = truncate(b, &z, sizes.drop);
    b.not_before(0);
    result
}

fn binomial(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64)
}
