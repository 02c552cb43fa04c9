//! Shapes of operands and results.

use super::ensure;
use crate::graph::{Constant, MAX_INDICES, Op, Ty};

/// The result's shape follows from the operation and its operands' shapes.
pub(super) fn check(op: &Op, ty: &Ty, operands: &[&Ty]) -> Result<(), String> {
    let out = &ty.shape;
    let first = operands.first().map(|t| &t.shape);
    match op {
        Op::Const(Constant::Dense(x)) => ensure(x.len() == ty.len(), "constant of another size"),
        Op::Input { .. } | Op::Stored { .. } | Op::Arg { .. } | Op::Const(Constant::Splat(_)) => Ok(()),
        Op::Loop(_) | Op::Final { .. } => Ok(()),
        Op::Yield { .. } => ensure(operands == [ty], "gives on what it is given"),
        Op::Gradient => {
            ensure(operands[0].len() == 1, "the first operand is more than a single number")?;
            ensure(&operands[1].shape == out, "the second operand has another shape than the result")
        }
        Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Div
        | Op::Xor
        | Op::And
        | Op::Select
        | Op::Share { .. }
        | Op::Encode { .. } => {
            ensure(operands.iter().all(|t| &t.shape == out), "operands of other shapes than the result")
        }
        Op::Random { .. } => Ok(()),
        Op::Bits { count } => {
            let fits = out
                .split_first()
                .is_some_and(|(n, rest)| *n == *count as usize && Some(rest) == first.map(Vec::as_slice));
            ensure(fits, "a first axis of bits is added")
        }
        Op::FromBits => {
            let fits = first.and_then(|x| x.split_first()).is_some_and(|(_, rest)| rest == out);
            ensure(fits, "the first axis is dropped")
        }
        Op::AnyAbove => {
            ensure(!out.is_empty() && first == Some(out), "an operand of another shape, or without an axis")
        }
        Op::OneHot { places } => {
            let fits =
                out.split_last().is_some_and(|(last, rest)| last == places && Some(rest) == first.map(Vec::as_slice));
            ensure(fits, "a last axis of places is added")
        }
        Op::Neg
        | Op::Relu { .. }
        | Op::Exp { .. }
        | Op::Piecewise(_)
        | Op::Leading(_)
        | Op::IsZero
        | Op::IsNegative { .. }
        | Op::Trunc { .. }
        | Op::Up { .. }
        | Op::Keep { .. }
        | Op::Reveal { .. } => ensure(first == Some(out), "an operand of another shape than the result"),
        Op::Reshape => ensure(operands[0].len() == ty.len(), "another number of elements"),
        Op::MatMul => {
            let (x, y) = (&operands[0].shape, &operands[1].shape);
            let rank = x.len();
            ensure(rank >= 2 && y.len() == rank && out.len() == rank, "matrices of unequal rank")?;
            let fits = x[..rank - 2] == y[..rank - 2]
                && x[..rank - 2] == out[..rank - 2]
                && x[rank - 1] == y[rank - 2]
                && out[rank - 2..] == [x[rank - 2], y[rank - 1]];
            ensure(fits, format!("{x:?} times {y:?} is not {out:?}"))
        }
        Op::Conv2d { window, groups } => {
            let (x, y) = (&operands[0].shape, &operands[1].shape);
            ensure(x.len() == 4 && y.len() == 4 && out.len() == 4 && *groups > 0, "convolutions are of rank 4")?;
            let fits = y[1].checked_mul(*groups) == Some(x[1])
                && y[0] % groups == 0
                && y[2..] == window.size
                && out[..2] == [x[0], y[0]]
                && window.output(x[2], x[3]).is_some_and(|o| out[2..] == o);
            ensure(fits, format!("{x:?} with kernel {y:?} is not {out:?}"))
        }
        Op::Transpose { perm } => {
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            ensure(sorted.iter().copied().eq(0..out.len()), "no permutation")?;
            let x = &operands[0].shape;
            ensure(
                x.len() == out.len() && perm.iter().zip(out).all(|(a, n)| x[*a] == *n),
                "sizes do not follow the permutation",
            )
        }
        Op::Broadcast => {
            let x = &operands[0].shape;
            ensure(
                x.len() == out.len() && x.iter().zip(out).all(|(a, b)| a == b || *a == 1),
                "only axes of size 1 repeat",
            )
        }
        Op::Concat { axis } => {
            ensure(*axis < out.len(), "no such axis")?;
            let lengths = operands.iter().map(|t| t.shape.get(*axis).copied().unwrap_or(0));
            let total = lengths.fold(0, usize::saturating_add);
            let others =
                |s: &[usize]| s.iter().enumerate().filter(|(a, _)| a != axis).map(|(_, n)| *n).collect::<Vec<_>>();
            let alike = operands.iter().all(|t| t.shape.len() == out.len() && others(&t.shape) == others(out));
            ensure(alike && total == out[*axis], "operands do not join to the result")
        }
        Op::Slice { axis, start, step } => {
            let x = &operands[0].shape;
            ensure(x.len() == out.len() && *axis < out.len() && *step > 0, "no such axis or step")?;
            let others = (0..out.len()).all(|a| a == *axis || x[a] == out[a]);
            let last = step.saturating_mul(out[*axis] - 1).saturating_add(*start);
            ensure(others && last < x[*axis], "the slice reaches beyond the axis")
        }
        Op::Gather { axis, index } => {
            let x = &operands[0].shape;
            ensure(x.len() == out.len() && *axis < out.len(), "no such axis")?;
            let others = (0..out.len()).all(|a| a == *axis || x[a] == out[a]);
            let inside = index.iter().flatten().all(|i| *i < x[*axis]);
            ensure(index.len() <= MAX_INDICES, "more indices than there may be")?;
            ensure(others && index.len() == out[*axis] && inside, "the indices reach beyond the axis")
        }
        Op::Sum { axis } | Op::Max { axis, .. } => {
            let mut x = operands[0].shape.clone();
            ensure(*axis < x.len(), "no such axis")?;
            x[*axis] = 1;
            ensure(&x == out, "the reduced axis stays with size 1")
        }
        Op::Argmax { axis, .. } => {
            let mut x = operands[0].shape.clone();
            ensure(*axis < x.len(), "no such axis")?;
            x.remove(*axis);
            ensure(&x == out, "the axis is dropped")
        }
        Op::SumPool { window } | Op::MaxPool { window, .. } => {
            let x = &operands[0].shape;
            ensure(x.len() == 4 && out.len() == 4 && x[..2] == out[..2], "pools are of rank 4")?;
            ensure((0..2).all(|i| window.pad[i] < window.size[i]), "padding as large as the window")?;
            ensure(window.output(x[2], x[3]).is_some_and(|o| out[2..] == o), "the window gives another size")
        }
    }
}
