//! Graph to plan: each node becomes rounds by its protocol.
//!
//! Values are kept in the cheapest form until somebody needs another: a product stays one summand a party, a truncation
//! remembers its untruncated summands (the sign of the result is read there), a comparison stays a comparison until its
//! bit is shared or opened, a broadcast is a way of reading.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Builder;
use super::protocol::maximum::{self, Winner};
use super::protocol::select::{Choose, RandomBit, bit_to_ring, choose};
use super::protocol::sign::{self, Prefer};
use super::protocol::{Additive, BitShares, Shares, linear, local, output};
use super::{Access, BufId, Input, Operand, Output, Party, Plan};
use crate::graph::{self, Constant, Graph, Leading, NodeId, Op, Repr};
use crate::span::{Sources, Span};
use slices::{OpenedSlices, Signs, Slice};

mod arithmetic;
mod functions;
mod shape_ops;
mod slices;
mod unsupported;

pub use unsupported::{KEPT, STORED, unsupported};

/// Choices that do not change results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What comparisons spare.
    pub prefer: Prefer,
    /// How tensors are cut into slices.
    pub cut: Cut,
    /// So many elements of a tensor begin in a round: of a larger one, slices wait for others. They need several times the memory of
    /// the tensor for a while; and in a round more, about as many again are computed and sent.
    pub begin: usize,
    /// Whether element programs of which one reads what the other writes become one. Messages are the same words either way;
    /// without it each step is one of its protocol, to look at.
    pub fused: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { prefer: Prefer::default(), cut: Cut::default(), begin: 4 << 20, fused: true }
    }
}

/// How tensors are cut into slices, in each of which every party plays another role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Into as many as it takes for every party to play every role.
    #[default]
    Roles,
    /// The same for those of 4096 elements and more; roles of the others go round from tensor to tensor.
    Large,
    /// Large ones finer, into slices of about so many elements: then some slices are on their way while others are computed.
    Pipeline(usize),
    /// Not at all: roles go round from tensor to tensor. That is fewer steps, by up to six times, for each of which GPUs take longer
    /// than to compute it, if it is small.
    Whole,
}

/// What a node became.
#[derive(Clone, Debug)]
enum Value {
    /// In the clear: nothing in the plan.
    Clear,
    /// The same public word everywhere.
    Splat(u64),
    /// Public words, a copy at each party.
    Public([Operand; 3]),
    /// Replicated shares; after a truncation also the summands it started from.
    Ring(Shares, Option<Signs>),
    /// One summand a party, not yet reshared; of the number, or of twice the number.
    Additive(Additive, bool),
    /// A comparison: the sign of something.
    Sign(Signs),
    /// A shared bit.
    Bit(BitShares),
}

struct Lowering<'g> {
    graph: &'g Graph,
    /// Where the clear nodes are in the clear graph.
    clear: BTreeMap<NodeId, NodeId>,
    b: Builder,
    values: BTreeMap<NodeId, Value>,
    opened: BTreeMap<NodeId, OpenedSlices>,
    leading: BTreeMap<(NodeId, Leading), Shares>,
    /// The bits of nodes along their first axis, where they are at hand.
    planes: BTreeMap<NodeId, Vec<BitShares>>,
    /// The largest of an operand along an axis with bits unread.
    tournaments: BTreeMap<(NodeId, usize, u32), Winner>,
    options: Options,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
}

/// Writes the protocol for a verified graph in which nothing is [`unsupported`].
///
/// # Panics
/// If the graph breaks a rule that `graph::verify` checks.
#[must_use]
pub fn lower(graph: &Graph, sources: &Sources, options: Options) -> Plan {
    let graph = &graph::unroll::unroll(graph);
    let mut lowering = Lowering {
        graph,
        clear: BTreeMap::new(),
        b: Builder::new(graph.format),
        values: BTreeMap::new(),
        opened: BTreeMap::new(),
        leading: BTreeMap::new(),
        planes: BTreeMap::new(),
        tournaments: BTreeMap::new(),
        options,
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let (clear, moved) = graph::eval::clear_part(graph);
    lowering.clear = moved;
    // Results last: who plays which role depends on what was sent before, and not on what else is revealed.
    let (reveals, nodes): (Vec<NodeId>, Vec<NodeId>) =
        graph.order().into_iter().partition(|id| matches!(graph.node(*id).op, Op::Reveal { .. }));
    for id in nodes.into_iter().chain(reveals) {
        lowering.b.span = graph.node(id).span;
        let value = lowering.node(id);
        lowering.values.insert(id, value);
    }
    let Lowering { b, inputs, outputs, options, .. } = lowering;
    let kept: Vec<BufId> = outputs.iter().flat_map(|o| o.bufs).collect();
    let format = b.format;
    let (bufs, rounds) = b.finish(&kept, options.fused);
    let spans: BTreeSet<Span> = rounds
        .iter()
        .flat_map(|r| r.steps.iter().map(|s| s.span).chain(r.sends.iter().map(|s| s.span)))
        .flatten()
        .collect();
    let places = spans.into_iter().map(|s| (s, sources.place(s))).collect();
    Plan {
        entry: graph.entry.clone(),
        format,
        owners: graph.owners.clone(),
        clear: graph::text::print(&clear),
        bufs,
        inputs,
        rounds,
        outputs,
        places,
    }
}

impl Lowering<'_> {
    /// Who uses a node, but for results that only watch it.
    fn users(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.graph.users(id).filter(|user| !self.graph.node(*user).op.watches())
    }

    fn node(&mut self, id: NodeId) -> Value {
        let node = self.graph.node(id);
        if matches!(node.ty.repr, Repr::Clear(_)) && !matches!(node.op, Op::Reveal { .. }) {
            return Value::Clear;
        }
        let operands = self.graph.operands(id);
        let len = node.ty.len();
        match &node.op {
            Op::Share { .. } => self.share(id, len),
            Op::Encode { scale } => self.encode(id, operands[0], *scale, len),
            Op::Add | Op::Sub => self.add(id, &operands, len, matches!(node.op, Op::Sub)),
            Op::Neg => self.each_part("negate", operands[0], len, |m, r| {
                let zero = m.imm(0);
                m.sub(zero, r)
            }),
            Op::Mul => self.multiply(&operands, len),
            Op::MatMul | Op::Conv2d { .. } => self.product(id, &operands, len),
            Op::Trunc { bits } => self.truncate(id, operands[0], *bits, len),
            Op::Up { bits } => {
                let bits = *bits;
                self.each_part("up", operands[0], len, |m, r| m.shl(r, bits))
            }
            Op::Relu { unread } => {
                let signs = self.sign_source(operands[0], *unread);
                Value::Ring(self.relu(operands[0], &signs), None)
            }
            Op::IsNegative { unread } => Value::Sign(self.sign_source(operands[0], *unread)),
            Op::Exp { low, pieces, top } => self.exp(operands[0], *low, *pieces, *top),
            Op::Piecewise(table) => self.piecewise(operands[0], table),
            Op::Leading(what) => self.leading(operands[0], *what),
            Op::IsZero => self.is_zero(operands[0], len),
            Op::OneHot { places } => self.one_hot(operands[0], *places),
            Op::Bits { count } => self.bits(id, operands[0], *count),
            Op::FromBits => self.number_from_bits(operands[0], len),
            Op::AnyAbove => self.any_above(id, operands[0]),
            Op::Random { ones } => self.random(*ones, len),
            Op::Xor | Op::And => self.boolean(&operands, len, matches!(node.op, Op::And)),
            Op::Select => self.select(&operands, len),
            Op::Argmax { axis, unread } => self.argmax(operands[0], *axis, *unread, len),
            Op::Max { axis, unread } => self.max(operands[0], *axis, *unread, len),
            Op::MaxPool { window, unread } => self.max_pool(operands[0], window, *unread),
            Op::Reshape => self.reshape(operands[0]),
            Op::Broadcast => self.broadcast(id, operands[0]),
            Op::Transpose { .. } | Op::Slice { .. } => self.view(id, operands[0]),
            Op::Gather { axis, index } => self.gather(operands[0], *axis, index),
            Op::Concat { axis } => self.concat(id, &operands, *axis),
            Op::Sum { axis } => self.sum(id, operands[0], *axis),
            Op::SumPool { window } => self.sum_pool(id, operands[0], window),
            Op::Reveal { name, to } => {
                let mut scale = match self.graph.node(operands[0]).ty.repr {
                    Repr::Ring { scale } | Repr::Public { scale } => scale,
                    Repr::Bit | Repr::Clear(_) => 0,
                };
                let x = if let Value::Additive(z, true) = self.values[&operands[0]] {
                    // Only what watches sees it before its truncation.
                    scale += 1;
                    linear::reshare(&mut self.b, &z, len)
                } else if let Repr::Bit = self.graph.node(operands[0]).ty.repr {
                    let opened = self.opened(operands[0]);
                    let slices = opened.iter().map(|(slice, opened, r)| {
                        let r = r.arithmetic(&mut self.b);
                        (*slice, bit_to_ring(&mut self.b, opened, &r, slice.len))
                    });
                    let slices: Vec<(Slice, Shares)> = slices.collect();
                    Shares::join(&mut self.b, &slices)
                } else {
                    self.ring(operands[0])
                };
                let bufs = self.output(&x, len);
                self.outputs.push(Output { name: name.clone(), to: *to, shape: node.ty.shape.clone(), scale, bufs });
                Value::Clear
            }
            Op::Stored { .. } | Op::Keep { .. } | Op::Gradient => {
                unreachable!("{:?} is refused by `unsupported`", node.op)
            }
            Op::Loop(_) | Op::Final { .. } | Op::Arg { .. } | Op::Yield { .. } => {
                unreachable!("loops are written out before")
            }
            Op::Input { .. } | Op::Const(_) | Op::Div => unreachable!("{:?} is always in the clear", node.op),
        }
    }

    /// What a receiver of a tensor gets: slice by slice if it is one of large slices, so that each is masked where it is made.
    fn output(&mut self, x: &Shares, len: usize) -> [BufId; 2] {
        let lens = slices::large_seams(&self.b, x, len).unwrap_or_else(|| vec![len]);
        let mut start = 0;
        let halves: Vec<[BufId; 2]> = lens
            .into_iter()
            .map(|slice| {
                let part = if slice == len { *x } else { local::part(&mut self.b, x, start, slice, 0) };
                start += slice;
                output::output(&mut self.b, &part, slice)
            })
            .collect();
        [0, 1].map(|half| {
            let slices: Vec<BufId> = halves.iter().map(|halves| halves[half]).collect();
            self.b.join(&slices)
        })
    }

    /// An owner's tensor arrives as shares.
    fn share(&mut self, id: NodeId, len: usize) -> Value {
        let operand = self.graph.operands(id)[0];
        let owner = match self.graph.node(operand).ty.repr {
            Repr::Clear(label) => label.single(),
            Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => None,
        };
        let at = [(); 2].map(|()| Party::ALL.map(|p| self.b.input(p, len)));
        let owner = Some(owner.expect("only an owner's tensor is shared").0);
        self.inputs.push(Input { node: self.clear[&id].index() as u32, owner, len, bufs: at });
        Value::Ring(Shares::dense(at), None)
    }

    /// A public tensor is an immediate when it is constant, else every party's own input.
    fn encode(&mut self, id: NodeId, operand: NodeId, scale: u32, len: usize) -> Value {
        if let Op::Const(Constant::Splat(x)) = self.graph.node(operand).op {
            let word = self.graph.format.encode(x, scale).expect("constants were checked against the number format");
            return Value::Splat(word);
        }
        let bufs = Party::ALL.map(|p| self.b.input(p, len));
        self.inputs.push(Input { node: self.clear[&id].index() as u32, owner: None, len, bufs: [bufs, bufs] });
        Value::Public(bufs.map(Operand::from))
    }

    fn len(&self, id: NodeId) -> usize {
        self.graph.node(id).ty.len()
    }

    /// The node as replicated shares; a product is reshared now, once.
    fn ring(&mut self, id: NodeId) -> Shares {
        let len = self.len(id);
        let shares = match self.values[&id].clone() {
            Value::Ring(shares, _) => return shares,
            Value::Additive(z, false) => linear::reshare(&mut self.b, &z, len),
            Value::Additive(_, true) => unreachable!("{id:?} is only truncated, and is shared"),
            Value::Splat(word) => local::constant(&mut self.b, word, len),
            Value::Public(at) => {
                local::each_share(&mut self.b, "constant", len, &[&Shares { at: [at, at] }], |m, j, r| {
                    if j == 0 { r[0] } else { m.imm(0) }
                })
            }
            Value::Clear | Value::Sign(_) | Value::Bit(_) => unreachable!("{id:?} is no ring value"),
        };
        self.values.insert(id, Value::Ring(shares, None));
        shares
    }

    /// The node as replicated shares in dense buffers.
    fn dense(&mut self, id: NodeId) -> Shares {
        let shares = self.ring(id);
        let len = self.len(id);
        let dense = local::dense_shares(&mut self.b, &shares, len);
        if let Value::Ring(kept, _) = self.values.get_mut(&id).expect("operands come first") {
            *kept = dense;
        }
        dense
    }

    /// Public words of the node at each party as dense buffers.
    fn public(&mut self, id: NodeId) -> [BufId; 3] {
        let len = self.len(id);
        let ring = self.b.ring();
        match self.values[&id].clone() {
            Value::Public(at) => Party::ALL.map(|p| local::dense(&mut self.b, at[p.index()], p, len)),
            Value::Splat(word) => Party::ALL.map(|p| {
                let mut m = self.b.ring_map(p, "constant", len);
                let word = m.imm(word);
                let out = m.write(word, ring);
                m.finish();
                out
            }),
            other => unreachable!("{other:?} is not public"),
        }
    }

    /// Where the sign of a ring value is read, but for its lowest bits: before its truncation when there was one.
    fn sign_source(&mut self, id: NodeId, unread: u32) -> Signs {
        if let Value::Ring(_, Some(signs)) = &self.values[&id] {
            return signs.clone().without(unread);
        }
        let len = self.len(id);
        let shares = self.ring(id);
        let slices = self.following(&shares, len);
        let shares = self.sliceable(id, &slices);
        let Repr::Ring { scale } = self.graph.node(id).ty.repr else { unreachable!("signs are of ring values") };
        // One bit more than the format: differences of two numbers in range are compared too.
        let width = (self.graph.format.int + scale + 1).min(self.b.ring());
        let signs = slices.iter().map(|slice| {
            let part = shares.slice(&mut self.b, slice);
            maximum::own_sign(&mut self.b, &part, width, slice.roles, slice.len)
        });
        Signs(signs.collect()).without(unread)
    }

    fn relu(&mut self, operand: NodeId, signs: &Signs) -> Shares {
        let x = if signs.0.len() > 1 { self.dense(operand) } else { self.ring(operand) };
        let slices = signs.slices().map(|(slice, source)| {
            let part = x.slice(&mut self.b, &slice);
            (slice, maximum::relu(&mut self.b, &part, source, self.options.prefer))
        });
        let slices: Vec<(Slice, Shares)> = slices.collect();
        Shares::join(&mut self.b, &slices)
    }

    /// The bit of a node opened under a random mask, and that mask ready for products.
    fn opened(&mut self, id: NodeId) -> OpenedSlices {
        if let Some(found) = self.opened.get(&id) {
            return found.clone();
        }
        let opened: OpenedSlices = match self.values[&id].clone() {
            Value::Sign(signs) => {
                let slices = signs.slices().map(|(slice, source)| {
                    let earliest = source.summands.earliest(&self.b);
                    self.b.not_before(earliest);
                    let opened = sign::open_sign(&mut self.b, &source.summands, source.window, self.options.prefer);
                    let r = RandomBit::prepare(&mut self.b, opened.r, slice.roles, slice.len);
                    self.b.not_before(0);
                    (slice, opened, r)
                });
                slices.collect()
            }
            _ => {
                let (bit, slice) = (self.bit(id), slices::whole(&self.b, self.len(id)));
                let opened = sign::open(&mut self.b, &bit, slice.len);
                vec![(slice, opened, RandomBit::prepare(&mut self.b, opened.r, slice.roles, slice.len))]
            }
        };
        self.opened.insert(id, opened.clone());
        opened
    }

    /// Whether a bit is opened under its mask, sooner or later: then its shares follow from that.
    fn is_opened(&self, id: NodeId) -> bool {
        let opens = |user: NodeId| match self.graph.node(user).op {
            Op::Select => self.graph.operands(user)[0] == id,
            Op::Reveal { .. } => true,
            _ => false,
        };
        self.opened.contains_key(&id) || self.users(id).any(opens)
    }

    /// The node as a replicated bit.
    fn bit(&mut self, id: NodeId) -> BitShares {
        match self.values[&id].clone() {
            Value::Bit(bit) => bit,
            Value::Sign(_) if self.is_opened(id) => {
                let slices = self.opened(id).into_iter().map(|(slice, opened, _)| {
                    let bit = sign::of_opened(&mut self.b, &opened, slice.len);
                    (slice, bit)
                });
                let slices: Vec<(Slice, BitShares)> = slices.collect();
                let len = self.len(id);
                let bit = BitShares::join(&mut self.b, &slices, len);
                self.values.insert(id, Value::Bit(bit));
                bit
            }
            Value::Sign(signs) => {
                let slices = signs.slices().map(|(slice, source)| {
                    let earliest = source.summands.earliest(&self.b);
                    self.b.not_before(earliest);
                    let bit = sign::sign(&mut self.b, &source.summands, source.window, self.options.prefer);
                    self.b.not_before(0);
                    (slice, bit)
                });
                let slices: Vec<(Slice, BitShares)> = slices.collect();
                let len = self.len(id);
                let bit = BitShares::join(&mut self.b, &slices, len);
                self.values.insert(id, Value::Bit(bit));
                bit
            }
            other => unreachable!("{other:?} is no bit"),
        }
    }

    fn boolean(&mut self, operands: &[NodeId], len: usize, and: bool) -> Value {
        let [x, y] = [operands[0], operands[1]];
        let (x, y) = if matches!(self.values[&x], Value::Splat(_) | Value::Public(_)) { (y, x) } else { (x, y) };
        let bit = self.bit(x);
        Value::Bit(match self.values[&y].clone() {
            Value::Splat(word) if and => {
                if word & 1 == 1 {
                    bit
                } else {
                    shape_ops::constant_bit(&mut self.b, 0, len)
                }
            }
            Value::Splat(word) => {
                let constant = shape_ops::constant_bit(&mut self.b, word & 1, len);
                sign::xor(&mut self.b, "xor", &[bit, constant], len)
            }
            Value::Public(_) => {
                let words = self.public(y);
                shape_ops::with_public(&mut self.b, &bit, words, and, len)
            }
            _ => {
                let other = self.bit(y);
                if and {
                    sign::and(&mut self.b, &bit, &other, len)
                } else {
                    sign::xor(&mut self.b, "xor", &[bit, other], len)
                }
            }
        })
    }

    /// `b + c (a - b)`.
    fn select(&mut self, operands: &[NodeId], len: usize) -> Value {
        let opened = self.opened(operands[0]);
        let (x, y) = (self.ring(operands[1]), self.ring(operands[2]));
        let d = local::each_share(&mut self.b, "difference", len, &[&x, &y], |m, _, r| m.sub(r[0], r[1]));
        let y = if opened.len() > 1 { self.dense(operands[2]) } else { y };
        let slices = opened.iter().map(|(slice, opened, r)| {
            let (d, y) = (d.slice(&mut self.b, slice), y.slice(&mut self.b, slice));
            let dr = r.times(&mut self.b, &d);
            (*slice, choose(&mut self.b, opened, Choose::Set, &d, &dr, Some(&y), slice.len))
        });
        let slices: Vec<(Slice, Shares)> = slices.collect();
        Value::Ring(Shares::join(&mut self.b, &slices), None)
    }
}

/// The access that reads a tensor of shape `from` as one of shape `to`, when one repeat suffices.
fn repeat_access(from: &[usize], to: &[usize]) -> Option<Access> {
    let full: Vec<usize> = (0..to.len()).filter(|a| from[*a] == to[*a] && to[*a] > 1).collect();
    let (Some(first), Some(last)) = (full.first(), full.last()) else {
        return Some(Access::Repeat { inner: 1, len: 1, start: 0 });
    };
    let contiguous = (*first..=*last).all(|a| from[a] == to[a]);
    let inner = to[last + 1..].iter().product();
    contiguous.then(|| Access::Repeat { inner, len: to[*first..=*last].iter().product(), start: 0 })
}
