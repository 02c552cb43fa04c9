//! The compiler's own operations, for known sizes.

use super::{Lowering, Value};
use crate::graph::{NodeId, Op, Repr, Window};
use crate::hir::{AxisIndex, Elem, Intrinsic, Ty};
use crate::shape::{Shape, Sizes};
use crate::syntax::ast::BinaryOp;

impl Lowering<'_> {
    /// `numbers` are the compile-time arguments in order of declaration, `ty` is the result's type.
    pub(super) fn intrinsic(
        &mut self,
        op: Intrinsic,
        values: &[Value],
        types: &[Ty],
        numbers: &[Vec<i64>],
        ty: &Ty,
    ) -> Option<Value> {
        let shape = self.shape(ty)?;
        let elem = element(types.last().unwrap_or(ty));
        if let (Intrinsic::Select, [Value::Const(c), a, b]) = (op, values) {
            let chosen = self.node(if *c == 0.0 { b } else { a })?;
            return Some(Value::Node(self.build.broadcast(chosen, &shape)));
        }
        let fill: &[usize] = if op == Intrinsic::Select { &shape } else { &[] };
        let nodes: Option<Vec<NodeId>> = values.iter().map(|v| self.filled(v, fill)).collect();
        let nodes = nodes?;
        let number = |i: usize| numbers.get(i).and_then(|list| list.first()).copied().unwrap_or(0);
        let axis = |i: usize| match types.first() {
            Some(Ty::Tensor(_, shape)) => shape.axis(number(i)),
            _ => None,
        };
        let at = |i: usize| usize::try_from(number(i)).ok();
        let window = |size: [usize; 2], from: usize| {
            Some(Window::new(size, [at(from)?; 2], [at(from + 1)?; 2])).filter(Window::is_sound)
        };
        let conv_window = |size: [usize; 2]| {
            let pair = |down: usize, right: usize| Some([at(down)?, at(right)?]);
            let window = Window { size, stride: pair(0, 4)?, pad: pair(1, 5)?, dilation: pair(3, 6)? };
            Some(window).filter(Window::is_sound)
        };
        let build = &mut self.build;
        let node = match (op, nodes.as_slice()) {
            (Intrinsic::Select, [c, a, b]) => {
                let (a, b) = (build.broadcast(*a, &shape), build.broadcast(*b, &shape));
                build.select(*c, a, b, elem)
            }
            (Intrinsic::Sum, [x]) => build.reshaping(Op::Sum { axis: axis(0)? }, *x, shape),
            (Intrinsic::Mean, [x]) => {
                let axis = axis(0)?;
                let count = build.shape(*x)[axis] as f64;
                let sum = build.reshaping(Op::Sum { axis }, *x, shape.clone());
                let count = build.constant(count, &shape);
                build.binary(BinaryOp::Div, sum, count, elem, &shape)?
            }
            (Intrinsic::MaxOver, [x]) => {
                let op = Op::Max { axis: axis(0)?, unread: build.unread(*x) };
                build.reshaping(op, *x, shape)
            }
            (Intrinsic::Argmax, [x]) => {
                let repr = match build.repr(*x) {
                    Repr::Clear(label) => Repr::Clear(label),
                    Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => Repr::Ring { scale: 0 },
                };
                build.node(Op::Argmax { axis: axis(0)?, unread: build.unread(*x) }, &[*x], shape, repr)
            }
            (Intrinsic::Reshape, [x]) if build.shape(*x) == shape => *x,
            (Intrinsic::Reshape, [x]) => build.reshaping(Op::Reshape, *x, shape),
            (Intrinsic::Transpose, [x]) => {
                let from = Shape::scalar();
                let from = if let Some(Ty::Tensor(_, shape)) = types.first() { shape } else { &from };
                let perm: Option<Vec<usize>> = numbers.first()?.iter().map(|i| from.axis(*i)).collect();
                build.reshaping(Op::Transpose { perm: perm? }, *x, shape)
            }
            (Intrinsic::Concat, [a, b]) => {
                let axis = axis(0)?;
                build.concat(*a, *b, axis, elem, shape)
            }
            (Intrinsic::MatMul, [a, b]) => build.product(Op::MatMul, *a, *b, elem, shape),
            (Intrinsic::Relu, [x]) => build.like(Op::Relu { unread: build.unread(*x) }, *x),
            (Intrinsic::Convolve, [x, weight]) => {
                let (kernel, groups) = (build.shape(*weight).to_vec(), usize::try_from(number(2)).ok()?);
                let channels = (build.shape(*x)[1], kernel[1], kernel[0]);
                let Some(window) = conv_window([kernel[2], kernel[3]]) else { return self.bad_window() };
                if groups == 0 || channels.1.checked_mul(groups) != Some(channels.0) || channels.2 % groups != 0 {
                    let message =
                        format!("{} channels in {groups} groups do not fit filters of {}", channels.0, channels.1);
                    self.build.error(crate::diag::Code::ShapeMismatch, message).help = Some(
                        "`groups` divides the channels of the input and of the result; filters are `[O, I / groups, KH, KW]`".into(),
                    );
                    return None;
                }
                build.product(Op::Conv2d { window, groups }, *x, *weight, elem, shape)
            }
            (Intrinsic::MaxPool | Intrinsic::SumPool, [x]) => {
                let size = usize::try_from(number(0)).ok();
                let max = op == Intrinsic::MaxPool;
                let window = size.and_then(|k| window([k; 2], 1));
                let window = window.filter(|w| w.pad[0] < w.size[0] && (!max || w.places() <= Window::MAX_PLACES));
                let Some(window) = window else { return self.bad_window() };
                let unread = build.unread(*x);
                let op = if max { Op::MaxPool { window, unread } } else { Op::SumPool { window } };
                build.reshaping(op, *x, shape)
            }
            (Intrinsic::Unit | Intrinsic::Limit, []) => {
                let format = build.graph.format;
                return Some(Value::Const(if op == Intrinsic::Unit { format.unit() } else { format.limit() }));
            }
            (Intrinsic::OneHot, [x]) => {
                let places = *shape.last()?;
                return self.one_hot(*x, places).map(Value::Node);
            }
            (Intrinsic::Bits, [x]) => return self.bits(*x, &shape).map(Value::Node),
            (Intrinsic::FromBits, [x]) => return self.number_from_bits(*x, shape).map(Value::Node),
            (Intrinsic::AnyAbove, [x]) => return self.any_above(*x).map(Value::Node),
            (Intrinsic::KeepSome, [x, part]) => return self.keep_some(*x, *part).map(Value::Node),
            (Intrinsic::RowsAt, [table, x]) => return self.rows_at(*table, *x, &shape).map(Value::Node),
            (
                Intrinsic::Normaliser
                | Intrinsic::EvenNormaliser
                | Intrinsic::RootNormaliser
                | Intrinsic::RootExponent
                | Intrinsic::Exponent,
                [x],
            ) => {
                return self.leading(op, *x).map(Value::Node);
            }
            (Intrinsic::ExpBetween, [x, low, high]) => return self.exp_between(*x, *low, *high).map(Value::Node),
            (Intrinsic::Nodes, [low, step]) => return self.nodes(*low, *step, &shape).map(Value::Node),
            (Intrinsic::Piecewise, [x, low, step, samples]) => {
                return self.piecewise(*x, Some(*low), *step, *samples).map(Value::Node);
            }
            (Intrinsic::Periodic, [x, step, samples]) => {
                return self.piecewise(*x, None, *step, *samples).map(Value::Node);
            }
            (Intrinsic::Gather, [x]) => return self.gather(*x, axis(1)?, numbers.first()?),
            (Intrinsic::Reverse, [x]) => return self.reverse(*x, axis(0)?),
            (Intrinsic::Every, [x]) => return self.every(*x, axis(1)?, number(0), number(2)),
            (Intrinsic::ZeroPad, [x]) => return self.zero_pad(*x, axis(2)?, [number(0), number(1)]),
            (Intrinsic::Spread, [x]) => return self.spread(*x, axis(1)?, number(0)),
            (Intrinsic::Patches, [x]) => return self.patches(*x, number(0), number(1), shape),
            (Intrinsic::AdaptiveAvgPool, [x]) => return self.adaptive_avg_pool(*x, shape),
            _ => return self.unsupported(&format!("`{}` on these operands", op.name())),
        };
        Some(Value::Node(node))
    }

    fn bad_window<T>(&mut self) -> Option<T> {
        let message = format!("a window needs a size and a stride from 1 to {}, and padding from 0", Window::MAX);
        let help = format!(
            "a pool's padding is smaller than its window, and a max pool has at most {} places; a dilation is from 1 on",
            Window::MAX_PLACES
        );
        self.build.error(crate::diag::Code::BadSize, message).help = Some(help);
        None
    }

    /// `x[i, a..b]`.
    pub(super) fn index(
        &mut self,
        base: &Value,
        ty: &Ty,
        starts: &[AxisIndex],
        result: &Ty,
        sizes: &Sizes,
    ) -> Option<Value> {
        let mut node = self.node(base)?;
        let (mut shape, want) = (self.shape(ty)?, self.shape(result)?);
        let mut kept = want.iter();
        for (axis, index) in starts.iter().enumerate() {
            let start = self.number(&index.start.substitute(&sizes.dims))?;
            let length = if index.dropped { 1 } else { kept.next().copied().unwrap_or(1) };
            let fits = usize::try_from(start).ok().filter(|s| s + length <= shape[axis]);
            let Some(start) = fits else {
                let message = format!("{length} elements from {start} do not lie in an axis of {}", shape[axis]);
                self.build.error(crate::diag::Code::BadSize, message);
                return None;
            };
            if length != shape[axis] {
                shape[axis] = length;
                node = self.build.reshaping(Op::Slice { axis, start, step: 1 }, node, shape.clone());
            }
        }
        if shape != want {
            node = self.build.reshaping(Op::Reshape, node, want);
        }
        Some(Value::Node(node))
    }
}

fn element(ty: &Ty) -> Elem {
    match ty {
        Ty::Tensor(elem, _) => *elem,
        _ => Elem::Fix,
    }
}
