//! The handshake: before a link carries anything, both ends compare what they are about to run. Pure.
//!
//! Each end sends a [`Hello`], reads the other's, and answers with a verdict of one byte: zero, or why it refuses. A refused
//! peer learns that code and nothing else; the refusing user reads the whole [`Refusal`].

use std::fmt;

use crate::net::frame::{FrameError, Kind};
use crate::plan::Party;

/// The version of frames and handshake. Ends of different versions refuse one another.
pub const VERSION: u16 = 1;

/// Names a run; chosen at random by whoever starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(pub [u8; 16]);

/// SHA-256 of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanHash(pub [u8; 32]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

/// Enough digits to tell two apart.
fn short_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().take(6).try_for_each(|b| write!(f, "{b:02x}"))?;
    f.write_str("..")
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A computing party.
    Party(Party),
    /// An owner's client, by the owner's number in the program's header.
    Owner(u8),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Party(party) => write!(f, "{party}"),
            Role::Owner(number) => write!(f, "owner {number}"),
        }
    }
}

/// How an end introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// [`VERSION`].
    pub version: u16,
    /// Who it is.
    pub role: Role,
    /// Which run it is for.
    pub session: SessionId,
    /// What it will run.
    pub plan: PlanHash,
}

impl Hello {
    /// Bytes of an encoded hello.
    pub const LEN: usize = 2 + 2 + 16 + 32;

    /// A hello of this version.
    #[must_use]
    pub fn new(role: Role, session: SessionId, plan: PlanHash) -> Hello {
        Hello { version: VERSION, role, session, plan }
    }

    /// The payload of a hello frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.version.to_le_bytes().to_vec();
        out.extend(match self.role {
            Role::Party(party) => [0, party.0],
            Role::Owner(number) => [1, number],
        });
        out.extend(self.session.0);
        out.extend(self.plan.0);
        out
    }

    /// Reads the payload of a hello frame.
    ///
    /// # Errors
    /// [`FrameError::Content`] when it is none.
    pub fn decode(bytes: &[u8; Hello::LEN]) -> Result<Hello, FrameError> {
        let [v0, v1, role, number, rest @ ..] = bytes;
        let role = match (role, number) {
            (0, 0..3) => Role::Party(Party(*number)),
            (1, _) => Role::Owner(*number),
            _ => return Err(FrameError::Content(Kind::Hello)),
        };
        let (session, plan) = rest.split_at(16);
        Ok(Hello {
            version: u16::from_le_bytes([*v0, *v1]),
            role,
            session: SessionId(session.try_into().map_err(|_| FrameError::Content(Kind::Hello))?),
            plan: PlanHash(plan.try_into().map_err(|_| FrameError::Content(Kind::Hello))?),
        })
    }

    /// Whether this end goes on with the other, which should be one that `welcome` accepts.
    ///
    /// # Errors
    /// The first difference: version, role, session, plan.
    pub fn check(&self, theirs: &Hello, welcome: impl Fn(Role) -> bool) -> Result<(), Refusal> {
        let who = theirs.role;
        if theirs.version != self.version {
            return Err(Refusal::Version { who, here: self.version, there: theirs.version });
        }
        if !welcome(who) {
            return Err(Refusal::Role { who });
        }
        if theirs.session != self.session {
            return Err(Refusal::Session { who, here: self.session, there: theirs.session });
        }
        if theirs.plan != self.plan {
            return Err(Refusal::Plan { who, here: self.plan, there: theirs.plan });
        }
        Ok(())
    }
}

/// Why a peer is turned away, for this end's user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another protocol version.
    #[error("{who} speaks version {there} of the protocol, this end version {here}")]
    Version {
        /// The peer, as it says.
        who: Role,
        /// This end's.
        here: u16,
        /// The peer's.
        there: u16,
    },
    /// Somebody who should not be at that end of the link.
    #[error("{who} is at the other end, where another was expected")]
    Role {
        /// The peer, as it says.
        who: Role,
    },
    /// Another session.
    #[error("{who} is in another session: {here} here, {there} there")]
    Session {
        /// The peer, as it says.
        who: Role,
        /// This end's.
        here: SessionId,
        /// The peer's.
        there: SessionId,
    },
    /// Another plan.
    #[error("{who} runs another plan: hash {here} here, {there} there")]
    Plan {
        /// The peer, as it says.
        who: Role,
        /// This end's.
        here: PlanHash,
        /// The peer's.
        there: PlanHash,
    },
}

impl Refusal {
    /// What the peer is told.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            Refusal::Version { .. } => RefusalCode::Version,
            Refusal::Role { .. } => RefusalCode::Role,
            Refusal::Session { .. } => RefusalCode::Session,
            Refusal::Plan { .. } => RefusalCode::Plan,
        }
    }

    /// The party that was turned away, if it was one.
    #[must_use]
    pub fn party(&self) -> Option<Party> {
        let (Refusal::Version { who, .. }
        | Refusal::Role { who }
        | Refusal::Session { who, .. }
        | Refusal::Plan { who, .. }) = self;
        match who {
            Role::Party(party) => Some(*party),
            Role::Owner(_) => None,
        }
    }
}

/// Why a peer turns this end away: all it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// Another protocol version.
    Version,
    /// It expects somebody else.
    Role,
    /// Another session.
    Session,
    /// Another plan.
    Plan,
}

impl RefusalCode {
    const ALL: [RefusalCode; 4] = [RefusalCode::Version, RefusalCode::Role, RefusalCode::Session, RefusalCode::Plan];

    fn code(self) -> u8 {
        match self {
            RefusalCode::Version => 1,
            RefusalCode::Role => 2,
            RefusalCode::Session => 3,
            RefusalCode::Plan => 4,
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusalCode::Version => "it speaks another version of the protocol",
            RefusalCode::Role => "it expects another party at this end",
            RefusalCode::Session => "it is in another session",
            RefusalCode::Plan => "it runs another plan",
        })
    }
}

/// The payload of a verdict frame: zero, or why the peer is turned away.
#[must_use]
pub fn encode_verdict(refusal: Option<RefusalCode>) -> u8 {
    refusal.map_or(0, RefusalCode::code)
}

/// Reads the payload of a verdict frame.
///
/// # Errors
/// [`FrameError::Content`] when it is none.
pub fn decode_verdict(byte: u8) -> Result<Option<RefusalCode>, FrameError> {
    if byte == 0 {
        return Ok(None);
    }
    let known = RefusalCode::ALL.into_iter().find(|code| code.code() == byte);
    known.map(Some).ok_or(FrameError::Content(Kind::Verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(party: u8) -> Hello {
        Hello::new(Role::Party(Party(party)), SessionId([7; 16]), PlanHash([0xab; 32]))
    }

    fn bytes(hello: &Hello) -> [u8; Hello::LEN] {
        hello.encode().try_into().unwrap()
    }

    #[test]
    fn hellos_round_trip() {
        for hello in [hello(2), Hello { role: Role::Owner(9), ..hello(0) }] {
            assert_eq!(Hello::decode(&bytes(&hello)), Ok(hello));
        }
        let mut wrong = bytes(&hello(2));
        wrong[3] = 3;
        assert_eq!(Hello::decode(&wrong), Err(FrameError::Content(Kind::Hello)));
    }

    #[test]
    fn each_difference_is_refused_in_words() {
        let from_p1 = |role| role == Role::Party(Party(1));
        assert_eq!(hello(0).check(&hello(1), from_p1), Ok(()));
        let refused = |theirs: Hello| {
            let refusal = hello(0).check(&theirs, from_p1).unwrap_err();
            let code = Some(refusal.code());
            assert_eq!(decode_verdict(encode_verdict(code)), Ok(code));
            refusal.to_string()
        };
        assert_eq!(
            refused(Hello { plan: PlanHash([0xcd; 32]), ..hello(1) }),
            "P1 runs another plan: hash abababababab.. here, cdcdcdcdcdcd.. there"
        );
        assert_eq!(
            refused(Hello { session: SessionId([8; 16]), ..hello(1) }),
            "P1 is in another session: 070707070707.. here, 080808080808.. there"
        );
        assert_eq!(refused(hello(2)), "P2 is at the other end, where another was expected");
        assert_eq!(
            refused(Hello { version: 9, ..hello(1) }),
            "P1 speaks version 9 of the protocol, this end version 1"
        );
        assert_eq!(decode_verdict(encode_verdict(None)), Ok(None));
        assert_eq!(decode_verdict(9), Err(FrameError::Content(Kind::Verdict)));
    }
}
