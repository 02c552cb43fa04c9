//! Transports: how the three parties reach one another, and owners reach the parties.
//!
//! ```text
//! frame, handshake, shape    pure: bytes and rules, no socket and no clock
//! memory                     three endpoints in one process
//! io, stream, greet, tcp     an IO thread that carries frames over any byte stream, and TCP under it
//! owner                      named messages between an owner's client and a party
//! ```
//!
//! A run talks to the others through [`Mesh`]. Whatever the transport, these hold:
//! - a payload is read only when its header says the round and the length that the plan expects;
//! - when anything fails anywhere, everybody is told at once and names the party at fault;
//! - a party that computes for long is waited for, one that is gone or frozen is not.
//!
//! Knows parties, rounds and lengths; must never know what the bytes mean.

pub mod error;
pub mod frame;
pub mod handshake;
pub mod io;
pub mod memory;
pub mod owner;
pub mod shape;
mod spares;
pub mod stream;
pub mod tcp;

mod greet;
mod queue;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;

use crate::plan::Party;
pub use error::{AbortReason, Loss, NetError};
pub use handshake::{PlanHash, SessionId};
pub use memory::MemoryMesh;
pub use shape::Shape;
pub use spares::Spares;
pub use stream::{StreamMesh, Timing};

/// A party's connections to the two others.
///
/// Sending never waits for the receiver, so all parties may send first and receive then. After the first error every call
/// returns that error. An endpoint that is dropped before [`Mesh::finish`] fails the run of the others.
pub trait Mesh: Send {
    /// The party this endpoint belongs to.
    fn me(&self) -> Party;

    /// Queues a payload of a round for a peer.
    ///
    /// # Errors
    /// The failure that ended the run, if one has become known.
    fn send(&mut self, to: Party, round: u32, payload: Vec<u8>) -> Result<(), NetError>;

    /// Says what [`Mesh::recv`] will ask a peer for next after what it was said before, so that it can come in the meantime.
    fn expect(&mut self, from: Party, round: u32, len: usize);

    /// Waits for a peer's payload of a round, which must have `len` bytes.
    ///
    /// # Errors
    /// [`NetError`], whichever party is at fault.
    fn recv(&mut self, from: Party, round: u32, len: usize) -> Result<Vec<u8>, NetError>;

    /// Gives up and tells everybody.
    fn abort(&mut self, reason: AbortReason);

    /// Ends the run in order: nothing more will be sent, and what was sent still arrives.
    ///
    /// # Errors
    /// The failure that ended the run, if one has become known.
    fn finish(&mut self) -> Result<(), NetError>;

    /// Payloads to send, and where those that were received go when they are read.
    fn spares(&self) -> &Arc<Spares>;

    /// What was sent and received so far.
    fn traffic(&self) -> Traffic;

    /// The way to peers in this process that takes what stands for a payload. There is none where messages take time that
    /// begins when they are sent.
    fn nearby(&mut self) -> Option<&mut dyn Nearby> {
        None
    }
}

/// Something that stands for a payload and has meaning within this process only.
pub type Parcel = Box<dyn Any + Send>;

/// A [`Mesh`] whose parties are in one process: they may hand each other something instead of a payload's bytes, such as a
/// place in the memory of a GPU. It counts and is checked as the payload.
pub trait Nearby {
    /// Queues a parcel for a payload of `len` bytes.
    ///
    /// # Errors
    /// The failure that ended the run, if one has become known.
    fn hand(&mut self, to: Party, round: u32, len: usize, parcel: Parcel) -> Result<(), NetError>;

    /// Waits for a peer's parcel for a payload of `len` bytes.
    ///
    /// # Errors
    /// [`NetError`], whichever party is at fault.
    fn take(&mut self, from: Party, round: u32, len: usize) -> Result<Parcel, NetError>;
}

/// Data frames in one direction of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// How many.
    pub frames: u64,
    /// Their payloads in bytes, without headers.
    pub payload_bytes: u64,
}

impl Flow {
    fn count(&mut self, payload: usize) {
        self.frames += 1;
        self.payload_bytes += payload as u64;
    }

    /// Bytes of the frames' headers.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        self.frames * frame::HEADER_LEN as u64
    }
}

/// What travelled in a run, by peer; a party's entry for itself stays zero. Handshakes and keep-alive frames are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// To each peer.
    pub sent: [Flow; 3],
    /// From each peer.
    pub received: [Flow; 3],
}

impl Traffic {
    /// Payload bytes to both peers.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.sent.iter().map(|flow| flow.payload_bytes).sum()
    }

    /// Payload bytes from both peers.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.received.iter().map(|flow| flow.payload_bytes).sum()
    }
}

/// The two other parties.
fn peers(me: Party) -> [Party; 2] {
    [me.plus(1), me.plus(2)]
}
