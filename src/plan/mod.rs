//! The plan: an explicit three-party protocol. What it lists is everything a party does and sends.
//!
//! # What a plan means
//! Each party runs the rounds in order. In a round it launches its steps in order, sends at most one packed message to each
//! peer (the round's [`Send`]s from it to that peer, in order), and receives theirs. A buffer received in round r may be
//! used from round r + 1 on. When exactly it sends and waits, and in which pieces, is its [`course`]. Keys: party i holds
//! stream keys i and i + 1 (mod 3); replicated share i of a tensor is at party i and party i - 1.
//!
//! Sizes are concrete. A buffer belongs to one party and is written once.

pub mod build;
pub mod cost;
pub mod course;
pub mod file;
pub mod joint;
pub mod kept;
mod kernel;
pub mod layout;
pub mod lower;
pub mod passing;
pub mod program;
pub mod protocol;
pub mod text;
pub mod verify;

use serde::{Deserialize, Serialize};

use crate::fixed::Format;
use crate::graph::Receiver;
use crate::span::Span;
pub use kernel::{Bound, Kernel, Lookup, Product, Term, View, are_places, sums};
pub use program::{Instr, Program, Reg};

crate::id! {
    /// A buffer of one party.
    BufId, "b"
}

/// One of the three computing parties: 0, 1 or 2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Party(pub u8);

impl Party {
    /// All three.
    pub const ALL: [Party; 3] = [Party(0), Party(1), Party(2)];

    /// The party `steps` further round the circle.
    #[must_use]
    pub fn plus(self, steps: u8) -> Party {
        Party((self.0 + steps) % 3)
    }

    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether the party holds stream key `key`: its own number and the next.
    #[must_use]
    pub fn holds_key(self, key: u8) -> bool {
        key == self.0 || key == (self.0 + 1) % 3
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "P{}", self.0)
    }
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "P{}", self.0)
    }
}

/// Storage of one party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buf {
    /// Who has it.
    pub party: Party,
    /// Elements a plane.
    pub len: usize,
    /// Planes; 1 for ring buffers.
    pub planes: usize,
    /// Bits of an element that mean anything and travel: 1 for planes, else 2..=64.
    pub width: u32,
    /// Where its elements are, if they are some of another buffer's: then it has no storage of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// Consecutive elements of a ring buffer, which is of the same party and width and itself no part. A part neither
/// travels nor arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The buffer.
    pub of: BufId,
    /// Its first element that is meant.
    pub start: usize,
}

impl Buf {
    /// A buffer of ring elements with storage of its own.
    #[must_use]
    pub fn ring(party: Party, len: usize, width: u32) -> Buf {
        Buf { party, len, planes: 1, width, part: None }
    }

    /// A buffer of bit planes.
    #[must_use]
    pub fn bits(party: Party, len: usize, planes: usize) -> Buf {
        Buf { party, len, planes, width: 1, part: None }
    }

    /// Elements of this ring buffer, which is `of` and no part.
    fn section(&self, of: BufId, start: usize, len: usize) -> Buf {
        Buf { part: Some(Part { of, start }), ..Buf::ring(self.party, len, self.width) }
    }

    /// The buffer with the storage, and the first element there.
    #[must_use]
    pub fn storage(&self, id: BufId) -> (BufId, usize) {
        self.part.map_or((id, 0), |part| (part.of, part.start))
    }

    /// Words a plane: `len` for ring buffers, `ceil(len / 64)` for bits.
    #[must_use]
    pub fn stride(&self) -> usize {
        if self.width == 1 { self.len.div_ceil(64) } else { self.len }
    }

    /// Words in all; plane p starts at word `p * stride()`.
    #[must_use]
    pub fn words(&self) -> usize {
        self.stride() * self.planes
    }

    /// Bytes in a device's memory: whole words.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.words() as u64).saturating_mul(8)
    }

    /// Bytes on the wire: each plane packs `len * width` bits and is padded to a whole byte.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        (self.len * self.width as usize).div_ceil(8) * self.planes
    }
}

/// How a program reads an operand: word `i` of the output belongs to word ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Access {
    /// `i`.
    Dense,
    /// `((start + i) / inner) % len`: a tensor of `len` elements broadcast over the axes around and inside of its own, from
    /// element `start` on.
    Repeat {
        /// Elements inside of the axis.
        inner: usize,
        /// Size of the axis.
        len: usize,
        /// Less than `inner * len`.
        start: usize,
    },
    /// Of a plane program, on words: word `i` of its plane j holds bit `from + j` of elements `64 i` to `64 i + 63`, to each of
    /// which `add` is added first, modulo 2^64; zeros past the last one.
    Bits {
        /// Added first.
        add: u64,
        /// The bit that plane 0 holds.
        from: u32,
    },
}

/// An operand of an element program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operand {
    /// What is read.
    pub buf: BufId,
    /// How it is addressed.
    pub access: Access,
}

impl Operand {
    /// The bits from `from` on of the words of a buffer, to which `add` is added.
    #[must_use]
    pub fn bits(buf: BufId, add: u64, from: u32) -> Operand {
        Operand { buf, access: Access::Bits { add, from } }
    }
}

/// A pseudorandom stream: key `key`, domain `id`. No two different uses share a `(key, id)`.
///
/// Element `e` of plane `p` of a stream of `bits`-bit elements over `len` elements a plane: see [`Stream::class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// Which of the three keys.
    pub key: u8,
    /// The plan-wide number of this use.
    pub id: u32,
    /// Bits of an element: 1 for planes, else 2..=64.
    pub bits: u32,
}

impl Stream {
    /// Bits of keystream an element takes: 1 (planes), 8, 16, 32 or 64. Ring element `e` is the `e`-th little-endian
    /// integer of that width in the keystream, reduced to its low `bits` bits. Plane `p`, word `i` is the 64-bit
    /// little-endian integer number `p * ceil(len / 64) + i`.
    #[must_use]
    pub fn class(&self) -> u32 {
        match self.bits {
            1 => 1,
            2..=8 => 8,
            9..=16 => 16,
            17..=32 => 32,
            _ => 64,
        }
    }
}

/// A kernel launch at one party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Who launches it.
    pub party: Party,
    /// What is launched.
    pub kernel: Kernel,
    /// Operands.
    pub ins: Vec<Operand>,
    /// Streams of a `Map`.
    pub streams: Vec<Stream>,
    /// Results; each is written by this step alone, and entirely.
    pub outs: Vec<BufId>,
    /// Whether the results serve for all runs on the same inputs: the step reads nothing else, and draws no stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// The expression it serves.
    pub span: Option<Span>,
    /// Buffers of this party that nothing uses after this step.
    pub free: Vec<BufId>,
}

/// A transfer in a round: `from`'s buffer arrives as `to`'s buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Sender.
    pub from: Party,
    /// Receiver.
    pub to: Party,
    /// The sender's buffer.
    pub source: BufId,
    /// The receiver's buffer, alike in length, planes and width.
    pub target: BufId,
    /// What the protocol calls it: `D`, `open`.
    pub name: String,
    /// For a summand of a value that is opened on purpose: the stream number of the random bit that masks it.
    pub opening: Option<u32>,
    /// The expression it serves.
    pub span: Option<Span>,
    /// Buffers of the sender that nothing uses after this transfer.
    pub free: Vec<BufId>,
}

/// One round of the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Kernel launches of all parties, in order.
    pub steps: Vec<Step>,
    /// Transfers, in packing order.
    pub sends: Vec<Send>,
}

/// A tensor that enters the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The number of the `Share` or `Encode` node of the clear graph that yields it.
    pub node: u32,
    /// Who shares it; `None` when it is public.
    pub owner: Option<u32>,
    /// Elements.
    pub len: usize,
    /// Shared: share j at party j and at party j - 1: `[[a0, a1, a2], [b0, b1, b2]]` with a_i = share i and b_i = share i + 1 at party i.
    /// Public: the same value in `bufs[0]` at each party; `bufs[1]` repeats it.
    pub bufs: [[BufId; 3]; 2],
}

/// A tensor that leaves the protocol: the receiver adds P0's and P1's buffers modulo 2^ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The result's name.
    pub name: String,
    /// Who learns it.
    pub to: Receiver,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Fraction bits.
    pub scale: u32,
    /// At P0: x0 + x1 + F(k1); at P1: x2 - F(k1).
    pub bufs: [BufId; 2],
}

/// A whole protocol for one entry with all sizes known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The entry's name.
    pub entry: String,
    /// The number format.
    pub format: Format,
    /// Owners' names.
    pub owners: Vec<String>,
    /// What owners (and, for public values, everybody) compute in the clear first: a graph in text form.
    pub clear: String,
    /// Buffers, indexed by [`BufId`].
    pub bufs: Vec<Buf>,
    /// What comes in.
    pub inputs: Vec<Input>,
    /// The protocol.
    pub rounds: Vec<Round>,
    /// What goes out.
    pub outputs: Vec<Output>,
    /// Lines of the model that spans refer to: `(span, "file:line:col")`, sorted by span.
    pub places: Vec<(Span, String)>,
}

impl Plan {
    /// The buffer behind an id.
    #[must_use]
    pub fn buf(&self, id: BufId) -> &Buf {
        &self.bufs[id.index()]
    }

    /// Whether a buffer is there before the first round.
    #[must_use]
    pub fn is_input(&self, id: BufId) -> bool {
        self.inputs.iter().any(|input| input.bufs.iter().flatten().any(|buf| *buf == id))
    }

    /// `file:line:col` of a span, when the plan knows it.
    #[must_use]
    pub fn place(&self, span: Option<Span>) -> Option<&str> {
        let span = span?;
        let found = self.places.binary_search_by_key(&span, |(s, _)| *s).ok()?;
        Some(&self.places[found].1)
    }

    /// Communication rounds: rounds in which something travels between parties.
    #[must_use]
    pub fn communication_rounds(&self) -> usize {
        self.rounds.iter().filter(|r| !r.sends.is_empty()).count()
    }

    /// Transfers that open a value under a random bit.
    #[must_use]
    pub fn openings(&self) -> usize {
        self.rounds.iter().flat_map(|r| &r.sends).filter(|s| s.opening.is_some()).count()
    }
}
