//! The protocols: how each operation becomes rounds of element programs and messages.
//!
//! One module a protocol; nothing else in the crate knows its mathematics. Notation as in Araki et al. (CCS 2016): a
//! replicated share `x = x0 + x1 + x2 mod 2^K`, party i holds `(x_i, x_{i+1})` and keys `(k_i, k_{i+1})`; `F(k)` is the
//! stream of a key. Every message is masked by a stream its receiver cannot compute, used for no other message.

pub mod bits;
pub mod blocks;
pub mod equality;
pub mod leading;
pub mod linear;
pub mod local;
pub mod lookup;
pub mod maximum;
pub mod one_hot;
pub mod output;
pub mod select;
pub mod sign;
pub mod truncate;

use super::build::{Builder, StreamId};
use super::{BufId, Operand, Party};

/// Who plays which role. Role r has share and key r and r + 1, so that share j of the protocol's text is one of the
/// plan's shares, as the roles go round the parties the one way or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// The party that plays role 0.
    first: Party,
    /// Whether role 1 is the party before it, not the one after it.
    mirrored: bool,
}

impl Roles {
    /// All six ways.
    pub const ALL: [Roles; 6] = {
        let [a, b, c] = Party::ALL;
        [
            Roles { first: a, mirrored: false },
            Roles { first: b, mirrored: false },
            Roles { first: c, mirrored: false },
            Roles { first: a, mirrored: true },
            Roles { first: b, mirrored: true },
            Roles { first: c, mirrored: true },
        ]
    };

    /// The party that plays role `r`.
    #[must_use]
    pub fn party(self, r: u8) -> Party {
        self.first.plus(if self.mirrored { 3 - r } else { r })
    }

    /// The role that a party plays.
    #[must_use]
    pub fn role(self, party: Party) -> u8 {
        let steps = party.plus(3 - self.first.0).0;
        if self.mirrored { (3 - steps) % 3 } else { steps }
    }

    /// The number of key or share `j` of the protocol's text.
    #[must_use]
    pub fn index(self, j: u8) -> u8 {
        // Roles 0 and 1 both have share 1, which is then the share of the later of the two parties.
        self.first.plus(if self.mirrored { 4 - j } else { j }).0
    }

    /// Whether role 1 is the party before role 0.
    #[must_use]
    pub fn mirrored(self) -> bool {
        self.mirrored
    }

    /// With the party as role 0 that plays role 1 here, the same way round. It is the first to know an opened bit, so a
    /// comparison of what was chosen by that bit starts a round earlier.
    #[must_use]
    pub fn next(self) -> Roles {
        Roles { first: self.party(1), ..self }
    }

    /// What the protocol's text calls key or share `j`.
    #[must_use]
    pub fn name(self, j: u8) -> u8 {
        let steps = Party(j).plus(3 - self.first.0).0;
        if self.mirrored { (4 - steps) % 3 } else { steps }
    }
}

/// A replicated ring tensor: `at[0][i]` is share i at party i, `at[1][i]` share i + 1 at party i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Buffers, possibly addressed as a broadcast.
    pub at: [[Operand; 3]; 2],
}

impl Shares {
    /// Shares in dense buffers.
    #[must_use]
    pub fn dense(at: [[BufId; 3]; 2]) -> Shares {
        Shares { at: at.map(|row| row.map(Operand::from)) }
    }

    /// Share `j` as `party` holds it: j is the party's number or the next.
    #[must_use]
    pub fn share(&self, j: u8, party: Party) -> Operand {
        debug_assert!(party.holds_key(j));
        if j == party.0 { self.at[0][party.index()] } else { self.at[1][party.index()] }
    }

    /// All six buffers, each once.
    pub fn operands(&self) -> impl Iterator<Item = Operand> + '_ {
        self.at.iter().flatten().copied()
    }

    /// The first round in which any party could use its part.
    #[must_use]
    pub fn earliest(&self, b: &Builder) -> u32 {
        self.operands().map(|o| b.ready(o.buf)).min().unwrap_or(0)
    }
}

/// Shares being put together by a protocol: share j at the two parties that hold it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assembly {
    at: [[Option<BufId>; 3]; 2],
}

impl Assembly {
    /// Notes that `party`'s part of share `j` is in `buf`.
    pub fn set(&mut self, j: u8, party: Party, buf: BufId) {
        debug_assert!(party.holds_key(j));
        self.at[usize::from(j != party.0)][party.index()] = Some(buf);
    }

    /// The whole tensor.
    ///
    /// # Panics
    /// If a part was never set, which is a mistake of the protocol's text.
    #[must_use]
    pub fn finish(self) -> Shares {
        Shares::dense(self.at.map(|row| row.map(|b| b.expect("all six parts of a replicated share are set"))))
    }
}

/// `U + V mod 2^R`: U known to role 0, V to roles 1 and 2. R is K but inside of protocols that need less room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoSummand {
    /// R, at most K.
    pub ring: u32,
    /// Who plays which role.
    pub roles: Roles,
    /// At role 0.
    pub u: BufId,
    /// At roles 1 and 2.
    pub v: [BufId; 2],
    /// Elements.
    pub len: usize,
}

impl TwoSummand {
    /// `U = x0 + x1`, `V = x2`: no message.
    pub fn of_shares(b: &mut Builder, x: &Shares, roles: Roles, len: usize) -> TwoSummand {
        let p = [0, 1, 2].map(|r| roles.party(r));
        let j = |j| roles.index(j);
        let mut m = b.ring_map(p[0], "summand.u", len);
        let (x0, x1) = (m.read(x.share(j(0), p[0])), m.read(x.share(j(1), p[0])));
        let u = m.add(x0, x1);
        let ring = m.ring();
        let u = m.write(u, ring);
        m.finish();
        let v = [1, 2].map(|r| local::dense(b, x.share(j(2), p[r]), p[r], len));
        TwoSummand { ring, roles, u, v, len }
    }

    /// The first round in which role 0 has U.
    #[must_use]
    pub fn earliest(&self, b: &Builder) -> u32 {
        b.ready(self.u)
    }
}

/// A value as one summand a party: `z = z0 + z1 + z2`, `z_i` at party i alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Additive(pub [BufId; 3]);

impl Additive {
    /// From the summands of roles 0, 1 and 2.
    #[must_use]
    pub fn of_roles(roles: Roles, summands: [BufId; 3]) -> Additive {
        Additive(Party::ALL.map(|p| summands[usize::from(roles.role(p))]))
    }
}

/// Where a share of a bit plane comes from at one party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitSource {
    /// A plane of a buffer.
    Plane(BufId, usize),
    /// A plane of a stream with the share's own key, drawn where it is used.
    Stream(StreamId, usize),
}

/// One bit plane under replicated XOR sharing: `at[0][i]` is share i at party i, `at[1][i]` share i + 1 at party i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitShares {
    /// Sources.
    pub at: [[BitSource; 3]; 2],
}

impl BitShares {
    /// Builds from a function of share number and party.
    pub fn from_fn(mut source: impl FnMut(u8, Party) -> BitSource) -> BitShares {
        let own = Party::ALL.map(|p| source(p.0, p));
        let next = Party::ALL.map(|p| source(p.plus(1).0, p));
        BitShares { at: [own, next] }
    }

    /// A random bit from the three keys that nobody knows: share j is a plane of stream `id` under key j. No message.
    #[must_use]
    pub fn random(id: StreamId) -> BitShares {
        BitShares::from_fn(|_, _| BitSource::Stream(id, 0))
    }
}

impl super::build::Map<'_> {
    /// The two shares of a bit that this step's party holds: share i and share i + 1.
    pub fn bits(&mut self, x: &BitShares) -> [super::Reg; 2] {
        let party = self.party();
        [0, 1].map(|part| match x.at[part][party.index()] {
            BitSource::Plane(buf, plane) => self.read_plane(buf, plane),
            BitSource::Stream(id, plane) => self.prf_plane(party.plus(part as u8).0, id, plane),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_the_keys_of_the_text() {
        let mut ways = std::collections::BTreeSet::new();
        for roles in Roles::ALL {
            for r in 0..3 {
                let party = roles.party(r);
                assert_eq!(roles.role(party), r);
                assert_eq!(roles.name(roles.index(r)), r);
                assert!(party.holds_key(roles.index(r)) && party.holds_key(roles.index((r + 1) % 3)), "{roles:?} {r}");
            }
            ways.insert([0, 1, 2].map(|r| roles.party(r)));
        }
        assert_eq!(ways.len(), 6);
    }
}
