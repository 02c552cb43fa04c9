//! Plain loops for every operation, over f64 and over signed ring elements.

use crate::graph::{Op, Window};

/// A number of the evaluator.
pub(super) trait Element: Copy + PartialOrd {
    const ZERO: Self;
    fn from_index(i: usize) -> Self;
    fn from_bool(b: bool) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// Division by `2^bits` in units of the representation; real numbers carry their scale themselves.
    fn truncate(self, bits: u32) -> Self;
    fn up(self, bits: u32) -> Self;
    /// A whole number modulo `places`.
    fn place(self, places: usize) -> usize;
}

impl Element for f64 {
    const ZERO: f64 = 0.0;
    fn from_index(i: usize) -> f64 {
        i as f64
    }
    fn from_bool(b: bool) -> f64 {
        f64::from(u8::from(b))
    }
    fn add(self, other: f64) -> f64 {
        self + other
    }
    fn sub(self, other: f64) -> f64 {
        self - other
    }
    fn mul(self, other: f64) -> f64 {
        self * other
    }
    fn div(self, other: f64) -> f64 {
        self / other
    }
    fn truncate(self, _bits: u32) -> f64 {
        self
    }
    fn up(self, _bits: u32) -> f64 {
        self
    }
    fn place(self, places: usize) -> usize {
        self.rem_euclid(places as f64) as usize
    }
}

impl Element for i64 {
    const ZERO: i64 = 0;
    fn from_index(i: usize) -> i64 {
        i as i64
    }
    fn from_bool(b: bool) -> i64 {
        i64::from(b)
    }
    fn add(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn sub(self, other: i64) -> i64 {
        self.wrapping_sub(other)
    }
    fn mul(self, other: i64) -> i64 {
        self.wrapping_mul(other)
    }
    fn div(self, _other: i64) -> i64 {
        unreachable!("the verifier allows division in the clear only")
    }
    fn truncate(self, bits: u32) -> i64 {
        self >> bits
    }
    fn up(self, bits: u32) -> i64 {
        self << bits
    }
    fn place(self, places: usize) -> usize {
        self.rem_euclid(places as i64) as usize
    }
}

/// Computes one operation. `shapes` are the operands', `shape` the result's.
pub(super) fn apply<T: Element>(op: &Op, data: &[&[T]], shapes: &[&[usize]], shape: &[usize]) -> Vec<T> {
    let zip = |f: fn(T, T) -> T| data[0].iter().zip(data[1]).map(|(a, b)| f(*a, *b)).collect();
    let map = |f: &dyn Fn(T) -> T| data[0].iter().map(|a| f(*a)).collect();
    match op {
        Op::Add => zip(T::add),
        Op::Sub => zip(T::sub),
        Op::Mul => zip(T::mul),
        Op::Div => zip(T::div),
        Op::Neg => map(&|a| T::ZERO.sub(a)),
        Op::Relu { .. } => map(&|a| if a > T::ZERO { a } else { T::ZERO }),
        Op::IsNegative { .. } => map(&|a| T::from_bool(a < T::ZERO)),
        Op::IsZero => map(&|a| T::from_bool(a == T::ZERO)),
        Op::FromBits => {
            let inner: usize = shape.iter().product();
            let bit = |at: usize, e: usize| data[0][at * inner + e];
            let double = |x: T| x.add(x);
            let number = |e| (0..shapes[0][0]).rev().fold(T::ZERO, |sum, at| double(sum).add(bit(at, e)));
            (0..inner).map(number).collect()
        }
        Op::AnyAbove => {
            let mut out = data[0].to_vec();
            let inner: usize = shape[1..].iter().product();
            for at in (0..out.len() - inner).rev() {
                if out[at + inner] != T::ZERO {
                    out[at] = out[at + inner];
                }
            }
            out
        }
        Op::OneHot { places } => {
            let row = |a: &T| (0..*places).map(|i| T::from_bool(i == a.place(*places))).collect::<Vec<T>>();
            data[0].iter().flat_map(row).collect()
        }
        Op::Xor => zip(|a, b| T::from_bool(a != b)),
        Op::And => zip(T::mul),
        Op::Trunc { bits } => map(&|a| a.truncate(*bits)),
        Op::Up { bits } => map(&|a| a.up(*bits)),
        Op::Select => (0..data[0].len()).map(|i| if data[0][i] != T::ZERO { data[1][i] } else { data[2][i] }).collect(),
        Op::Reshape | Op::Keep { .. } | Op::Reveal { .. } => data[0].to_vec(),
        Op::MatMul => matmul(data, shapes),
        Op::Conv2d { window, groups } => conv2d(data, shapes, shape, window, *groups),
        Op::Transpose { perm } => {
            let old = strides(shapes[0]);
            gather(data[0], shape, &perm.iter().map(|a| old[*a]).collect::<Vec<_>>(), 0)
        }
        Op::Broadcast => {
            let old = strides(shapes[0]);
            let strides: Vec<usize> = old.iter().zip(shapes[0]).map(|(s, n)| if *n == 1 { 0 } else { *s }).collect();
            gather(data[0], shape, &strides, 0)
        }
        Op::Slice { axis, start, step } => {
            let mut strides = strides(shapes[0]);
            let first = start * strides[*axis];
            strides[*axis] *= step;
            gather(data[0], shape, &strides, first)
        }
        Op::Gather { axis, index } => {
            let [outer, inner] = [&shapes[0][..*axis], &shapes[0][axis + 1..]].map(|s| s.iter().product::<usize>());
            let n = shapes[0][*axis];
            let mut out = Vec::with_capacity(outer * index.len() * inner);
            for o in 0..outer {
                for from in index {
                    out.extend((0..inner).map(|i| from.map_or(T::ZERO, |a| data[0][(o * n + a) * inner + i])));
                }
            }
            out
        }
        Op::Concat { axis } => {
            let outer: usize = shape[..*axis].iter().product();
            let inner: usize = shape[axis + 1..].iter().product();
            let mut out = Vec::with_capacity(shape.iter().product());
            for o in 0..outer {
                for (x, s) in data.iter().zip(shapes) {
                    let chunk = s[*axis] * inner;
                    out.extend_from_slice(&x[o * chunk..(o + 1) * chunk]);
                }
            }
            out
        }
        Op::Sum { axis } => reduce(data[0], shapes[0], *axis, |column| column.fold(T::ZERO, T::add)),
        Op::Max { axis, .. } => reduce(data[0], shapes[0], *axis, |column| largest(column).1),
        Op::Argmax { axis, .. } => reduce(data[0], shapes[0], *axis, |column| T::from_index(largest(column).0)),
        Op::SumPool { window } => pool(data[0], shapes[0], shape, window, |xs| xs.fold(T::ZERO, T::add)),
        Op::MaxPool { window, .. } => pool(data[0], shapes[0], shape, window, |xs| largest(xs).1),
        Op::Loop(_)
        | Op::Final { .. }
        | Op::Arg { .. }
        | Op::Yield { .. }
        | Op::Input { .. }
        | Op::Stored { .. }
        | Op::Gradient
        | Op::Const(_)
        | Op::Bits { .. }
        | Op::Random { .. }
        | Op::Exp { .. }
        | Op::Piecewise(_)
        | Op::Leading(_)
        | Op::Share { .. }
        | Op::Encode { .. } => {
            unreachable!("{op:?} has a value of its own")
        }
    }
}

/// Index and value of the first largest; `(0, 0)` of nothing (a window of padding alone cannot be: pad < size).
fn largest<T: Element>(xs: &mut dyn Iterator<Item = T>) -> (usize, T) {
    let mut best = None;
    for (i, x) in xs.enumerate() {
        if best.is_none_or(|(_, b)| x > b) {
            best = Some((i, x));
        }
    }
    best.unwrap_or((0, T::ZERO))
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Sides of the squares in which axes are exchanged: a cache line of what is read serves as many rows of the result.
const SQUARE: usize = 16;

/// The elements at `start + sum of index * stride`, in order of their indices.
fn gather<T: Element>(x: &[T], shape: &[usize], strides: &[usize], start: usize) -> Vec<T> {
    let len: usize = shape.iter().product();
    let Some((&cols, outer)) = shape.split_last().filter(|_| len > 0) else { return x[start..start + len].to_vec() };
    let step = strides[outer.len()];
    let mut out = Vec::with_capacity(len);
    // Neighbours in the operand on another axis than the last: the two are exchanged square by square.
    let swapped = (0..outer.len()).find(|axis| strides[*axis] == 1 && shape[*axis] > 1).filter(|_| step > 1);
    let Some(axis) = swapped else {
        for at in offsets(outer, strides).map(|at| start + at) {
            match step {
                1 => out.extend_from_slice(&x[at..at + cols]),
                _ => out.extend((0..cols).map(|col| x[at + col * step])),
            }
        }
        return out;
    };
    out.resize(len, x[start]);
    let apart: usize = shape[axis + 1..].iter().product();
    let places: Vec<usize> = (0..outer.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
    let others: Vec<usize> = outer.iter().enumerate().map(|(a, size)| if a == axis { 1 } else { *size }).collect();
    for (at, to) in offsets(&others, strides).zip(offsets(&others, &places)) {
        for row in (0..shape[axis]).step_by(SQUARE) {
            for col in (0..cols).step_by(SQUARE) {
                for row in row..shape[axis].min(row + SQUARE) {
                    for col in col..cols.min(col + SQUARE) {
                        out[to + row * apart + col] = x[start + at + row + col * step];
                    }
                }
            }
        }
    }
    out
}

/// `sum of index * stride` for all indices in order.
fn offsets<'a>(shape: &'a [usize], strides: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let mut index = vec![0; shape.len()];
    let mut next = 0;
    (0..shape.iter().product()).map(move |_| {
        let at = next;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            next += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            next -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
        at
    })
}

fn reduce<T: Element>(x: &[T], shape: &[usize], axis: usize, f: impl Fn(&mut dyn Iterator<Item = T>) -> T) -> Vec<T> {
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let n = shape[axis];
    let mut out = Vec::with_capacity(outer * inner);
    for o in 0..outer {
        for i in 0..inner {
            out.push(f(&mut (0..n).map(|a| x[(o * n + a) * inner + i])));
        }
    }
    out
}

fn pool<T: Element>(
    x: &[T],
    shape: &[usize],
    out: &[usize],
    window: &Window,
    f: impl Fn(&mut dyn Iterator<Item = T>) -> T,
) -> Vec<T> {
    let (h, w) = (shape[2], shape[3]);
    let inside = |at: usize, limit: usize, pad: usize| at.checked_sub(pad).filter(|i| *i < limit);
    let mut result = Vec::with_capacity(out.iter().product());
    for plane in x.chunks_exact(h * w) {
        for oy in 0..out[2] {
            for ox in 0..out[3] {
                let mut elements = (0..window.size[0])
                    .flat_map(|ky| (0..window.size[1]).map(move |kx| (ky, kx)))
                    .filter_map(|(ky, kx)| {
                        let y = inside(oy * window.stride[0] + ky, h, window.pad[0])?;
                        let x = inside(ox * window.stride[1] + kx, w, window.pad[1])?;
                        Some(plane[y * w + x])
                    });
                result.push(f(&mut elements));
            }
        }
    }
    result
}

fn matmul<T: Element>(data: &[&[T]], shapes: &[&[usize]]) -> Vec<T> {
    let rank = shapes[0].len();
    let (m, k, n) = (shapes[0][rank - 2], shapes[0][rank - 1], shapes[1][rank - 1]);
    let batch: usize = shapes[0][..rank - 2].iter().product();
    let mut out = vec![T::ZERO; batch * m * n];
    for b in 0..batch {
        let (x, y) = (&data[0][b * m * k..(b + 1) * m * k], &data[1][b * k * n..(b + 1) * k * n]);
        for (row, out) in x.chunks_exact(k).zip(out[b * m * n..(b + 1) * m * n].chunks_exact_mut(n)) {
            for (a, column) in row.iter().zip(y.chunks_exact(n)) {
                for (o, c) in out.iter_mut().zip(column) {
                    *o = o.add(a.mul(*c));
                }
            }
        }
    }
    out
}

fn conv2d<T: Element>(data: &[&[T]], shapes: &[&[usize]], shape: &[usize], window: &Window, groups: usize) -> Vec<T> {
    let [c, h, w] = [shapes[0][1], shapes[0][2], shapes[0][3]];
    let [n, o, oh, ow] = [shape[0], shape[1], shape[2], shape[3]];
    let (group_c, group_o) = (c / groups, o / groups);
    let [kh, kw] = window.size;
    let mut out = vec![T::ZERO; n * o * oh * ow];
    for (image, out) in data[0].chunks_exact(c * h * w).zip(out.chunks_exact_mut(o * oh * ow)) {
        for (oc, out) in out.chunks_exact_mut(oh * ow).enumerate() {
            for gc in 0..group_c {
                let plane = &image[(oc / group_o * group_c + gc) * h * w..][..h * w];
                let kernel = &data[1][(oc * group_c + gc) * kh * kw..][..kh * kw];
                for (k, weight) in kernel.iter().enumerate() {
                    let (ky, kx) = (k / kw, k % kw);
                    for (oy, out) in out.chunks_exact_mut(ow).enumerate() {
                        let y = (oy * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.pad[0]);
                        if y >= h {
                            continue;
                        }
                        for (ox, out) in out.iter_mut().enumerate() {
                            let x = (ox * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.pad[1]);
                            if x < w {
                                *out = out.add(weight.mul(plane[y * w + x]));
                            }
                        }
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn gathered_elements_are_those_of_their_indices(
            axes in prop::collection::vec((1usize..40, 0usize..3), 0..4),
            order in Just([0, 1, 2, 3]).prop_shuffle(),
        ) {
            // Axes in some order, of which some are repeated and some thinned out.
            let shape: Vec<usize> = axes.iter().map(|(size, _)| *size).collect();
            let order: Vec<usize> = order.into_iter().filter(|axis| *axis < shape.len()).collect();
            let mut strides = vec![0; shape.len()];
            let mut words = 1;
            for axis in order {
                strides[axis] = words * axes[axis].1;
                words *= shape[axis] * axes[axis].1.max(1);
            }
            let x: Vec<i64> = (0..words as i64 + 3).collect();
            let expected: Vec<i64> = offsets(&shape, &strides).map(|at| x[3 + at]).collect();
            prop_assert_eq!(gather(&x, &shape, &strides, 3), expected);
        }
    }
}
