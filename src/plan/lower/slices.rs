//! Slices of tensors, so that every party plays every role: role 0 sends more than the others, and on one link more than
//! on the other.
//!
//! A tensor of some size is cut into three slices, and each party plays role 0 on one of them; a large one into six, so that the
//! roles also go round both ways, or into a multiple of six that makes a pipeline ([`Cut`]). Whoever has sent the least so far
//! plays role 0 for a small one, and for one that is not cut. Slices begin at multiples of eight elements, so that their bits
//! fill bytes, or of 64, so that they fill words, or between planes of images that are pooled.
//!
//! Of a tensor that takes long to compute and to send, slices begin some after the others, a round apart: so what they need
//! for a while, which is several times what the tensor needs, is not there for all of them at once.

use super::super::build::Builder;
use super::super::protocol::maximum::SignSource;
use super::super::protocol::select::RandomBit;
use super::super::protocol::sign::Opened;
use super::super::protocol::{Additive, BitShares, Roles, Shares, local};
use super::super::{Access, Kernel, Party};
use super::{Cut, Lowering, NodeId};

/// A tensor of so many elements is cut into three.
const THREE: usize = 24;
/// And of so many into six.
const SIX: usize = 1 << 14;
/// One of fewer is not, if only large ones are to be cut.
const LARGE: usize = 1 << 12;
/// Where slices begin; those of a tensor that is cut into six, where their bits fill whole words.
const STEP: usize = 8;
const WORDS: usize = 64;

/// The lengths of the slices that a tensor was joined of at all parties, if each is large.
pub(super) fn large_seams(b: &Builder, x: &Shares, len: usize) -> Option<Vec<usize>> {
    let lens = b.seams(x.at[0][0].buf)?;
    let alike = x.at.iter().flatten().all(|share| share.access == Access::Dense && b.seams(share.buf) == Some(lens));
    (alike && lens.iter().all(|len| *len >= SIX) && lens.iter().sum::<usize>() == len).then(|| lens.to_vec())
}

/// Consecutive elements of a tensor, and who plays which role for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub start: usize,
    pub len: usize,
    /// Whether these are all elements.
    pub whole: bool,
    pub roles: Roles,
    /// Rounds for which it waits, so that others are done before.
    pub delay: u32,
}

/// The comparisons of a tensor's slices, in order.
#[derive(Clone, Debug)]
pub(super) struct Signs(pub Vec<SignSource>);

impl Signs {
    /// See [`SignSource::without`].
    pub fn without(mut self, unread: u32) -> Signs {
        for source in &mut self.0 {
            *source = source.without(unread);
        }
        self
    }

    /// Each slice with where it begins. It waits for its comparison.
    pub fn slices(&self) -> impl Iterator<Item = (Slice, &SignSource)> {
        let whole = self.0.len() == 1;
        self.0.iter().scan(0, move |start, source| {
            let len = source.summands.len;
            let slice = Slice { start: *start, len, whole, roles: source.summands.roles, delay: 0 };
            *start += len;
            Some((slice, source))
        })
    }
}

/// Bits of a tensor's slices, opened under random masks that are ready for products.
pub(super) type OpenedSlices = Vec<(Slice, Opened, RandomBit)>;

/// A tensor that is not cut, and who plays which role for it.
pub(super) fn whole(b: &Builder, len: usize) -> Slice {
    Slice { start: 0, len, whole: true, roles: by_load(b)[0], delay: 0 }
}

/// The six ways to distribute roles, the one first after which the links are the most equal.
fn by_load(b: &Builder) -> Vec<Roles> {
    let mut all = Roles::ALL.to_vec();
    all.sort_by_key(|roles| {
        let [p0, p1, p2] = [0, 1, 2].map(|r| roles.party(r));
        let load = |from: Party, to: Party| b.sent(from, to);
        // The square of a sum grows by twice the load for each byte: role 0's link carries twice what each of the others does.
        2 * load(p0, p2) + load(p1, p2) + load(p2, p1)
    });
    all
}

impl Shares {
    /// A slice of shares, which are in dense buffers unless it is all of them.
    pub(super) fn slice(&self, b: &mut Builder, slice: &Slice) -> Shares {
        if slice.whole {
            return *self;
        }
        local::part(b, self, slice.start, slice.len, slice.delay)
    }

    /// One tensor of slices.
    pub(super) fn join(b: &mut Builder, slices: &[(Slice, Shares)]) -> Shares {
        if let [(_, whole)] = slices {
            return *whole;
        }
        let parts: Vec<(Shares, usize)> = slices.iter().map(|(slice, x)| (*x, slice.len)).collect();
        local::join(b, &parts)
    }
}

impl Additive {
    /// A slice of the summands.
    pub(super) fn slice(&self, b: &mut Builder, slice: &Slice) -> Additive {
        if slice.whole {
            return *self;
        }
        Additive(self.0.map(|z| b.part(z, slice.start, slice.len, slice.delay)))
    }
}

impl BitShares {
    /// One tensor of bits of slices.
    pub(super) fn join(b: &mut Builder, slices: &[(Slice, BitShares)], len: usize) -> BitShares {
        if let [(_, whole)] = slices {
            return *whole;
        }
        let bits: Vec<(BitShares, usize)> = slices.iter().map(|(slice, bit)| (*bit, slice.len)).collect();
        let chunks = slices.iter().map(|(slice, _)| slice.len).collect();
        local::move_bits(b, &bits, len, &Kernel::Concat { outer: 1, chunks })
    }
}

impl Lowering<'_> {
    /// How a tensor of `len` elements is cut.
    pub(super) fn slices(&self, len: usize) -> Vec<Slice> {
        self.units(len, if len < SIX { STEP } else { WORDS })
    }

    /// How a tensor of `len` elements is cut, between units of so many.
    pub(super) fn units(&self, len: usize, unit: usize) -> Vec<Slice> {
        let begin = self.options.begin.max(1);
        let count = match (len, self.options.cut) {
            (0..THREE, _) | (0..LARGE, Cut::Large) | (_, Cut::Whole) => 1,
            (THREE..SIX, _) => 3,
            (SIX.., Cut::Roles | Cut::Large) => 6 * len.div_ceil(begin),
            (SIX.., Cut::Pipeline(size)) => 6 * (len / 6).div_ceil(size.min(begin / 6).max(1)),
        };
        let mut roles = by_load(&self.b);
        let count = match len / unit {
            0..3 => 1,
            3..6 => count.min(3),
            6.. => count.min(len / unit / 6 * 6),
        };
        if count == 3 {
            // Three ways round in the direction that has carried less.
            let first = roles[0];
            roles.retain(|other| other.mirrored() == first.mirrored());
        }
        let mut lens = vec![len / unit / count * unit; count];
        let rest = len - lens.iter().sum::<usize>();
        for (at, len) in lens.iter_mut().enumerate() {
            *len += rest.saturating_sub(at * unit).min(unit);
        }
        // The last slice that got some of the rest may end anywhere, so it comes last.
        lens.sort_by_key(|len| len % unit != 0);
        let mut start = 0;
        let cut = lens.into_iter().zip(roles.into_iter().cycle()).map(|(len, roles)| {
            start += len;
            Slice { start: start - len, len, whole: count == 1, roles, delay: self.delay(start - len) }
        });
        cut.collect()
    }

    /// Rounds for which a slice waits that begins there.
    fn delay(&self, start: usize) -> u32 {
        u32::try_from(start / self.options.begin.max(1)).expect("no tensor takes so many rounds")
    }

    /// The slices of shares whose signs are read: those that they were joined of, with the party as role 0 that has its part
    /// first.
    pub(super) fn following(&self, x: &Shares, len: usize) -> Vec<Slice> {
        let mut cut = self.slices(len);
        if let Some(lens) = self.b.seams(x.at[0][0].buf).filter(|lens| lens.iter().sum::<usize>() == len) {
            let ways: Vec<Roles> = cut.iter().map(|slice| slice.roles).collect();
            let mut start = 0;
            let along = lens.iter().zip(ways.iter().chain(&Roles::ALL).cycle()).map(|(len, roles)| {
                start += len;
                Slice { start: start - len, len: *len, whole: false, roles: *roles, delay: self.delay(start - len) }
            });
            cut = along.collect();
        }
        for slice in &mut cut {
            let ready = |party: Party| {
                let own = x.at.map(|row| row[party.index()].buf);
                own.map(|buf| self.b.ready(self.b.known_part(buf, slice.start, slice.len)))
                    .into_iter()
                    .fold(0, u32::max)
            };
            let rounds = Party::ALL.map(ready);
            let first = Party::ALL.into_iter().min_by_key(|party| rounds[party.index()]).unwrap_or(Party(0));
            if rounds.iter().filter(|round| **round == rounds[first.index()]).count() == 1 {
                while slice.roles.party(0) != first {
                    slice.roles = slice.roles.next();
                }
            }
        }
        cut
    }

    /// A node as shares that can be sliced so.
    pub(super) fn sliceable(&mut self, id: NodeId, slices: &[Slice]) -> Shares {
        if slices.len() > 1 { self.dense(id) } else { self.ring(id) }
    }

    /// A function of each element.
    pub(super) fn by_slices(&mut self, id: NodeId, f: impl Fn(&mut Builder, &Shares, &Slice) -> Shares) -> Shares {
        let slices = self.slices(self.len(id));
        let x = self.sliceable(id, &slices);
        let results = slices.into_iter().map(|slice| {
            let part = x.slice(&mut self.b, &slice);
            (slice, f(&mut self.b, &part, &slice))
        });
        let results: Vec<(Slice, Shares)> = results.collect();
        Shares::join(&mut self.b, &results)
    }
}
