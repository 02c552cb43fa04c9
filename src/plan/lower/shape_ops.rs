//! Lowering of rearrangement, sums, pooling and tournaments: what moves elements rather than combining shares.

use super::{Lowering, ROLES, Value, repeat_access};
use crate::fixed::pow2;
use crate::graph::{Graph, NodeId, Op, Repr, Window};
use crate::plan::build::Builder;
use crate::plan::protocol::maximum::{self, Entrant, Width};
use crate::plan::protocol::{BitShares, BitSource, Shares, local};
use crate::plan::{Bound, BufId, Kernel, Operand, Party, Product, View};

/// Row-major strides in words.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The sizes of a matrix product or convolution node.
pub(super) fn product(graph: &Graph, id: NodeId) -> Product {
    let operands = graph.operands(id);
    let [x, y] = [&graph.node(operands[0]).ty.shape, &graph.node(operands[1]).ty.shape];
    if let Op::Conv2d { window, groups } = &graph.node(id).op {
        return Product::Conv2d { n: x[0], c: x[1], h: x[2], w: x[3], o: y[0], window: *window, groups: *groups };
    }
    let rank = x.len();
    Product::MatMul { batch: x[..rank - 2].iter().product(), m: x[rank - 2], k: x[rank - 1], n: y[rank - 1] }
}

/// A public bit as replicated shares.
pub(super) fn constant_bit(b: &mut Builder, bit: u64, len: usize) -> BitShares {
    let planes = Party::ALL.map(|party| {
        let mut m = b.plane_map(party, "constant", len);
        let (word, zero) = (m.imm(0u64.wrapping_sub(bit)), m.imm(0));
        let planes = [0, 1].map(|part| if party.plus(part).0 == 0 { word } else { zero });
        let out = m.write_planes(&planes);
        m.finish();
        out
    });
    BitShares::from_fn(|j, party| BitSource::Plane(planes[party.index()], usize::from(j != party.0)))
}

/// A shared bit with one that everybody knows, as a word at each party: and is local to both shares, exclusive or to
/// share 0.
pub(super) fn with_public(b: &mut Builder, bit: &BitShares, words: [BufId; 3], and: bool, len: usize) -> BitShares {
    let planes = Party::ALL.map(|party| b.to_planes(party, words[party.index()], 0, 0, 1));
    let outs = Party::ALL.map(|party| {
        let mut m = b.plane_map(party, if and { "and" } else { "xor" }, len);
        let (shares, public) = (m.bits(bit), m.read_plane(planes[party.index()], 0));
        let parts = [0, 1].map(|part| {
            let share = shares[usize::from(part)];
            match (and, party.plus(part).0) {
                (true, _) => m.and(share, public),
                (false, 0) => m.xor(share, public),
                (false, _) => share,
            }
        });
        let out = m.write_planes(&parts);
        m.finish();
        out
    });
    BitShares::from_fn(|j, party| BitSource::Plane(outs[party.index()], usize::from(j != party.0)))
}

impl Lowering<'_> {
    pub(super) fn reshape(&mut self, operand: NodeId) -> Value {
        // Row-major order stays, so the words stay; a broadcast must become words first.
        match self.values[&operand].clone() {
            Value::Ring(..) => {
                let source = if let Value::Ring(_, source) = &self.values[&operand] { *source } else { None };
                Value::Ring(self.dense(operand), source)
            }
            Value::Public(_) => Value::Public(self.public(operand).map(Operand::from)),
            other => other,
        }
    }

    pub(super) fn broadcast(&mut self, id: NodeId, operand: NodeId) -> Value {
        let to = self.graph.node(id).ty.shape.clone();
        let from = self.graph.node(operand).ty.shape.clone();
        if let Value::Splat(word) = self.values[&operand] {
            return Value::Splat(word);
        }
        if matches!(self.values[&operand], Value::Sign(_) | Value::Bit(_)) {
            return self.moved(operand, to.iter().product(), &Kernel::Copy(broadcast_view(&from, &to)));
        }
        let access = repeat_access(&from, &to);
        if let Value::Public(_) = self.values[&operand] {
            let at = self.public(operand);
            return Value::Public(Party::ALL.map(|p| match access {
                Some(access) => Operand { buf: at[p.index()], access },
                None => {
                    let kernel = Kernel::Copy(broadcast_view(&from, &to));
                    self.b.launch(p, kernel, &[at[p.index()]], to.iter().product()).into()
                }
            }));
        }
        let shares = self.dense(operand);
        let shares = match access {
            Some(access) => Shares { at: shares.at.map(|row| row.map(|o| Operand { access, ..o })) },
            None => local::copy(&mut self.b, &shares, &broadcast_view(&from, &to)),
        };
        Value::Ring(shares, None)
    }

    /// Transposition and slices.
    pub(super) fn view(&mut self, id: NodeId, operand: NodeId) -> Value {
        let shape = self.graph.node(id).ty.shape.clone();
        let old = strides(&self.graph.node(operand).ty.shape);
        let view = match &self.graph.node(id).op {
            Op::Transpose { perm } => {
                View { shape, strides: perm.iter().map(|a| old[*a]).collect(), start: 0, bounds: Vec::new(), fill: 0 }
            }
            Op::Slice { axis, start, step } => {
                let mut strides = old.clone();
                strides[*axis] *= step;
                View { shape, strides, start: (start * old[*axis]) as i64, bounds: Vec::new(), fill: 0 }
            }
            other => unreachable!("{other:?} is no view"),
        };
        self.copy(operand, &view)
    }

    fn copy(&mut self, operand: NodeId, view: &View) -> Value {
        if let Value::Splat(word) = self.values[&operand] {
            return Value::Splat(word);
        }
        self.moved(operand, view.shape.iter().product(), &Kernel::Copy(view.clone()))
    }

    /// Elements of an axis by their indices; a missing one is 0 in every share.
    pub(super) fn gather(&mut self, operand: NodeId, axis: usize, index: &[Option<usize>]) -> Value {
        if let (Value::Splat(word), false) = (&self.values[&operand], index.contains(&None)) {
            return Value::Splat(*word);
        }
        let shape = &self.graph.node(operand).ty.shape;
        let [outer, inner] = [&shape[..axis], &shape[axis + 1..]].map(|s| s.iter().product::<usize>());
        let kernel = Kernel::Gather { outer, axis: shape[axis], inner, index: index.to_vec() };
        self.moved(operand, outer * index.len() * inner, &kernel)
    }

    /// A kernel that takes elements to other places, on each share or on public words.
    fn moved(&mut self, operand: NodeId, len: usize, kernel: &Kernel) -> Value {
        if let Value::Sign(_) | Value::Bit(_) = self.values[&operand] {
            let from = (self.bit(operand), self.len(operand));
            return Value::Bit(local::move_bits(&mut self.b, &[from], len, kernel));
        }
        if let Value::Splat(_) | Value::Public(_) = self.values[&operand] {
            let at = self.public(operand);
            return Value::Public(Party::ALL.map(|p| self.b.launch(p, kernel.clone(), &[at[p.index()]], len).into()));
        }
        // What is sent later is not to grow, and not to be sent twice.
        if self.graph.users(operand).count() == 1 && len <= self.len(operand) {
            return self.linear_kernel(operand, len, kernel);
        }
        let x = self.dense(operand);
        Value::Ring(local::launch_shares(&mut self.b, &[x], len, |_| kernel.clone()), None)
    }

    pub(super) fn concat(&mut self, id: NodeId, operands: &[NodeId], axis: usize) -> Value {
        let shape = &self.graph.node(id).ty.shape;
        let outer = shape[..axis].iter().product();
        let inner: usize = shape[axis + 1..].iter().product();
        let chunks: Vec<usize> = operands.iter().map(|o| self.graph.node(*o).ty.shape[axis] * inner).collect();
        let len = self.len(id);
        if self.graph.node(id).ty.repr == Repr::Bit {
            let bits: Vec<(BitShares, usize)> = operands.iter().map(|o| (self.bit(*o), self.len(*o))).collect();
            return Value::Bit(local::move_bits(&mut self.b, &bits, len, &Kernel::Concat { outer, chunks }));
        }
        let shares: Vec<Shares> = operands.iter().map(|o| self.dense(*o)).collect();
        let kernel = Kernel::Concat { outer, chunks };
        Value::Ring(local::launch_shares(&mut self.b, &shares, len, |_| kernel.clone()), None)
    }

    pub(super) fn sum(&mut self, id: NodeId, operand: NodeId, axis: usize) -> Value {
        let shape = &self.graph.node(operand).ty.shape;
        let kernel = Kernel::Sum {
            outer: shape[..axis].iter().product(),
            axis: shape[axis],
            inner: shape[axis + 1..].iter().product(),
        };
        self.linear_kernel(operand, self.len(id), &kernel)
    }

    pub(super) fn sum_pool(&mut self, id: NodeId, operand: NodeId, window: &Window) -> Value {
        let shape = &self.graph.node(operand).ty.shape;
        let kernel = Kernel::SumPool { planes: shape[0] * shape[1], h: shape[2], w: shape[3], window: *window };
        self.linear_kernel(operand, self.len(id), &kernel)
    }

    fn linear_kernel(&mut self, operand: NodeId, len: usize, kernel: &Kernel) -> Value {
        if let Value::Additive(z) = self.values[&operand].clone() {
            return Value::Additive(local::launch_summands(&mut self.b, &z, len, kernel));
        }
        let x = self.dense(operand);
        Value::Ring(local::launch_shares(&mut self.b, &[x], len, |_| kernel.clone()), None)
    }

    /// Fraction and integer bits of a ring node: the window of one of its values.
    fn width(&self, id: NodeId) -> u32 {
        match self.graph.node(id).ty.repr {
            Repr::Ring { scale } | Repr::Public { scale } => self.graph.format.int + scale,
            Repr::Bit | Repr::Clear(_) => unreachable!("windows are of ring values"),
        }
    }

    pub(super) fn max(&mut self, operand: NodeId, axis: usize, unread: u32, len: usize) -> Value {
        if let Some((largest, _)) = self.max_and_argmax(operand, axis, unread, len) {
            return Value::Ring(largest, None);
        }
        let entrants = self.entrants(operand, axis);
        let entrants = entrants.into_iter().map(|shares| Entrant { shares, early: None }).collect();
        let width = Width { bits: self.width(operand), unread };
        Value::Ring(maximum::tournament(&mut self.b, entrants, width, ROLES, self.options.prefer, len), None)
    }

    pub(super) fn argmax(&mut self, operand: NodeId, axis: usize, unread: u32, len: usize) -> Value {
        if let Some((_, index)) = self.max_and_argmax(operand, axis, unread, len) {
            return Value::Ring(index, None);
        }
        let entrants = self.entrants(operand, axis);
        let width = Width { bits: self.width(operand), unread };
        Value::Ring(maximum::argmax(&mut self.b, &entrants, width, ROLES, self.options.prefer, len), None)
    }

    /// Largest and index together, where the graph wants both of an operand: one tournament gives them.
    fn max_and_argmax(&mut self, operand: NodeId, axis: usize, unread: u32, len: usize) -> Option<(Shares, Shares)> {
        let key = (operand, axis, unread);
        if let Some(done) = self.tournaments.get(&key) {
            return Some(*done);
        }
        let wants = |op: &Op| self.graph.users(operand).any(|user| self.graph.node(user).op == *op);
        if !wants(&Op::Max { axis, unread }) || !wants(&Op::Argmax { axis, unread }) {
            return None;
        }
        let entrants = self.entrants(operand, axis);
        let width = Width { bits: self.width(operand), unread };
        let both = maximum::max_and_argmax(&mut self.b, &entrants, width, ROLES, self.options.prefer, len);
        self.tournaments.insert(key, both);
        Some(both)
    }

    /// The slices of a tensor along an axis.
    fn entrants(&mut self, operand: NodeId, axis: usize) -> Vec<Shares> {
        let shape = self.graph.node(operand).ty.shape.clone();
        let x = self.dense(operand);
        let strides = strides(&shape);
        let mut slice = shape.clone();
        slice[axis] = 1;
        (0..shape[axis])
            .map(|i| {
                let start = (i * strides[axis]) as i64;
                let view = View { shape: slice.clone(), strides: strides.clone(), start, bounds: Vec::new(), fill: 0 };
                local::copy(&mut self.b, &x, &view)
            })
            .collect()
    }

    /// Columns first, then rows: windows that overlap share the comparisons along a row. The first comparisons are of
    /// untruncated numbers.
    pub(super) fn max_pool(&mut self, operand: NodeId, window: &Window, unread: u32) -> Value {
        let mut shape = self.graph.node(operand).ty.shape.clone();
        let width = Width { bits: self.width(operand), unread };
        let mut x = self.dense(operand);
        let mut early = if let Value::Ring(_, source) = &self.values[&operand] { *source } else { None };
        // Padding is the smallest number of the format, which no value undercuts.
        let lowest = (-(pow2(width.bits as i32 - 1)) as i64) as u64 & self.graph.format.mask();
        let size = window.output(shape[2], shape[3]).expect("the checker made sure that the window fits");
        for (axis, side) in [(3, 1), (2, 0)] {
            let strides = strides(&shape);
            let limit = shape[axis] as i64;
            let mut out = shape.clone();
            out[axis] = size[side];
            let (step, pad) = (window.stride[side], window.pad[side] as i64);
            let mut view_strides = strides.clone();
            view_strides[axis] *= step;
            let entrants: Vec<Entrant> = (0..window.size[side])
                .map(|position| {
                    let offset = position as i64 - pad;
                    let bounds = if window.pad[side] == 0 {
                        Vec::new()
                    } else {
                        vec![Bound { axis, offset, step: step as i64, limit }]
                    };
                    let start = offset * strides[axis] as i64;
                    let view = View { shape: out.clone(), strides: view_strides.clone(), start, bounds, fill: lowest };
                    let early = early.map(|source| source.view(&mut self.b, &view));
                    Entrant { shares: local::copy(&mut self.b, &x, &view), early }
                })
                .collect();
            early = if let [only] = entrants.as_slice() { only.early } else { None };
            let len = out.iter().product();
            x = maximum::tournament(&mut self.b, entrants, width, ROLES, self.options.prefer, len);
            shape = out;
        }
        Value::Ring(x, None)
    }
}

fn broadcast_view(from: &[usize], to: &[usize]) -> View {
    let strides = strides(from).into_iter().zip(from).map(|(s, n)| if *n == 1 { 0 } else { s }).collect();
    View { shape: to.to_vec(), strides, start: 0, bounds: Vec::new(), fill: 0 }
}
