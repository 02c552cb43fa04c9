//! The dataflow graph: what is computed, on which shapes, by whom; nothing of how parties talk.
//!
//! # What the graph means
//! A node is one tensor. Its [`Ty`] says the concrete shape and the representation ([`Repr`]):
//!
//! * `Clear(label)`: an f64 tensor held in the clear. A public label: everybody can compute it. One owner:
//!   that owner computes it before sharing ("owner-local"). Never more than one owner.
//! * `Public { scale }`: ring elements everybody knows: `round(x * 2^scale)`.
//! * `Ring { scale }`: replicated shares of ring elements at `scale` fraction bits.
//! * `Bit`: replicated Boolean shares of one bit an element.
//!
//! A loop is one [`Op::Loop`] node with a graph of its own for a turn ([`Loop`]); turns that differ in more than the
//! values they work on are nodes one after the other.
//!
//! The scale is explicit: [`Op::Mul`] adds scales, [`Op::Trunc`] lowers one, [`Op::Up`] raises one, and `Add` wants equal
//! ones. Elementwise operations want equal shapes; broadcasting is the explicit [`Op::Broadcast`].
//! `lower` writes the graph, `verify` checks these rules after every pass, `eval` is the oracle that says what it computes.

pub mod eval;
mod functions;
pub mod lower;
pub mod ranges;
mod repeat;
pub mod text;
pub mod unroll;
pub mod verify;
mod walk;

use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;

use crate::fixed::Format;
use crate::label::{Label, OwnerId};
use crate::span::Span;
pub use functions::{Leading, Piecewise};
pub use repeat::Loop;

/// A node of the graph.
pub type NodeId = NodeIndex<u32>;

/// Who learns a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Receiver {
    /// One owner.
    Owner(OwnerId),
    /// Every owner.
    All,
}

/// How a tensor is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repr {
    /// f64 in the clear, at one owner or public.
    Clear(Label),
    /// Ring elements known to everybody.
    Public {
        /// Fraction bits.
        scale: u32,
    },
    /// Replicated shares over the ring.
    Ring {
        /// Fraction bits; 0 for integers.
        scale: u32,
    },
    /// Replicated Boolean shares.
    Bit,
}

/// A tensor has at most so many elements; `lower` refuses larger ones and `verify` holds every graph to it.
pub const MAX_ELEMENTS: usize = 1 << 32;

/// Shape and representation of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ty {
    /// Sizes, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// How it is held.
    pub repr: Repr,
}

impl Ty {
    /// Number of elements, or the largest number when there are more.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |len, n| len.saturating_mul(*n))
    }

    /// True when there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A [`Op::Gather`] names at most so many indices.
pub const MAX_INDICES: usize = 1 << 22;

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// The same value everywhere.
    Splat(f64),
    /// Row-major values.
    Dense(Vec<f64>),
}

/// Geometry of a two-dimensional window over `[N, C, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Steps down and right.
    pub stride: [usize; 2],
    /// Rows and columns added on each side.
    pub pad: [usize; 2],
    /// Rows and columns from one place of the window to the next; `[1, 1]` for pools.
    #[serde(default = "undilated", skip_serializing_if = "is_undilated")]
    pub dilation: [usize; 2],
}

fn undilated() -> [usize; 2] {
    [1, 1]
}

fn is_undilated(dilation: &[usize; 2]) -> bool {
    *dilation == [1, 1]
}

impl Window {
    /// The largest size, stride and padding of a window.
    pub const MAX: usize = 1 << 16;

    /// A max pool takes the largest of at most so many places: each is a slice of its own in the plan.
    pub const MAX_PLACES: usize = 1 << 12;

    /// A window whose places are neighbours.
    #[must_use]
    pub fn new(size: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Window {
        Window { size, stride, pad, dilation: [1, 1] }
    }

    /// Whether all its numbers are usable: sizes, strides and dilations from 1 to [`Window::MAX`], padding up to it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let all = self.size.into_iter().chain(self.stride).chain(self.dilation);
        all.into_iter().all(|n| (1..=Window::MAX).contains(&n)) && self.pad.into_iter().all(|n| n <= Window::MAX)
    }

    /// Height times width.
    #[must_use]
    pub fn places(&self) -> usize {
        self.size[0].saturating_mul(self.size[1])
    }

    /// Whether the places are neighbours.
    #[must_use]
    pub fn is_solid(&self) -> bool {
        self.dilation == [1, 1]
    }

    /// Output height and width for an input of `h` by `w`; `None` when the window does not fit.
    #[must_use]
    pub fn output(&self, h: usize, w: usize) -> Option<[usize; 2]> {
        let one = |n: usize, i: usize| {
            let padded = n.checked_add(self.pad[i].checked_mul(2)?)?;
            let reach = self.size[i].checked_sub(1)?.checked_mul(self.dilation[i])?.checked_add(1)?;
            Some(padded.checked_sub(reach)?.checked_div(self.stride[i])? + 1)
        };
        Some([one(h, 0)?, one(w, 1)?])
    }
}

/// Every operation. Operand order is the order of the node's incoming edges.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// An input tensor in the clear, by the path of its parameter: `image`, `net.conv1.weight`.
    Input {
        /// Field path.
        path: String,
    },
    /// Shares that the parties have kept from an earlier run, by the path of their parameter.
    Stored {
        /// Field path.
        path: String,
    },
    /// A constant in the clear.
    Const(Constant),
    /// Clear at one owner -> `Ring { scale }`: encoded and shared by the owner.
    Share {
        /// Fraction bits of the encoding.
        scale: u32,
    },
    /// Clear public -> `Public { scale }`: encoded by everybody.
    Encode {
        /// Fraction bits of the encoding.
        scale: u32,
    },
    /// a + b.
    Add,
    /// a - b.
    Sub,
    /// -a.
    Neg,
    /// a * b elementwise; scales add.
    Mul,
    /// a / b elementwise, in the clear only.
    Div,
    /// `[.., M, K] x [.., K, N]`; scales add. Leading axes equal.
    MatMul,
    /// `[N, C, H, W]` with `[O, C / groups, KH, KW]` -> `[N, O, OH, OW]`; scales add. The window's size is the kernel's.
    Conv2d {
        /// Kernel size, stride, padding.
        window: Window,
        /// Channel groups.
        groups: usize,
    },
    /// The same elements in row-major order under another shape.
    Reshape,
    /// Axis `i` of the result is axis `perm[i]` of the operand.
    Transpose {
        /// A permutation of the axes.
        perm: Vec<usize>,
    },
    /// Repeats along axes of size 1 (the operand has as many axes as the result).
    Broadcast,
    /// Joins operands along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Elements `start, start + step, ...` (as many as the result's axis has) of one axis.
    Slice {
        /// The axis.
        axis: usize,
        /// First index.
        start: usize,
        /// Distance.
        step: usize,
    },
    /// Elements of one axis by their indices, in any order and as often as named; `None` is 0.
    Gather {
        /// The axis.
        axis: usize,
        /// For each element of the result's axis the operand's index.
        index: Vec<Option<usize>>,
    },
    /// Sum over an axis, which stays with size 1.
    Sum {
        /// The axis.
        axis: usize,
    },
    /// Sum over each window (padding counts as zero).
    SumPool {
        /// The window.
        window: Window,
    },
    /// Largest of each window (padding is never the largest).
    MaxPool {
        /// The window.
        window: Window,
        /// As for `IsNegative`.
        unread: u32,
    },
    /// Largest along an axis, which stays with size 1.
    Max {
        /// The axis.
        axis: usize,
        /// As for `IsNegative`.
        unread: u32,
    },
    /// Index of the first largest along an axis, which is dropped; scale 0.
    Argmax {
        /// The axis.
        axis: usize,
        /// As for `IsNegative`.
        unread: u32,
    },
    /// max(a, 0).
    Relu {
        /// As for `IsNegative`.
        unread: u32,
    },
    /// e^a for `low <= a < low + pieces - 1` and results below `2^top`; elsewhere without meaning.
    Exp {
        /// The least number, a whole one.
        low: i64,
        /// Pieces of width 1, a power of two; the last lies before `low`.
        pieces: usize,
        /// Bits of a result before its point.
        top: u32,
    },
    /// A polynomial of each piece of an interval.
    Piecewise(Box<Piecewise>),
    /// What follows from the highest bit of a > 0 (with its fraction, `2^(e-1) <= a < 2^e`); 0 for a = 0.
    Leading(Leading),
    /// The bit `a == 0`.
    IsZero,
    /// The lowest `count` bits of a in units, negative numbers in two's complement: a first axis, the lowest bit first.
    Bits {
        /// How many.
        count: u32,
    },
    /// The whole number whose bits lie along the first axis, lowest first; scale 0.
    FromBits,
    /// Along the first axis of bits: whether this one or one after it is set.
    AnyAbove,
    /// Shared bits that nobody knows, each 1 with a probability of `ones / 2^16`.
    Random {
        /// The probability in parts of 2^16, from 1 to 2^16 - 1.
        ones: u32,
    },
    /// A last axis of `places`, 1 where a (modulo `places`) is and 0 elsewhere; of integers.
    OneHot {
        /// How many, a power of two.
        places: usize,
    },
    /// The bit `a < 0`.
    IsNegative {
        /// Low bits that the comparison does not read: a number above `-2^unread` may pass for one that is not
        /// negative. 0 unless the author asks for less (`approx`).
        unread: u32,
    },
    /// Exclusive or of bits; one operand may be public.
    Xor,
    /// And of bits.
    And,
    /// Bit c, a, b -> a where c is 1, b elsewhere.
    Select,
    /// Divides by `2^bits` with stochastic rounding; lowers the scale.
    Trunc {
        /// Bits dropped.
        bits: u32,
    },
    /// Multiplies by `2^bits`; raises the scale, not the value.
    Up {
        /// Bits added.
        bits: u32,
    },
    /// Turns that all compute the same. A loop has no value: `Final` nodes take its values.
    Loop(Box<Loop>),
    /// A value that a loop (the operand) ends with, by its position among the turn's `Yield`s.
    Final {
        /// Position.
        index: usize,
    },
    /// In a loop's turn: what comes in.
    Arg {
        /// Position among the turn's arguments: carried, then invariant, then scanned ones.
        index: usize,
    },
    /// In a loop's turn: what goes to the next turn, or out of the last.
    Yield {
        /// Position; the first ones go to the carried arguments.
        index: usize,
    },
    /// The derivative of the first operand, a single number, by the second; of the second's shape. The second may be an
    /// owner's clear tensor, from which the first is computed by way of what that owner shares. A pass of the
    /// training compiler takes its place.
    Gradient,
    /// A result that stays with the parties, for a later run's `Stored`.
    Keep {
        /// The result's name, as for `Reveal`.
        name: String,
    },
    /// A result of the entry. Ring -> whoever receives it.
    Reveal {
        /// The result's name: `out`, or `out.0`, ... for several. One that begins with `@` only watches a value: how the
        /// parties compute does not depend on it.
        name: String,
        /// Who learns it.
        to: Receiver,
    },
}

impl Op {
    /// Whether it is a result that only watches a value.
    #[must_use]
    pub fn watches(&self) -> bool {
        matches!(self, Op::Reveal { name, .. } if name.starts_with('@'))
    }
}

/// A node's payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Shape and representation.
    pub ty: Ty,
    /// The expression it comes from.
    pub span: Option<Span>,
}

/// A dataflow graph for one entry with all sizes known.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Nodes; an edge's weight is the operand's position.
    pub dag: StableDiGraph<Node, u32, u32>,
    /// The number format.
    pub format: Format,
    /// Names of the data owners.
    pub owners: Vec<String>,
    /// The entry's name.
    pub entry: String,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(entry: impl Into<String>, format: Format, owners: Vec<String>) -> Graph {
        Graph { dag: StableDiGraph::default(), format, owners, entry: entry.into() }
    }

    /// Appends a node.
    pub fn add(&mut self, op: Op, operands: &[NodeId], ty: Ty, span: Option<Span>) -> NodeId {
        let id = self.dag.add_node(Node { op, ty, span });
        for (position, operand) in operands.iter().enumerate() {
            self.dag.add_edge(*operand, id, position as u32);
        }
        id
    }

    /// The payload of a node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.dag[id]
    }

    /// Operands in order.
    #[must_use]
    pub fn operands(&self, id: NodeId) -> Vec<NodeId> {
        let mut edges: Vec<(u32, NodeId)> =
            self.dag.edges_directed(id, Direction::Incoming).map(|e| (*e.weight(), e.source())).collect();
        edges.sort_unstable();
        edges.into_iter().map(|(_, source)| source).collect()
    }

    /// Nodes that use this one, each once per use, in no stable order.
    pub fn users(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.dag.neighbors_directed(id, Direction::Outgoing)
    }

    /// Replaces the operands of a node.
    pub fn set_operands(&mut self, id: NodeId, operands: &[NodeId]) {
        let old: Vec<_> = self.dag.edges_directed(id, Direction::Incoming).map(|e| e.id()).collect();
        for edge in old {
            self.dag.remove_edge(edge);
        }
        for (position, operand) in operands.iter().enumerate() {
            self.dag.add_edge(*operand, id, position as u32);
        }
    }

    /// Makes every user of `old` use `new` instead (but never `new` itself).
    pub fn replace_uses(&mut self, old: NodeId, new: NodeId) {
        self.replace_uses_outside(old, new, &std::collections::BTreeSet::from([new]));
    }

    /// Makes the users of `old` that are not in `inside` use `new` instead.
    pub fn replace_uses_outside(&mut self, old: NodeId, new: NodeId, inside: &std::collections::BTreeSet<NodeId>) {
        let edges: Vec<_> = self
            .dag
            .edges_directed(old, Direction::Outgoing)
            .map(|e| (e.id(), e.target(), *e.weight()))
            .filter(|(_, target, _)| !inside.contains(target))
            .collect();
        for (edge, target, position) in edges {
            self.dag.remove_edge(edge);
            self.dag.add_edge(new, target, position);
        }
    }
}
