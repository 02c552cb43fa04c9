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

/// Several tensors of `len` elements, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// `[count, len]`.
    pub shares: Shares,
    /// How many there are; at least one.
    pub count: usize,
    /// Elements of each.
    pub len: usize,
}

/// What is to be known of the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its value.
    Value,
    /// Its number.
    Index,
    /// Both.
    Both,
}

/// What is known of the largest, if it was wanted.
#[derive(Clone, Copy, Debug)]
pub struct Winner {
    /// Its value.
    pub value: Option<Shares>,
    /// Its number as shared integers.
    pub index: Option<Shares>,
}

/// Where each of `count` entrants sits, such that the first half of them plays against the second, and who is left over sits
/// last: neighbours meet, and so do the winners of neighbours, so that the first of equal ones wins.
#[must_use]
pub fn seats(count: usize) -> Vec<usize> {
    if count < 2 {
        return (0..count).collect();
    }
    let matches = &seats(count.div_ceil(2))[..count / 2];
    let players = |player: usize| matches.iter().map(move |at| 2 * at + player);
    let left = (count % 2 == 1).then_some(count - 1);
    players(0).chain(players(1)).chain(left).collect()
}

/// The largest of several tensors and the number of the first such one, elementwise, by one tournament of `ceil(log2 count)`
/// levels. They lie in the order of [`seats`]; in any order if only the value is wanted. All matches of a level are one
/// comparison and one selection.
pub fn winner(
    b: &mut Builder,
    field: &Field,
    wanted: Wanted,
    width: Width,
    mut roles: Roles,
    prefer: Prefer,
) -> Winner {
    let Field { shares: mut value, mut count, len } = *field;
    // How much further on than the first that they may be; nobody is, before the first match.
    let mut index: Option<Shares> = None;
    // How much further on the first is that who plays second may be.
    let mut beyond = 1;
    let part = |b: &mut Builder, all: &Shares, start, len| local::part(b, all, start, len, 0);
    while count > 1 {
        let half = count / 2 * len;
        let with_left = |b: &mut Builder, won: Shares, left: &dyn Fn(&mut Builder) -> Shares| {
            if count % 2 == 0 {
                return won;
            }
            let left = left(b);
            local::join(b, &[(won, half), (left, len)])
        };
        let (x, y) = (part(b, &value, 0, half), part(b, &value, half, half));
        let d = difference(b, &x, &y, half);
        let source = own_sign(b, &d, width.bits + 1, roles, half).without(width.unread);
        b.not_before(source.summands.earliest(b));
        // x is the earlier one and wins ties: y only when x - y < 0.
        let negative = sign::open_sign(b, &source.summands, source.window, prefer);
        let r = RandomBit::prepare(b, negative.r, roles, half);
        if wanted != Wanted::Value {
            let further = |b: &mut Builder, start: usize, len: usize| match &index {
                Some(index) => part(b, index, start, len),
                None => local::constant(b, 0, len),
            };
            let (x, y) = (further(b, 0, half), further(b, half, half));
            let steps = local::each_share(b, "steps", half, &[&x, &y], |m, j, r| {
                let steps = m.sub(r[1], r[0]);
                let beyond = m.imm(if j == 0 { beyond } else { 0 });
                m.add(steps, beyond)
            });
            let steps_r = r.times(b, &steps);
            let won = choose(b, &negative, Choose::Set, &steps, &steps_r, Some(&x), half);
            index = Some(with_left(b, won, &|b| further(b, 2 * half, len)));
        }
        if wanted != Wanted::Index || count > 2 {
            let dr = r.times(b, &d);
            let won = choose(b, &negative, Choose::Clear, &d, &dr, Some(&y), half);
            value = with_left(b, won, &|b| part(b, &value, 2 * half, len));
        }
        b.not_before(0);
        (count, beyond, roles) = (count.div_ceil(2), 2 * beyond, roles.next());
    }
    b.not_before(value.earliest(b));
    let index = (wanted != Wanted::Value).then(|| index.unwrap_or_else(|| local::constant(b, 0, len)));
    b.not_before(0);
    Winner { value: (wanted != Wanted::Index).then_some(value), index }
}

#[cfg(test)]
mod tests {
    use super::seats;

    #[test]
    fn neighbours_meet() {
        assert_eq!(seats(1), [0]);
        assert_eq!(seats(2), [0, 1]);
        assert_eq!(seats(5), [0, 2, 1, 3, 4]);
        assert_eq!(seats(8), [0, 4, 2, 6, 1, 5, 3, 7]);
        for count in 1..70 {
            // Whom each of those who are left stands for, from the first to the last.
            let mut left: Vec<(usize, usize)> = seats(count).iter().map(|at| (*at, *at)).collect();
            while left.len() > 1 {
                let (first, second) = left.split_at(left.len() / 2);
                let matches = first.iter().zip(second).map(|(x, y)| {
                    assert_eq!(x.1 + 1, y.0, "{count}");
                    (x.0, y.1)
                });
                left = matches.chain((left.len() % 2 == 1).then(|| left[left.len() - 1])).collect();
            }
            assert_eq!(left, [(0, count - 1)]);
        }
    }
}
