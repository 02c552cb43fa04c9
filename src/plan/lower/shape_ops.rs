//! Lowering of rearrangement, sums, pooling and tournaments: what moves elements rather than combining shares.

use super::slices::{Signs, Slice};
use super::{Lowering, Value, repeat_access};
use crate::fixed::pow2;
use crate::graph::{Graph, NodeId, Op, Repr, Window};
use crate::plan::build::Builder;
use crate::plan::protocol::maximum::{self, Entrant, Field, SignSource, Wanted, Width, Winner};
use crate::plan::protocol::sign::Prefer;
use crate::plan::protocol::{BitShares, BitSource, Roles, Shares, local};
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
    let outs = Party::ALL.map(|party| {
        let mut m = b.plane_map(party, if and { "and" } else { "xor" }, len);
        let (shares, public) = (m.bits(bit), m.read_plane(Operand::bits(words[party.index()], 0, 0), 0));
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
                let source = if let Value::Ring(_, source) = &self.values[&operand] { source.clone() } else { None };
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
        if self.users(operand).count() == 1 && len <= self.len(operand) {
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
        if let Value::Additive(z, twice) = self.values[&operand].clone() {
            return Value::Additive(local::launch_summands(&mut self.b, &z, len, kernel), twice);
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
        Value::Ring(self.winner(operand, axis, unread, len).value.expect("it was wanted"), None)
    }

    pub(super) fn argmax(&mut self, operand: NodeId, axis: usize, unread: u32, len: usize) -> Value {
        Value::Ring(self.winner(operand, axis, unread, len).index.expect("it was wanted"), None)
    }

    /// The largest along an axis and its index, of both what the graph wants: one tournament gives them. `len` is how many
    /// elements are left.
    fn winner(&mut self, operand: NodeId, axis: usize, unread: u32, len: usize) -> Winner {
        let key = (operand, axis, unread);
        if let Some(done) = self.tournaments.get(&key) {
            return *done;
        }
        let wants = |op: &Op| self.users(operand).any(|user| self.graph.node(user).op == *op);
        let wanted = match (wants(&Op::Max { axis, unread }), wants(&Op::Argmax { axis, unread })) {
            (true, true) => Wanted::Both,
            (true, false) => Wanted::Value,
            (false, _) => Wanted::Index,
        };
        let width = Width { bits: self.width(operand), unread };
        let prefer = self.options.prefer;
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        for (slice, field) in self.fields(operand, axis, wanted, len) {
            let won = maximum::winner(&mut self.b, &field, wanted, width, slice.roles, prefer);
            values.extend(won.value.map(|value| (slice, value)));
            indices.extend(won.index.map(|index| (slice, index)));
        }
        let mut join = |slices: Vec<_>| (!slices.is_empty()).then(|| Shares::join(&mut self.b, &slices));
        let winner = Winner { value: join(values), index: join(indices) };
        self.tournaments.insert(key, winner);
        winner
    }

    /// The elements along an axis, in slices of the `len` elements of the others.
    fn fields(&mut self, operand: NodeId, axis: usize, wanted: Wanted, len: usize) -> Vec<(Slice, Field)> {
        let shape = self.graph.node(operand).ty.shape.clone();
        let sizes = [&shape[..axis], &shape[axis..=axis], &shape[axis + 1..]];
        let [outer, count, inner] = sizes.map(|sizes| sizes.iter().product::<usize>());
        let mut x = self.dense(operand);
        let seats = maximum::seats(count);
        if wanted != Wanted::Value && !seats.is_sorted() {
            let index = seats.into_iter().map(Some).collect();
            let kernel = Kernel::Gather { outer, axis: count, inner, index };
            x = local::launch_shares(&mut self.b, &[x], count * len, |_| kernel.clone());
        }
        let view = |shape: &[usize], strides: &[usize], start: usize| View {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            start: start as i64,
            bounds: Vec::new(),
            fill: 0,
        };
        // From one element of the axis to the next, and from one of the others to the next.
        let mut strides = [len, 1];
        if count > 1 && outer > 1 && inner == 1 {
            strides = [1, count];
        } else if count > 1 && outer > 1 {
            x = local::copy(&mut self.b, &x, &view(&[count, outer, inner], &[inner, count * inner, 1], 0));
        }
        let slices = self.slices(len).into_iter().map(|slice| {
            let in_order = slice.whole && strides == [len, 1];
            let part = view(&[count, slice.len], &strides, slice.start * strides[1]);
            let shares = if in_order { x } else { local::copy(&mut self.b, &x, &part) };
            (slice, Field { shares, count, len: slice.len })
        });
        slices.collect()
    }

    /// Slices of whole planes; in each, the first comparisons are of untruncated numbers where there are such.
    pub(super) fn max_pool(&mut self, operand: NodeId, window: &Window, unread: u32) -> Value {
        let shape = self.graph.node(operand).ty.shape.clone();
        let (planes, size) = (shape[0] * shape[1], shape[2] * shape[3]);
        let x = self.dense(operand);
        let width = Width { bits: self.width(operand), unread };
        let signs = if let Value::Ring(_, Some(signs)) = &self.values[&operand] { Some(signs.clone()) } else { None };
        let aligned = |signs: &Signs| signs.slices().all(|(s, _)| s.start % size == 0 && s.len % size == 0);
        let cut: Vec<(Slice, Option<SignSource>)> = match signs.filter(aligned) {
            Some(signs) => signs.slices().map(|(slice, source)| (slice, Some(*source))).collect(),
            None => self.units(planes * size, size).into_iter().map(|slice| (slice, None)).collect(),
        };
        let results = cut.into_iter().map(|(slice, early)| {
            let entrant = Entrant { shares: x.slice(&mut self.b, &slice), early };
            let shape = [slice.len / size, shape[2], shape[3]];
            (slice, pool_slice(&mut self.b, entrant, shape, window, width, slice.roles, self.options.prefer))
        });
        let results: Vec<(Slice, Shares)> = results.collect();
        Value::Ring(Shares::join(&mut self.b, &results), None)
    }
}

/// Columns first, then rows: windows that overlap share the comparisons along a row.
fn pool_slice(
    b: &mut Builder,
    x: Entrant,
    mut shape: [usize; 3],
    window: &Window,
    width: Width,
    mut roles: Roles,
    prefer: Prefer,
) -> Shares {
    // Padding is the smallest number of the format, which no value undercuts.
    let lowest = (-(pow2(width.bits as i32 - 1)) as i64) as u64 & b.format.mask();
    let size = window.output(shape[1], shape[2]).expect("the checker made sure that the window fits");
    let mut x = x;
    for (axis, side) in [(2, 1), (1, 0)] {
        let strides = strides(&shape);
        let limit = shape[axis] as i64;
        let mut out = shape;
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
                let view = View { shape: out.to_vec(), strides: view_strides.clone(), start, bounds, fill: lowest };
                let early = x.early.map(|source| source.view(b, &view));
                Entrant { shares: local::copy(b, &x.shares, &view), early }
            })
            .collect();
        let early = if let [only] = entrants.as_slice() { only.early } else { None };
        let len = out.iter().product();
        let levels = entrants.len().next_power_of_two().trailing_zeros();
        x = Entrant { shares: maximum::tournament(b, entrants, width, roles, prefer, len), early };
        roles = (0..levels).fold(roles, |roles, _| roles.next());
        shape = out;
    }
    x.shares
}

fn broadcast_view(from: &[usize], to: &[usize]) -> View {
    let strides = strides(from).into_iter().zip(from).map(|(s, n)| if *n == 1 { 0 } else { s }).collect();
    View { shape: to.to_vec(), strides, start: 0, bounds: Vec::new(), fill: 0 }
}
