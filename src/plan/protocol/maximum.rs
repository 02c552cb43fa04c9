//! ReLU, maximum and argmax by comparison and selection.
//!
//! `max(a, b) = b + relu(a - b)`: one comparison and one selection. The difference of two numbers in range needs one bit
//! more than the number format, so its window is one bit wider.

use super::select::{Choose, RandomBit, choose};
use super::sign::{self, Prefer, Window};
use super::{Roles, Shares, TwoSummand, local};
use crate::fixed::low_mask;
use crate::plan::build::Builder;
use crate::plan::{BufId, Kernel, View};

/// Where a value's sign can be read.
#[derive(Clone, Copy, Debug)]
pub struct SignSource {
    /// Summands.
    pub summands: TwoSummand,
    /// Bits to read.
    pub window: Window,
}

impl SignSource {
    /// The same without the lowest bits of the window: a number x above `-2^unread` may then pass for one that is not
    /// negative.
    #[must_use]
    pub fn without(self, unread: u32) -> SignSource {
        let Window { from, width } = self.window;
        let unread = unread.min(width.saturating_sub(2));
        SignSource { window: Window { from: from + unread, width: width - unread }, ..self }
    }

    /// Where the sign of the difference to another value can be read, which needs one more bit: nowhere if the ring has
    /// none. It is the sign of what the summands stand for; rounded, the values may differ by one unit in the last place
    /// the other way.
    fn minus(&self, b: &mut Builder, other: &SignSource) -> Option<SignSource> {
        let (a, c) = (self.summands, other.summands);
        let Window { from, width } = self.window;
        if (a.ring, a.roles, self.window) != (c.ring, c.roles, other.window) || from + width + 1 > a.ring {
            return None;
        }
        let mut subtract = |party: u8, x: BufId, y: BufId| {
            let mut m = b.ring_map(a.roles.party(party), "summand.sub", a.len);
            let (x, y) = (m.read(x), m.read(y));
            let (ring, difference) = (m.ring(), m.sub(x, y));
            let out = m.write(difference, ring);
            m.finish();
            out
        };
        let u = subtract(0, a.u, c.u);
        let v = [subtract(1, a.v[0], c.v[0]), subtract(2, a.v[1], c.v[1])];
        Some(SignSource { summands: TwoSummand { u, v, ..a }, window: Window { from, width: width + 1 } })
    }

    /// The same elements as a view shows them; those outside of its bounds have the value `view.fill` of the window.
    #[must_use]
    pub fn view(&self, b: &mut Builder, view: &View) -> SignSource {
        let TwoSummand { roles, u, v, .. } = self.summands;
        let len = view.shape.iter().product();
        let mut copy = |party: u8, x: BufId, fill: u64| {
            b.launch(roles.party(party), Kernel::Copy(View { fill, ..view.clone() }), &[x], len)
        };
        let mask = low_mask(self.summands.ring);
        let u = copy(0, u, view.fill.wrapping_shl(self.window.from) & mask);
        let v = [copy(1, v[0], 0), copy(2, v[1], 0)];
        SignSource { summands: TwoSummand { u, v, len, ..self.summands }, ..*self }
    }
}

/// How much of a number comparisons read.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    /// Bits of a number of the format.
    pub bits: u32,
    /// Lowest bits that are not read.
    pub unread: u32,
}

/// max(x, 0), reading the sign from `source` (x's own summands, or those before the truncation that made x).
pub fn relu(b: &mut Builder, x: &Shares, source: &SignSource, prefer: Prefer) -> Shares {
    positive_part(b, x, source, prefer, None)
}

fn positive_part(b: &mut Builder, x: &Shares, source: &SignSource, prefer: Prefer, base: Option<&Shares>) -> Shares {
    let TwoSummand { roles, len, .. } = source.summands;
    b.not_before(source.summands.earliest(b));
    let negative = sign::open_sign(b, &source.summands, source.window, prefer);
    let r = RandomBit::prepare(b, negative.r, roles, len);
    let xr = r.times(b, x);
    b.not_before(0);
    choose(b, &negative, Choose::Clear, x, &xr, base, len)
}

/// The sign source of a replicated value whose magnitude is below `2^(width-1)`.
pub fn own_sign(b: &mut Builder, x: &Shares, width: u32, roles: Roles, len: usize) -> SignSource {
    SignSource { summands: TwoSummand::of_shares(b, x, roles, len), window: Window { from: 0, width } }
}

fn difference(b: &mut Builder, x: &Shares, y: &Shares, len: usize) -> Shares {
    local::each_share(b, "difference", len, &[x, y], |m, _, r| m.sub(r[0], r[1]))
}

/// What takes part in a tournament.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    /// The value.
    pub shares: Shares,
    /// Where its sign can be read before the shares are there, if anywhere.
    pub early: Option<SignSource>,
}

/// Elementwise maximum; `width` is the window of one value.
fn maximum(b: &mut Builder, [x, y]: [&Entrant; 2], width: Width, roles: Roles, prefer: Prefer, len: usize) -> Shares {
    let d = difference(b, &x.shares, &y.shares, len);
    let early = x.early.zip(y.early).and_then(|(x, y)| x.minus(b, &y));
    let source = early.unwrap_or_else(|| own_sign(b, &d, width.bits + 1, roles, len)).without(width.unread);
    positive_part(b, &d, &source, prefer, Some(&y.shares))
}

/// The largest of several tensors, by a tournament of `ceil(log2 n)` levels whose matches share rounds. The first level
/// compares untruncated numbers where there are such.
pub fn tournament(
    b: &mut Builder,
    mut entrants: Vec<Entrant>,
    width: Width,
    roles: Roles,
    prefer: Prefer,
    len: usize,
) -> Shares {
    let mut roles = roles;
    while entrants.len() > 1 {
        entrants = entrants
            .chunks(2)
            .map(|pair| match pair {
                [x, y] => Entrant { shares: maximum(b, [x, y], width, roles, prefer, len), early: None },
                rest => rest[0],
            })
            .collect();
        roles = roles.next();
    }
    entrants[0].shares
}

/// The index of the first largest of several tensors, as shared integers: the tournament carries the index along.
pub fn argmax(b: &mut Builder, values: &[Shares], width: Width, roles: Roles, prefer: Prefer, len: usize) -> Shares {
    winner(b, values, width, roles, prefer, len, false).1
}

/// The largest of several tensors and the index of the first such one, by one tournament.
pub fn max_and_argmax(
    b: &mut Builder,
    values: &[Shares],
    width: Width,
    roles: Roles,
    prefer: Prefer,
    len: usize,
) -> (Shares, Shares) {
    winner(b, values, width, roles, prefer, len, true)
}

/// Value and index of the winner; without `valued` the last match selects the index alone, and the value means nothing.
fn winner(
    b: &mut Builder,
    values: &[Shares],
    width: Width,
    roles: Roles,
    prefer: Prefer,
    len: usize,
    valued: bool,
) -> (Shares, Shares) {
    let mut entrants: Vec<(Shares, Shares)> = values
        .iter()
        .enumerate()
        .map(|(i, v)| {
            b.not_before(v.earliest(b));
            let index = local::constant(b, i as u64, len);
            b.not_before(0);
            (*v, index)
        })
        .collect();
    let mut roles = roles;
    while entrants.len() > 1 {
        let last = entrants.len() == 2 && !valued;
        let mut winners = Vec::with_capacity(entrants.len().div_ceil(2));
        for pair in entrants.chunks(2) {
            let [(x, x_index), (y, y_index)] = pair else {
                winners.push(pair[0]);
                continue;
            };
            let d = difference(b, x, y, len);
            let steps = difference(b, x_index, y_index, len);
            let source = own_sign(b, &d, width.bits + 1, roles, len).without(width.unread);
            b.not_before(source.summands.earliest(b));
            // x is the earlier one and wins ties: y only when x - y < 0.
            let negative = sign::open_sign(b, &source.summands, source.window, prefer);
            let r = RandomBit::prepare(b, negative.r, roles, len);
            let step_r = r.times(b, &steps);
            let value = if last {
                *x
            } else {
                let dr = r.times(b, &d);
                choose(b, &negative, Choose::Clear, &d, &dr, Some(y), len)
            };
            let index = choose(b, &negative, Choose::Clear, &steps, &step_r, Some(y_index), len);
            b.not_before(0);
            winners.push((value, index));
        }
        entrants = winners;
        roles = roles.next();
    }
    entrants[0]
}
