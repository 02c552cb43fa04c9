//! Between an owner's client and a party: named messages over a link of their own.
//!
//! Inputs go in, outputs come out, and at the end of a run a report or a failure (both JSON). The receiver decides by kind and name what
//! it has room for, before the content is allocated.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::net::error::Loss;
use crate::net::frame::{FrameError, Header, Kind};
use crate::net::handshake::Role;
use crate::net::io::{Io, ReadError, Stream, read_header, read_payload, write_frame};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Shares of an input, by its owner's name.
    Input,
    /// Asks for a run on the inputs that are there; no name, no content.
    Run,
    /// A part of an output, by the output's name.
    Output,
    /// Counters at the end of a run, JSON.
    Report,
    /// Why there is no result, JSON.
    Failure,
}

impl MessageKind {
    const ALL: [MessageKind; 5] =
        [MessageKind::Input, MessageKind::Run, MessageKind::Output, MessageKind::Report, MessageKind::Failure];

    fn code(self) -> u8 {
        match self {
            MessageKind::Input => 1,
            MessageKind::Output => 2,
            MessageKind::Report => 3,
            MessageKind::Failure => 4,
            MessageKind::Run => 5,
        }
    }
}

/// A named message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is about.
    pub kind: MessageKind,
    /// At most 255 bytes.
    pub name: String,
    /// The content.
    pub payload: Vec<u8>,
}

impl Message {
    /// A message.
    #[must_use]
    pub fn new(kind: MessageKind, name: impl Into<String>, payload: Vec<u8>) -> Message {
        Message { kind, name: name.into(), payload }
    }
}

/// The content may be secret: only its length is shown.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} `{}`, {} bytes", self.kind, self.name, self.payload.len())
    }
}

/// How much a receiver takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// That many bytes and no others.
    Exactly(usize),
    /// Up to that many.
    AtMost(usize),
}

impl Room {
    fn fits(self, len: u64) -> bool {
        match self {
            Room::Exactly(room) => len == room as u64,
            Room::AtMost(room) => len <= room as u64,
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Room::Exactly(room) => write!(f, "{room}"),
            Room::AtMost(room) => write!(f, "at most {room}"),
        }
    }
}

/// What a receiver answers to a message's kind and name: its room, or nothing when the message has no place.
pub type Admit<'a> = &'a dyn Fn(MessageKind, &str) -> Option<Room>;

/// A link to an owner or to a party that has failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer}: {fault}")]
pub struct LinkError {
    /// Who is at the other end.
    pub peer: Role,
    /// What happened.
    pub fault: Fault,
}

/// What happened to a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The other end is gone.
    #[error("{0}")]
    Lost(Loss),
    /// Nothing came in time.
    #[error("nothing came for {seconds:.1} s", seconds = .0.as_secs_f64())]
    Silent(Duration),
    /// Something that is no message.
    #[error("sent {0}")]
    Frame(FrameError),
    /// A message that has no place here.
    #[error("sent an unexpected message {0:?} `{1}`")]
    Unexpected(MessageKind, String),
    /// A message of another length.
    #[error("sent {found} bytes as `{name}`, expected {room}")]
    Length {
        /// The message's name.
        name: String,
        /// What would fit.
        room: Room,
        /// What was announced.
        found: u64,
    },
    /// A name of more than 255 bytes, which cannot be sent.
    #[error("the name `{0}` is longer than 255 bytes")]
    Name(String),
}

/// One end of a link between an owner and a party.
pub trait OwnerLink: Send {
    /// Who is at the other end.
    fn peer(&self) -> Role;

    /// Sends a message; waits while the other end has too much to read.
    ///
    /// # Errors
    /// [`LinkError`] when the other end is gone.
    fn send(&mut self, message: Message) -> Result<(), LinkError>;

    /// Waits for a message that `admit` has room for, at most `patience` between any two bytes if that is given.
    ///
    /// # Errors
    /// [`LinkError`].
    fn recv(&mut self, patience: Option<Duration>, admit: Admit) -> Result<Message, LinkError>;
}

/// Compares an announced message with the receiver's room.
fn admitted(admit: Admit, kind: MessageKind, name: &str, len: u64) -> Result<(), Fault> {
    let room = admit(kind, name).ok_or_else(|| Fault::Unexpected(kind, name.to_owned()))?;
    if room.fits(len) { Ok(()) } else { Err(Fault::Length { name: name.to_owned(), room, found: len }) }
}

/// Messages that a link within one process holds before its sender waits.
const WAITING: usize = 2;

/// A link within one process.
pub struct MemoryLink {
    peer: Role,
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
}

impl MemoryLink {
    /// The two ends of a link: the first for `a`, the second for `b`.
    #[must_use]
    pub fn pair(a: Role, b: Role) -> (MemoryLink, MemoryLink) {
        let (to_b, from_a) = sync_channel(WAITING);
        let (to_a, from_b) = sync_channel(WAITING);
        (MemoryLink { peer: b, sender: to_b, receiver: from_b }, MemoryLink { peer: a, sender: to_a, receiver: from_a })
    }

    fn error(&self, fault: Fault) -> LinkError {
        LinkError { peer: self.peer, fault }
    }
}

impl OwnerLink for MemoryLink {
    fn peer(&self) -> Role {
        self.peer
    }

    fn send(&mut self, message: Message) -> Result<(), LinkError> {
        self.sender.send(message).map_err(|_| self.error(Fault::Lost(Loss::Closed)))
    }

    fn recv(&mut self, patience: Option<Duration>, admit: Admit) -> Result<Message, LinkError> {
        let message = match patience {
            None => self.receiver.recv().map_err(|_| Fault::Lost(Loss::Closed)),
            Some(patience) => self.receiver.recv_timeout(patience).map_err(|error| match error {
                RecvTimeoutError::Timeout => Fault::Silent(patience),
                RecvTimeoutError::Disconnected => Fault::Lost(Loss::Closed),
            }),
        };
        let checked = message.and_then(|message| {
            admitted(admit, message.kind, &message.name, message.payload.len() as u64)?;
            Ok(message)
        });
        checked.map_err(|fault| self.error(fault))
    }
}

/// A link over a byte stream.
///
/// A message is a frame whose payload is: the kind, the name's length, the name, the content.
pub struct StreamLink {
    io: Arc<Io>,
    peer: Role,
    stream: Box<dyn Stream>,
}

impl StreamLink {
    /// A link to `peer` over a connected stream, on which the handshake is done.
    #[must_use]
    pub fn new(io: Arc<Io>, peer: Role, stream: impl Stream) -> StreamLink {
        StreamLink { io, peer, stream: Box::new(stream) }
    }

    fn error(&self, fault: Fault) -> LinkError {
        LinkError { peer: self.peer, fault }
    }
}

impl OwnerLink for StreamLink {
    fn peer(&self) -> Role {
        self.peer
    }

    fn send(&mut self, message: Message) -> Result<(), LinkError> {
        let Ok(name_len) = u8::try_from(message.name.len()) else {
            return Err(self.error(Fault::Name(message.name)));
        };
        let mut content = vec![message.kind.code(), name_len];
        content.extend(message.name.as_bytes());
        content.extend(message.payload);
        let header = Header { kind: Kind::Message, round: 0, len: content.len() as u64 };
        let sent = self.io.wait(write_frame(&mut self.stream, header, &content));
        sent.map_err(|error| self.error(Fault::Lost(Loss::Broken(error.to_string()))))
    }

    fn recv(&mut self, patience: Option<Duration>, admit: Admit) -> Result<Message, LinkError> {
        let received = self.io.wait(read_message(&mut self.stream, patience, admit));
        received.map_err(|fault| self.error(fault))
    }
}

async fn read_message(
    stream: &mut Box<dyn Stream>,
    patience: Option<Duration>,
    admit: Admit<'_>,
) -> Result<Message, Fault> {
    let malformed = || Fault::Frame(FrameError::Content(Kind::Message));
    let header = read_header(stream, patience).await?;
    if header.kind != Kind::Message {
        return Err(Fault::Frame(FrameError::Kind { expected: Kind::Message, found: header.kind }));
    }
    let rest = header.len.checked_sub(2).ok_or_else(malformed)?;
    let start = read_payload(stream, 2, patience).await?;
    let kind = MessageKind::ALL.into_iter().find(|kind| kind.code() == start[0]).ok_or_else(malformed)?;
    let rest = rest.checked_sub(u64::from(start[1])).ok_or_else(malformed)?;
    let name = read_payload(stream, usize::from(start[1]), patience).await?;
    let name = String::from_utf8(name).map_err(|_| malformed())?;
    admitted(admit, kind, &name, rest)?;
    let len = usize::try_from(rest).map_err(|_| malformed())?;
    let payload = read_payload(stream, len, patience).await?;
    Ok(Message { kind, name, payload })
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Fault {
        match error {
            ReadError::Loss(loss) => Fault::Lost(loss),
            ReadError::Silent(patience) => Fault::Silent(patience),
            ReadError::Frame(error) => Fault::Frame(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Party;

    fn ends() -> Vec<(Box<dyn OwnerLink>, Box<dyn OwnerLink>)> {
        let (owner, party) = (Role::Owner(0), Role::Party(Party(1)));
        let memory = MemoryLink::pair(owner, party);
        let io = Io::start().unwrap();
        let (a, b) = tokio::io::duplex(1 << 16);
        let stream = (StreamLink::new(Arc::clone(&io), party, a), StreamLink::new(io, owner, b));
        vec![(Box::new(memory.0), Box::new(memory.1)), (Box::new(stream.0), Box::new(stream.1))]
    }

    const PATIENCE: Option<Duration> = Some(Duration::from_millis(50));

    fn admit(kind: MessageKind, name: &str) -> Option<Room> {
        match (kind, name) {
            (MessageKind::Input, "image") => Some(Room::Exactly(4)),
            (MessageKind::Report, _) => Some(Room::AtMost(10)),
            _ => None,
        }
    }

    #[test]
    fn messages_arrive_by_name() {
        for (mut owner, mut party) in ends() {
            let input = Message::new(MessageKind::Input, "image", vec![1, 2, 3, 4]);
            let report = Message::new(MessageKind::Report, "", b"{}".to_vec());
            owner.send(input.clone()).unwrap();
            owner.send(report.clone()).unwrap();
            assert_eq!(party.recv(PATIENCE, &admit), Ok(input));
            assert_eq!(party.recv(PATIENCE, &admit), Ok(report));
        }
    }

    #[test]
    fn what_has_no_room_is_refused_and_the_owner_named() {
        for (message, text) in [
            (Message::new(MessageKind::Input, "image", vec![0; 5]), "owner 0: sent 5 bytes as `image`, expected 4"),
            (Message::new(MessageKind::Report, "r", vec![0; 11]), "owner 0: sent 11 bytes as `r`, expected at most 10"),
            (Message::new(MessageKind::Input, "net", vec![]), "owner 0: sent an unexpected message Input `net`"),
        ] {
            for (mut owner, mut party) in ends() {
                owner.send(message.clone()).unwrap();
                assert_eq!(party.recv(PATIENCE, &admit).unwrap_err().to_string(), text);
            }
        }
    }

    #[test]
    fn silence_and_loss() {
        for (owner, mut party) in ends() {
            let silent = party.recv(PATIENCE, &admit).unwrap_err();
            assert_eq!(silent.fault, Fault::Silent(Duration::from_millis(50)));
            drop(owner);
            assert_eq!(party.recv(None, &admit).unwrap_err().to_string(), "owner 0: it closed the connection");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let message = Message::new(MessageKind::Input, "image", b"secret".to_vec());
        assert_eq!(format!("{message:?}"), "Input `image`, 6 bytes");
    }
}
