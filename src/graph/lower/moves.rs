//! Operations that put the elements of an axis elsewhere, for known sizes.

use std::ops::Range;

use super::{Lowering, Value};
use crate::diag::Code;
use crate::graph::{Constant, MAX_INDICES, NodeId, Op, Repr};
use crate::hir::Elem;
use crate::label::Label;
use crate::syntax::ast::BinaryOp;

impl Lowering<'_> {
    /// `gather(x, indices, axis)`.
    pub(super) fn gather(&mut self, x: NodeId, axis: usize, indices: &[i64]) -> Option<Value> {
        let size = self.build.shape(x)[axis];
        let inside = |i: &i64| usize::try_from(*i).ok().filter(|i| *i < size);
        if let Some(index) = indices.iter().find(|i| inside(i).is_none()) {
            return self.bad_move(format!("index {index} does not lie in an axis of {size}"));
        }
        let index = indices.iter().map(inside).collect();
        Some(Value::Node(self.build.indexed(x, axis, index)))
    }

    /// `every(x, step, axis, start)`.
    pub(super) fn every(&mut self, x: NodeId, axis: usize, step: i64, start: i64) -> Option<Value> {
        let size = self.build.shape(x)[axis];
        let (from, by) = (usize::try_from(start).ok().filter(|s| *s < size), usize::try_from(step).ok());
        let (Some(from), Some(by @ 1..)) = (from, by) else {
            return self.bad_move(format!("steps of {step} from {start} on do not lie in an axis of {size}"));
        };
        let mut shape = self.build.shape(x).to_vec();
        shape[axis] = (size - from).div_ceil(by);
        let whole = shape[axis] == size;
        Some(Value::Node(if whole {
            x
        } else {
            self.build.reshaping(Op::Slice { axis, start: from, step: by }, x, shape)
        }))
    }

    /// `reverse(x, axis)`.
    pub(super) fn reverse(&mut self, x: NodeId, axis: usize) -> Option<Value> {
        let size = self.build.shape(x)[axis];
        if size > MAX_INDICES {
            return self.bad_move(format!("an axis of more than {MAX_INDICES} elements is not reversed"));
        }
        Some(Value::Node(self.build.indexed(x, axis, (0..size).rev().map(Some).collect())))
    }

    /// `zero_pad(x, before, after, axis)`.
    pub(super) fn zero_pad(&mut self, x: NodeId, axis: usize, pad: [i64; 2]) -> Option<Value> {
        let size = self.build.shape(x)[axis];
        let fits = |n: i64| n.unsigned_abs() <= MAX_INDICES as u64;
        if !pad.iter().all(|n| fits(*n)) || pad != [0, 0] && size > MAX_INDICES {
            return self.bad_move(format!("an axis of {size} is not padded by {} and {}", pad[0], pad[1]));
        }
        let end = size as i64 + pad[1];
        let index = (-pad[0]..end).map(|i| usize::try_from(i).ok().filter(|i| *i < size)).collect();
        Some(Value::Node(self.build.indexed(x, axis, index)))
    }

    /// `spread(x, step, axis)`: `step - 1` zeros between neighbours.
    pub(super) fn spread(&mut self, x: NodeId, axis: usize, step: i64) -> Option<Value> {
        let size = self.build.shape(x)[axis];
        let by = usize::try_from(step).ok().filter(|by| *by > 0);
        let length = by.and_then(|by| (size - 1).checked_mul(by)).map(|n| n + 1).filter(|n| *n <= MAX_INDICES);
        let (Some(by), Some(length)) = (by, length) else {
            return self.bad_move(format!("an axis of {size} is not spread by steps of {step}"));
        };
        let index = (0..length).map(|i| i.is_multiple_of(by).then_some(i / by)).collect();
        Some(Value::Node(self.build.indexed(x, axis, index)))
    }

    /// `patches(x, k, stride)`: the elements of every window as an axis of their own, row by row.
    pub(super) fn patches(&mut self, x: NodeId, k: i64, stride: i64, shape: Vec<usize>) -> Option<Value> {
        let (Ok(k), Ok(stride @ 1..)) = (usize::try_from(k), usize::try_from(stride)) else {
            return self.bad_move(format!("a window of {k} is not moved by steps of {stride}"));
        };
        let &[n, c, rows, cols, _] = shape.as_slice() else { return None };
        if rows.max(cols).saturating_mul(k) > MAX_INDICES {
            return self.bad_move(format!("{rows} by {cols} windows of {k} are too many"));
        }
        let places = |count: usize| (0..count).flat_map(|i| (0..k).map(move |j| Some(i * stride + j))).collect();
        let x = self.build.indexed(x, 2, places(rows));
        let x = self.build.indexed(x, 3, places(cols));
        let x = self.build.reshaping(Op::Reshape, x, vec![n, c, rows, k, cols, k]);
        let perm = vec![0, 1, 2, 4, 3, 5];
        let x = self.build.reshaping(Op::Transpose { perm }, x, vec![n, c, rows, cols, k, k]);
        Some(Value::Node(self.build.reshaping(Op::Reshape, x, shape)))
    }

    /// `adaptive_avg_pool(x, h, w)`: sums of the windows, which send nothing, and one product with the reciprocals of their
    /// sizes.
    pub(super) fn adaptive_avg_pool(&mut self, x: NodeId, shape: Vec<usize>) -> Option<Value> {
        let size = self.build.shape(x).to_vec();
        if size[2..].iter().chain(&shape[2..]).any(|n| *n > MAX_INDICES) {
            return self.bad_move(format!("windows over {} by {} elements are too many", size[2], size[3]));
        }
        let windows = [2, 3].map(|axis| adaptive(size[axis], shape[axis]));
        let lengths = windows.clone().map(|w| w.into_iter().map(|w| w.len()).collect::<Vec<_>>());
        let mut sum = x;
        for (axis, windows) in [2, 3].into_iter().zip(windows) {
            let longest = windows.iter().map(ExactSizeIterator::len).max()?;
            if windows.len().saturating_mul(longest) > MAX_INDICES {
                return self.bad_move(format!("{} windows of {longest} are too many", windows.len()));
            }
            let padded = |w: Range<usize>| w.map(Some).chain(std::iter::repeat(None)).take(longest);
            let index = windows.into_iter().flat_map(padded).collect();
            sum = self.build.indexed(sum, axis, index);
            let mut apart = self.build.shape(sum).to_vec();
            apart[axis] = shape[axis];
            let joined = apart.clone();
            apart.insert(axis + 1, longest);
            sum = self.build.reshaping(Op::Reshape, sum, apart.clone());
            apart[axis + 1] = 1;
            sum = self.build.reshaping(Op::Sum { axis: axis + 1 }, sum, apart);
            sum = self.build.reshaping(Op::Reshape, sum, joined);
        }
        let counts: Vec<usize> = lengths[0].iter().flat_map(|h| lengths[1].iter().map(move |w| h * w)).collect();
        let build = &mut self.build;
        if counts.iter().all(|n| *n == counts[0]) {
            let count = build.constant(counts[0] as f64, &shape);
            return Some(Value::Node(build.binary(BinaryOp::Div, sum, count, Elem::Fix, &shape)?));
        }
        let each = vec![1, 1, shape[2], shape[3]];
        let parts: Vec<f64> = counts.iter().map(|n| 1.0 / *n as f64).collect();
        let largest = parts.iter().copied().fold(0.0, f64::max);
        let dense = Op::Const(Constant::Dense(parts));
        let parts = build.node(dense, &[], each, Repr::Clear(Label::PUBLIC));
        if let Some(label) = build.known(&[sum]) {
            let parts = build.broadcast(parts, &shape);
            return Some(Value::Node(build.node(Op::Mul, &[sum, parts], shape, Repr::Clear(label))));
        }
        let frac = build.scale(Elem::Fix);
        let scale = build.constant_scale(largest, frac).max(frac);
        let parts = build.bring(parts, scale);
        let parts = build.broadcast(parts, &shape);
        let product = build.node(Op::Mul, &[sum, parts], shape, Repr::Ring { scale: frac + scale });
        Some(Value::Node(build.trunc(product, scale)))
    }

    fn bad_move<T>(&mut self, message: String) -> Option<T> {
        self.build.error(Code::BadSize, message).help =
            Some(format!("positions count from 0, steps from 1; at most {MAX_INDICES} elements of an axis are placed"));
        None
    }
}

/// torch's windows for `count` means over `size` elements: from floor(i size / count) to ceil((i + 1) size / count).
fn adaptive(size: usize, count: usize) -> Vec<Range<usize>> {
    (0..count).map(|i| i * size / count..((i + 1) * size).div_ceil(count)).collect()
}

impl super::build::Builder {
    /// Elements of an axis by their indices (`None`: 0): the node itself, a slice, or a gather.
    pub(super) fn indexed(&mut self, a: NodeId, axis: usize, index: Vec<Option<usize>>) -> NodeId {
        let mut shape = self.shape(a).to_vec();
        if index.iter().copied().eq((0..shape[axis]).map(Some)) {
            return a;
        }
        shape[axis] = index.len();
        let regular = match index.as_slice() {
            [Some(start)] => Some((*start, 1)),
            [Some(start), Some(next), ..] if next > start => Some((*start, next - start)),
            _ => None,
        };
        let op = match regular {
            Some((start, step)) if index.iter().copied().eq((0..index.len()).map(|i| Some(start + i * step))) => {
                Op::Slice { axis, start, step }
            }
            _ => Op::Gather { axis, index },
        };
        self.reshaping(op, a, shape)
    }
}
