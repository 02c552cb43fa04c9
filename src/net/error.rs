//! What can go wrong between parties, and the few bytes that tell it to the others.

use std::time::Duration;

use crate::net::frame::FrameError;
use crate::net::handshake::{Refusal, RefusalCode};
use crate::plan::Party;

/// Why a party tells the others to stop. Peers learn this and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortReason {
    /// The connection to that party is gone, or it fell silent.
    Lost(Party),
    /// That party sent something that the plan does not say.
    Protocol(Party),
    /// Its own computation failed.
    Failed,
    /// Its user stopped it.
    Cancelled,
    /// Its endpoint went away in the middle of the run.
    Left,
    /// The owners' client went away, or sent something that the plan does not say.
    Owners,
}

impl std::fmt::Display for AbortReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AbortReason::Lost(party) => write!(f, "it lost {party}"),
            AbortReason::Protocol(party) => write!(f, "{party} did not follow the plan"),
            AbortReason::Failed => f.write_str("its computation failed"),
            AbortReason::Cancelled => f.write_str("its user cancelled the run"),
            AbortReason::Left => f.write_str("it left in the middle of the run"),
            AbortReason::Owners => f.write_str("its link to the owners failed"),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The peer closed it.
    Closed,
    /// The peer closed it inside of a frame.
    Truncated {
        /// Bytes that were still to come.
        missing: usize,
    },
    /// The operating system reports an error.
    Broken(String),
    /// The peer ended its run in order, although the plan expects more from it.
    Finished,
    /// Another party lost it and told us.
    ToldBy(Party),
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Loss::Closed => f.write_str("it closed the connection"),
            Loss::Truncated { missing } => {
                write!(f, "it closed the connection {missing} bytes before the end of a frame")
            }
            Loss::Broken(reason) => f.write_str(reason),
            Loss::Finished => f.write_str("it has finished its run"),
            Loss::ToldBy(party) => write!(f, "{party} reports it"),
        }
    }
}

/// A failed run, with the party at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// A party is gone.
    #[error("lost {0}: {1}")]
    Lost(Party, Loss),
    /// A party gave up.
    #[error("{by} stopped the run: {reason}")]
    Aborted {
        /// Who.
        by: Party,
        /// Why.
        reason: AbortReason,
    },
    /// A party sent a frame that the plan does not say.
    #[error("{0} sent {1}")]
    Frame(Party, FrameError),
    /// A party has shown no sign of life.
    #[error("{0} has been silent for {seconds:.1} s", seconds = .1.as_secs_f64())]
    Timeout(Party, Duration),
    /// A party could not be reached in time.
    #[error("{0} could not be reached within {seconds:.1} s{why}", seconds = .1.as_secs_f64(), why = because(.2))]
    Unreachable(Party, Duration, Option<String>),
    /// The owners' clients did not come in time.
    #[error("only {found} of {expected} owners connected within {seconds:.1} s", seconds = within.as_secs_f64())]
    Owners {
        /// How many came.
        found: usize,
        /// How many were to come.
        expected: usize,
        /// The deadline.
        within: Duration,
    },
    /// This party turned a peer away.
    #[error("{0}")]
    Refused(Refusal),
    /// A peer turned this party away.
    #[error("{0} refuses the connection: {1}")]
    RefusedBy(Party, RefusalCode),
    /// The own address cannot be used.
    #[error("cannot listen on `{address}`: {reason}")]
    Listen {
        /// As configured.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// The IO thread cannot be started.
    #[error("cannot start the network thread: {0}")]
    Start(String),
}

fn because(reason: &Option<String>) -> String {
    reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"))
}

impl NetError {
    /// The party at fault, where it is a party.
    #[must_use]
    pub fn party(&self) -> Option<Party> {
        match self {
            NetError::Aborted { reason: AbortReason::Lost(party) | AbortReason::Protocol(party), .. } => Some(*party),
            NetError::Lost(party, _)
            | NetError::Aborted {
                by: party,
                reason: AbortReason::Failed | AbortReason::Cancelled | AbortReason::Left | AbortReason::Owners,
            }
            | NetError::Frame(party, _)
            | NetError::Timeout(party, _)
            | NetError::Unreachable(party, ..)
            | NetError::RefusedBy(party, _) => Some(*party),
            NetError::Refused(refusal) => refusal.party(),
            NetError::Owners { .. } | NetError::Listen { .. } | NetError::Start(_) => None,
        }
    }

    /// What the others are told when this happens to `me`.
    pub(super) fn abort(&self, me: Party) -> Abort {
        let reason = match self {
            NetError::Lost(party, Loss::ToldBy(by)) => return Abort { by: *by, reason: AbortReason::Lost(*party) },
            NetError::Aborted { by, reason } => return Abort { by: *by, reason: *reason },
            NetError::Lost(party, _) | NetError::Timeout(party, _) | NetError::Unreachable(party, ..) => {
                AbortReason::Lost(*party)
            }
            NetError::Frame(party, _) => AbortReason::Protocol(*party),
            NetError::Owners { .. }
            | NetError::Refused(_)
            | NetError::RefusedBy(..)
            | NetError::Listen { .. }
            | NetError::Start(_) => AbortReason::Failed,
        };
        Abort { by: me, reason }
    }
}

/// The content of an abort frame: who gave up first, and why. It is passed on unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abort {
    pub by: Party,
    pub reason: AbortReason,
}

impl Abort {
    /// Bytes of the content.
    pub const LEN: usize = 3;
    const NOBODY: u8 = 0xff;

    /// Who, reason code, whom it is about.
    pub fn encode(self) -> [u8; Abort::LEN] {
        let (code, about) = match self.reason {
            AbortReason::Lost(party) => (1, party.0),
            AbortReason::Protocol(party) => (2, party.0),
            AbortReason::Failed => (3, Abort::NOBODY),
            AbortReason::Cancelled => (4, Abort::NOBODY),
            AbortReason::Left => (5, Abort::NOBODY),
            AbortReason::Owners => (6, Abort::NOBODY),
        };
        [self.by.0, code, about]
    }

    /// `None` when the bytes are no abort.
    pub fn decode(bytes: [u8; Abort::LEN]) -> Option<Abort> {
        let party = |n: u8| (n < 3).then_some(Party(n));
        let [by, code, about] = bytes;
        let reason = match (code, party(about)) {
            (1, Some(about)) => AbortReason::Lost(about),
            (2, Some(about)) => AbortReason::Protocol(about),
            (3, None) => AbortReason::Failed,
            (4, None) => AbortReason::Cancelled,
            (5, None) => AbortReason::Left,
            (6, None) => AbortReason::Owners,
            _ => return None,
        };
        Some(Abort { by: party(by)?, reason })
    }

    /// The error it means to `me`: a loss that another party saw is that party's loss, not the messenger's.
    pub fn error(self, me: Party) -> NetError {
        match self.reason {
            AbortReason::Lost(party) if party != me => NetError::Lost(party, Loss::ToldBy(self.by)),
            reason => NetError::Aborted { by: self.by, reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aborts_round_trip_and_garbage_is_refused() {
        for reason in [
            AbortReason::Lost(Party(2)),
            AbortReason::Protocol(Party(0)),
            AbortReason::Failed,
            AbortReason::Cancelled,
            AbortReason::Left,
            AbortReason::Owners,
        ] {
            let abort = Abort { by: Party(1), reason };
            assert_eq!(Abort::decode(abort.encode()), Some(abort));
        }
        for bytes in [[3, 3, 0xff], [0, 1, 3], [0, 0, 0], [0, 9, 0xff]] {
            assert_eq!(Abort::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_relayed_loss_names_the_lost_party() {
        let told = Abort { by: Party(1), reason: AbortReason::Lost(Party(2)) }.error(Party(0));
        assert_eq!(told.to_string(), "lost P2: P1 reports it");
        assert_eq!(told.party(), Some(Party(2)));
        assert_eq!(told.abort(Party(0)), Abort { by: Party(1), reason: AbortReason::Lost(Party(2)) });
    }
}
