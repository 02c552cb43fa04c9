//! Arithmetic on nodes: chooses between the clear and the ring, keeps track of scales, broadcasts.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic};
use crate::graph::{Constant, Graph, NodeId, Op, Repr, Ty, eval};
use crate::hir::Elem;
use crate::label::Label;
use crate::span::Span;
use crate::syntax::ast::BinaryOp;

/// A graph under construction.
pub(super) struct Builder {
    pub graph: Graph,
    pub diags: Vec<Diagnostic>,
    /// The place that new nodes come from.
    pub span: Span,
    /// What has been shared or encoded at which scale, so that no owner sends a tensor twice.
    pub(super) brought: BTreeMap<(NodeId, u32), NodeId>,
    /// The nodes that count, in order of creation; what became a loop is in the graph still, without edges.
    pub(super) log: Vec<NodeId>,
    /// Low bits that comparisons of `fix` numbers leave unread in the call that is lowered (`approx`).
    pub(super) coarse: u32,
}

impl Builder {
    pub fn new(graph: Graph, span: Span) -> Builder {
        Builder { graph, diags: Vec::new(), span, brought: BTreeMap::new(), log: Vec::new(), coarse: 0 }
    }

    /// Reports an error at the current place, once per place and code.
    pub fn error(&mut self, code: Code, message: impl Into<String>) -> &mut Diagnostic {
        let span = self.span;
        let known = self.diags.iter().position(|d| d.code == code && d.labels.first().is_some_and(|l| l.span == span));
        let index = known.unwrap_or_else(|| {
            self.diags.push(Diagnostic::error(code, span, message));
            self.diags.len() - 1
        });
        &mut self.diags[index]
    }

    pub fn node(&mut self, op: Op, operands: &[NodeId], shape: Vec<usize>, repr: Repr) -> NodeId {
        let id = self.graph.add(op, operands, Ty { shape, repr }, Some(self.span));
        self.log.push(id);
        id
    }

    /// The graph, of the nodes that count.
    pub fn finish(&self) -> Graph {
        let mut out = Graph::new(self.graph.entry.clone(), self.graph.format, self.graph.owners.clone());
        let mut moved: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for id in &self.log {
            let node = self.graph.node(*id);
            let operands: Vec<NodeId> = self.graph.operands(*id).iter().map(|o| moved[o]).collect();
            moved.insert(*id, out.add(node.op.clone(), &operands, node.ty.clone(), node.span));
        }
        out
    }

    /// An operation on one node that keeps its shape and representation.
    pub fn like(&mut self, op: Op, a: NodeId) -> NodeId {
        let Ty { shape, repr } = self.graph.node(a).ty.clone();
        self.node(op, &[a], shape, repr)
    }

    /// An operation on one node that keeps its representation.
    pub fn reshaping(&mut self, op: Op, a: NodeId, shape: Vec<usize>) -> NodeId {
        let repr = self.repr(a);
        self.node(op, &[a], shape, repr)
    }

    /// Joins two tensors along an axis.
    pub fn concat(&mut self, a: NodeId, b: NodeId, axis: usize, elem: Elem, shape: Vec<usize>) -> NodeId {
        let op = Op::Concat { axis };
        if let Some(label) = self.known(&[a, b]) {
            return self.node(op, &[a, b], shape, Repr::Clear(label));
        }
        if elem == Elem::Bool {
            let (left, right) = (self.bit(a, b), self.bit(b, a));
            return self.node(op, &[left, right], shape, Repr::Bit);
        }
        let scale = self.scale(elem);
        let (a, b) = (self.bring(a, scale), self.bring(b, scale));
        self.node(op, &[a, b], shape, Repr::Ring { scale })
    }

    pub fn constant(&mut self, value: f64, shape: &[usize]) -> NodeId {
        self.node(Op::Const(Constant::Splat(value)), &[], shape.to_vec(), Repr::Clear(Label::PUBLIC))
    }

    pub fn shape(&self, a: NodeId) -> &[usize] {
        &self.graph.node(a).ty.shape
    }

    pub fn repr(&self, a: NodeId) -> Repr {
        self.graph.node(a).ty.repr
    }

    /// Fraction bits of the elements of a type in the ring.
    pub fn scale(&self, elem: Elem) -> u32 {
        match elem {
            Elem::Fix => self.graph.format.frac,
            Elem::Int | Elem::Bool => 0,
        }
    }

    /// The joint label when everybody, or one and the same owner, knows all nodes.
    pub fn known(&self, nodes: &[NodeId]) -> Option<Label> {
        let mut joint = Label::PUBLIC;
        for node in nodes {
            let Repr::Clear(label) = self.repr(*node) else { return None };
            joint = joint.join(label);
        }
        (joint.is_public() || joint.single().is_some()).then_some(joint)
    }

    /// The value of a constant that is the same everywhere.
    pub fn splat(&self, a: NodeId) -> Option<f64> {
        match self.graph.node(a).op {
            Op::Const(Constant::Splat(value)) => Some(value),
            _ => None,
        }
    }

    /// Repeats along axes of size 1; a single number fits every shape.
    pub fn broadcast(&mut self, a: NodeId, shape: &[usize]) -> NodeId {
        if self.shape(a) == shape {
            return a;
        }
        if let Some(value) = self.splat(a) {
            return self.constant(value, shape);
        }
        let aligned =
            if self.shape(a).len() == shape.len() { a } else { self.reshaping(Op::Reshape, a, vec![1; shape.len()]) };
        if self.shape(aligned) == shape {
            return aligned;
        }
        self.reshaping(Op::Broadcast, aligned, shape.to_vec())
    }

    /// Whether the node is a smaller tensor's elements, repeated and put in other places.
    fn is_grown(&self, a: NodeId) -> bool {
        let len = self.graph.node(a).ty.len();
        let source = |id: NodeId| match self.graph.node(id).op {
            Op::Broadcast | Op::Gather { .. } | Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } => {
                Some(self.graph.operands(id)[0])
            }
            _ => None,
        };
        std::iter::successors(source(a), |id| source(*id)).any(|id| self.graph.node(id).ty.len() < len)
    }

    /// The node in the ring at a scale: shared by its owner, encoded when public. A broadcast comes after, and so does what
    /// pads or repeats an owner's elements, so that the smaller tensor is shared.
    pub fn bring(&mut self, a: NodeId, scale: u32) -> NodeId {
        let Repr::Clear(label) = self.repr(a) else { return self.rescale(a, scale) };
        if let Some(done) = self.brought.get(&(a, scale)) {
            return *done;
        }
        let shape = self.shape(a).to_vec();
        let op = self.graph.node(a).op.clone();
        let brought = if op == Op::Broadcast || !label.is_public() && self.is_grown(a) {
            let source = self.graph.operands(a)[0];
            let source = self.bring(source, scale);
            self.reshaping(op, source, shape)
        } else if label.is_public() {
            self.check_constant(a, scale);
            self.node(Op::Encode { scale }, &[a], shape, Repr::Public { scale })
        } else {
            self.node(Op::Share { scale }, &[a], shape, Repr::Ring { scale })
        };
        self.brought.insert((a, scale), brought);
        brought
    }

    fn rescale(&mut self, a: NodeId, scale: u32) -> NodeId {
        let have = match self.repr(a) {
            Repr::Ring { scale } | Repr::Public { scale } => scale,
            Repr::Clear(_) | Repr::Bit => return a,
        };
        let shape = self.shape(a).to_vec();
        match have.cmp(&scale) {
            std::cmp::Ordering::Equal => a,
            std::cmp::Ordering::Less => self.node(Op::Up { bits: scale - have }, &[a], shape, Repr::Ring { scale }),
            std::cmp::Ordering::Greater => self.trunc(a, have - scale),
        }
    }

    /// Says when a constant does not survive its encoding.
    fn check_constant(&mut self, a: NodeId, scale: u32) {
        let Some(value) = self.splat(a) else { return };
        let format = self.graph.format;
        match format.encode(value, scale) {
            None => {
                let message = format!("the constant {value} lies outside of the number format");
                self.error(Code::TooLarge, message).help = Some("raise `int`, or scale the computation".into());
            }
            Some(0) if value != 0.0 => {
                let message = format!("the constant {value:e} rounds to zero");
                self.error(Code::Vanishes, message).help = Some("raise `frac`, or scale the computation".into());
            }
            Some(_) => {}
        }
    }

    pub fn trunc(&mut self, a: NodeId, bits: u32) -> NodeId {
        let Repr::Ring { scale } = self.repr(a) else { return a };
        let shape = self.shape(a).to_vec();
        self.node(Op::Trunc { bits }, &[a], shape, Repr::Ring { scale: scale.saturating_sub(bits) })
    }

    /// A binary operator on tensors that broadcast to `shape`.
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId, elem: Elem, shape: &[usize]) -> Option<NodeId> {
        let (op, b) = match op {
            BinaryOp::Div if self.known(&[a, b]).is_none() => (BinaryOp::Mul, self.reciprocal(b)?),
            op => (op, b),
        };
        let (a, b) = (self.broadcast(a, shape), self.broadcast(b, shape));
        Some(match op {
            BinaryOp::Add => self.sum(Op::Add, a, b, elem),
            BinaryOp::Sub => self.sum(Op::Sub, a, b, elem),
            BinaryOp::Mul => self.product(Op::Mul, a, b, elem, shape.to_vec()),
            BinaryOp::Div => {
                let label = self.known(&[a, b])?;
                self.node(Op::Div, &[a, b], shape.to_vec(), Repr::Clear(label))
            }
            BinaryOp::Less => self.less(a, b, elem),
            BinaryOp::Greater => self.less(b, a, elem),
            BinaryOp::LessEqual => {
                let greater = self.less(b, a, elem);
                self.not(greater)
            }
            BinaryOp::GreaterEqual => {
                let less = self.less(a, b, elem);
                self.not(less)
            }
            BinaryOp::Equal => self.equal(a, b, elem),
            BinaryOp::NotEqual => {
                let equal = self.equal(a, b, elem);
                self.not(equal)
            }
            BinaryOp::And => self.and(a, b),
            BinaryOp::Or => {
                let (either, both) = (self.xor(a, b), self.and(a, b));
                self.xor(either, both)
            }
            BinaryOp::Rem => {
                self.error(Code::Unsupported, "`%` is for compile-time sizes");
                return None;
            }
        })
    }

    /// a + b or a - b of equal shapes.
    pub fn sum(&mut self, op: Op, a: NodeId, b: NodeId, elem: Elem) -> NodeId {
        let shape = self.shape(a).to_vec();
        if let Some(label) = self.known(&[a, b]) {
            return self.node(op, &[a, b], shape, Repr::Clear(label));
        }
        let scale = self.scale(elem);
        let (a, b) = (self.bring(a, scale), self.bring(b, scale));
        self.node(op, &[a, b], shape, Repr::Ring { scale })
    }

    /// A bilinear operation: scales add, and a fixed-point result is truncated, unless one side is a constant
    /// integer, which needs no fraction bits.
    pub fn product(&mut self, op: Op, a: NodeId, b: NodeId, elem: Elem, shape: Vec<usize>) -> NodeId {
        if let Some(label) = self.known(&[a, b]) {
            return self.node(op, &[a, b], shape, Repr::Clear(label));
        }
        let frac = self.scale(elem);
        let side = |build: &Builder, node| build.splat(node).map_or(frac, |value| build.constant_scale(value, frac));
        let (left, right) = (side(self, a), side(self, b));
        let (a, b) = (self.bring(a, left), self.bring(b, right));
        let product = self.node(op, &[a, b], shape, Repr::Ring { scale: left + right });
        if left + right > frac { self.trunc(product, left + right - frac) } else { product }
    }

    /// The scale of a constant factor of numbers with `frac` fraction bits.
    pub fn constant_scale(&self, value: f64, frac: u32) -> u32 {
        if frac == 0 { 0 } else { self.graph.format.factor_scale(value) }
    }

    /// 1 / b, computed by whoever knows b.
    fn reciprocal(&mut self, b: NodeId) -> Option<NodeId> {
        if let Some(value) = self.splat(b) {
            let shape = self.shape(b).to_vec();
            return Some(self.constant(1.0 / value, &shape));
        }
        let Some(label) = self.known(&[b]) else {
            self.error(Code::Unsupported, "division by a value that no single owner knows").help =
                Some("multiply by a reciprocal that one owner computes".into());
            return None;
        };
        let shape = self.shape(b).to_vec();
        let one = self.constant(1.0, &shape);
        Some(self.node(Op::Div, &[one, b], shape, Repr::Clear(label)))
    }

    /// The bit a < b.
    fn less(&mut self, a: NodeId, b: NodeId, elem: Elem) -> NodeId {
        let difference = self.sum(Op::Sub, a, b, elem);
        self.is_negative(difference)
    }

    /// The bit a = b.
    fn equal(&mut self, a: NodeId, b: NodeId, elem: Elem) -> NodeId {
        let difference = self.sum(Op::Sub, a, b, elem);
        let shape = self.shape(a).to_vec();
        let repr = if let Repr::Clear(label) = self.repr(difference) { Repr::Clear(label) } else { Repr::Bit };
        self.node(Op::IsZero, &[difference], shape, repr)
    }

    /// A number or tensor that follows from constants alone.
    pub fn constants(&self, a: NodeId) -> Option<Vec<f64>> {
        if let Some(value) = self.splat(a) {
            return Some(vec![value; self.graph.node(a).ty.len()]);
        }
        let (mut part, moved) = self.graph.extract([a]);
        let wanted = moved[&a];
        let ty = part.node(wanted).ty.clone();
        // The only node that nothing uses, so it comes last when loops are written out, too.
        part.add(Op::Reshape, &[wanted], ty, None);
        let part = crate::graph::unroll::unroll(&part);
        let last = part.order().last().copied()?;
        match eval::nodes(&part, &BTreeMap::new(), eval::Mode::Real, &[last]).ok()?.pop()? {
            eval::Elements::Real(values) => Some(values),
            eval::Elements::Ring(_) => None,
        }
    }

    /// Bits of a number that comparisons need not read here.
    pub fn unread(&self, a: NodeId) -> u32 {
        match self.repr(a) {
            Repr::Ring { scale } if scale == self.graph.format.frac => self.coarse,
            Repr::Ring { .. } | Repr::Clear(_) | Repr::Public { .. } | Repr::Bit => 0,
        }
    }

    fn is_negative(&mut self, a: NodeId) -> NodeId {
        let shape = self.shape(a).to_vec();
        let repr = match self.repr(a) {
            Repr::Clear(label) => Repr::Clear(label),
            Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => Repr::Bit,
        };
        self.node(Op::IsNegative { unread: self.unread(a) }, &[a], shape, repr)
    }

    pub fn not(&mut self, a: NodeId) -> NodeId {
        let shape = self.shape(a).to_vec();
        let one = self.constant(1.0, &shape);
        self.xor(a, one)
    }

    fn xor(&mut self, a: NodeId, b: NodeId) -> NodeId {
        let shape = self.shape(a).to_vec();
        if let Some(label) = self.known(&[a, b]) {
            return self.node(Op::Xor, &[a, b], shape, Repr::Clear(label));
        }
        let (a, b) = if matches!(self.repr(a), Repr::Clear(_)) { (b, a) } else { (a, b) };
        let b = if self.repr(b) == Repr::Clear(Label::PUBLIC) { self.bring(b, 0) } else { self.bit(b, a) };
        let a = self.bit(a, a);
        self.node(Op::Xor, &[a, b], shape, Repr::Bit)
    }

    fn and(&mut self, a: NodeId, b: NodeId) -> NodeId {
        let shape = self.shape(a).to_vec();
        if let Some(label) = self.known(&[a, b]) {
            return self.node(Op::And, &[a, b], shape, Repr::Clear(label));
        }
        let (left, right) = (self.bit(a, b), self.bit(b, a));
        self.node(Op::And, &[left, right], shape, Repr::Bit)
    }

    /// A clear bit as a shared one. `other` is a secret bit: its exclusive or with itself, or that of one of its elements,
    /// is the shared zero that a public bit is added to.
    fn bit(&mut self, a: NodeId, other: NodeId) -> NodeId {
        let Repr::Clear(label) = self.repr(a) else { return a };
        let shape = self.shape(a).to_vec();
        if label.is_public() {
            let mut other = self.bit(other, other);
            let mut from = self.shape(other).to_vec();
            if from != shape {
                for axis in 0..from.len() {
                    from[axis] = 1;
                    if self.shape(other)[axis] > 1 {
                        other = self.reshaping(Op::Slice { axis, start: 0, step: 1 }, other, from.clone());
                    }
                }
            }
            let zero = self.node(Op::Xor, &[other, other], from, Repr::Bit);
            let zero = self.broadcast(zero, &shape);
            let public = self.bring(a, 0);
            return self.node(Op::Xor, &[zero, public], shape, Repr::Bit);
        }
        let shared = self.bring(a, 0);
        let negative = self.like(Op::Neg, shared);
        self.is_negative(negative)
    }

    /// b + c (a - b) for c of 0 and 1; no truncation, as c has no fraction. All of one shape.
    fn choose(&mut self, c: NodeId, a: NodeId, b: NodeId, elem: Elem) -> NodeId {
        let (shape, scale) = (self.shape(c).to_vec(), self.scale(elem));
        let difference = self.sum(Op::Sub, a, b, elem);
        let (c, difference) = (self.bring(c, 0), self.bring(difference, scale));
        let part = self.node(Op::Mul, &[c, difference], shape, Repr::Ring { scale });
        self.sum(Op::Add, part, b, elem)
    }

    /// A shared bit as the number 0 or 1.
    fn number(&mut self, bit: NodeId) -> NodeId {
        let shape = self.shape(bit).to_vec();
        let (one, zero) = (self.constant(1.0, &shape), self.constant(0.0, &shape));
        let (one, zero) = (self.bring(one, 0), self.bring(zero, 0));
        self.node(Op::Select, &[bit, one, zero], shape, Repr::Ring { scale: 0 })
    }

    /// The node as a value that can be opened: encoded or shared, at the scale of its elements.
    pub fn ring(&mut self, a: NodeId, elem: Elem) -> NodeId {
        let scale = self.scale(elem);
        self.bring(a, scale)
    }

    /// a where the bit c is 1, b elsewhere. `a` and `b` have one shape; `c` has it too or broadcasts to it.
    pub fn select(&mut self, c: NodeId, a: NodeId, b: NodeId, elem: Elem) -> NodeId {
        let shape = self.shape(a).to_vec();
        if self.shape(c) != shape {
            if self.repr(c) != Repr::Bit {
                let c = self.broadcast(c, &shape);
                return self.select(c, a, b, elem);
            }
            // Few bits for many elements: b + c (a - b) takes each bit as a number once.
            let number = self.number(c);
            let c = self.broadcast(number, &shape);
            return self.choose(c, a, b, elem);
        }
        if let Some(label) = self.known(&[c, a, b]) {
            return self.node(Op::Select, &[c, a, b], shape, Repr::Clear(label));
        }
        if elem == Elem::Bool {
            let differ = self.xor(a, b);
            let taken = self.and(c, differ);
            return self.xor(taken, b);
        }
        let scale = self.scale(elem);
        if matches!(self.repr(c), Repr::Clear(_)) {
            // Somebody knows the bit, so no comparison is needed.
            return self.choose(c, a, b, elem);
        }
        let (a, b) = (self.bring(a, scale), self.bring(b, scale));
        self.node(Op::Select, &[c, a, b], shape, Repr::Ring { scale })
    }
}
