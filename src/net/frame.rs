//! Frames: a fixed header, then a payload. Pure; reading and writing them is the link's.
//!
//! ```text
//! 0..4   "smlc"
//! 4      kind
//! 5..8   zero
//! 8..12  round, little-endian
//! 12..20 bytes of payload, little-endian
//! ```

/// Bytes of a header.
pub const HEADER_LEN: usize = 20;

const MAGIC: [u8; 4] = *b"smlc";

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who the sender is and what it runs; see [`crate::net::handshake`].
    Hello,
    /// Whether the sender accepts the receiver's hello.
    Verdict,
    /// The sender is connected with everybody.
    Ready,
    /// One party's messages of one round to another, packed.
    Data,
    /// The run has failed.
    Abort,
    /// The sender is alive.
    KeepAlive,
    /// The sender's run has ended in order.
    Bye,
    /// A named message between an owner and a party; see [`crate::net::owner`].
    Message,
}

impl Kind {
    const ALL: [Kind; 8] =
        [Kind::Hello, Kind::Verdict, Kind::Ready, Kind::Data, Kind::Abort, Kind::KeepAlive, Kind::Bye, Kind::Message];

    fn code(self) -> u8 {
        match self {
            Kind::Hello => 1,
            Kind::Verdict => 2,
            Kind::Ready => 3,
            Kind::Data => 4,
            Kind::Abort => 5,
            Kind::KeepAlive => 6,
            Kind::Bye => 7,
            Kind::Message => 8,
        }
    }
}

/// A frame that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stream carries something else.
    #[error("bytes that are no frame of this protocol")]
    Magic,
    /// A kind that this version does not know.
    #[error("a frame of unknown kind {0}")]
    UnknownKind(u8),
    /// A kind that has no place here.
    #[error("a frame of kind {found:?} in place of {expected:?}")]
    Kind {
        /// What the receiver waits for.
        expected: Kind,
        /// What came.
        found: Kind,
    },
    /// Another round than the receiver is in.
    #[error("a frame of round {found} in round {expected}")]
    Round {
        /// The receiver's round.
        expected: u32,
        /// The frame's.
        found: u32,
    },
    /// Another length than the plan says.
    #[error("a frame of {found} bytes where the plan says {expected}")]
    Length {
        /// What the plan says.
        expected: u64,
        /// What the header announces.
        found: u64,
    },
    /// A payload that does not decode.
    #[error("a malformed {0:?} frame")]
    Content(Kind),
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// The round; zero where none applies.
    pub round: u32,
    /// Bytes that follow.
    pub len: u64,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = self.kind.code();
        out[8..12].copy_from_slice(&self.round.to_le_bytes());
        out[12..].copy_from_slice(&self.len.to_le_bytes());
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`FrameError::Magic`] and [`FrameError::UnknownKind`].
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Header, FrameError> {
        let [m0, m1, m2, m3, kind, z0, z1, z2, r0, r1, r2, r3, len @ ..] = *bytes;
        if [m0, m1, m2, m3] != MAGIC || [z0, z1, z2] != [0; 3] {
            return Err(FrameError::Magic);
        }
        let known = Kind::ALL.into_iter().find(|k| k.code() == kind);
        let kind = known.ok_or(FrameError::UnknownKind(kind))?;
        Ok(Header { kind, round: u32::from_le_bytes([r0, r1, r2, r3]), len: u64::from_le_bytes(len) })
    }
}

/// What a receiver is prepared to take; made from the plan, before anything is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The kind.
    pub kind: Kind,
    /// The round.
    pub round: u32,
    /// Bytes of payload.
    pub len: usize,
}

impl Expect {
    /// Compares a header with the expectation. Only after this may the payload be allocated.
    ///
    /// # Errors
    /// [`FrameError::Kind`], [`FrameError::Round`] or [`FrameError::Length`].
    pub fn check(&self, header: Header) -> Result<(), FrameError> {
        if header.kind != self.kind {
            return Err(FrameError::Kind { expected: self.kind, found: header.kind });
        }
        if header.round != self.round {
            return Err(FrameError::Round { expected: self.round, found: header.round });
        }
        if header.len != self.len as u64 {
            return Err(FrameError::Length { expected: self.len as u64, found: header.len });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip() {
        for kind in Kind::ALL {
            let header = Header { kind, round: 0x0102_0304, len: 1 << 40 };
            assert_eq!(Header::decode(&header.encode()), Ok(header));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let good = Header { kind: Kind::Data, round: 1, len: 2 }.encode();
        for at in [0, 3, 5, 7] {
            let mut bytes = good;
            bytes[at] ^= 1;
            assert_eq!(Header::decode(&bytes), Err(FrameError::Magic), "byte {at}");
        }
        let mut bytes = good;
        bytes[4] = 99;
        assert_eq!(Header::decode(&bytes), Err(FrameError::UnknownKind(99)));
    }

    #[test]
    fn only_the_expected_frame_passes() {
        let expect = Expect { kind: Kind::Data, round: 3, len: 100 };
        let header = Header { kind: Kind::Data, round: 3, len: 100 };
        assert_eq!(expect.check(header), Ok(()));
        let refused = |header| expect.check(header).unwrap_err().to_string();
        assert_eq!(refused(Header { round: 4, ..header }), "a frame of round 4 in round 3");
        assert_eq!(
            refused(Header { len: u64::MAX, ..header }),
            "a frame of 18446744073709551615 bytes where the plan says 100"
        );
        assert_eq!(refused(Header { len: 99, ..header }), "a frame of 99 bytes where the plan says 100");
        assert_eq!(refused(Header { kind: Kind::Bye, ..header }), "a frame of kind Bye in place of Data");
    }
}
