//! Operations that put the elements of an axis elsewhere, for known sizes.

use super::{Lowering, Value};
use crate::diag::Code;
use crate::graph::{MAX_INDICES, NodeId, Op};

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

    fn bad_move<T>(&mut self, message: String) -> Option<T> {
        self.build.error(Code::BadSize, message).help =
            Some(format!("positions count from 0, steps from 1; at most {MAX_INDICES} elements of an axis are placed"));
        None
    }
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
