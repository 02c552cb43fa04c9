//! What an owner, or everybody, knows of a tensor that the parties hold, and how the owner's own part is computed anew:
//! for the passes that move work to the owners. Knows nothing of which rewrite is worth it.

use crate::fixed::pow2;
use crate::graph::{Constant, Graph, NodeId, Op, Repr, Ty};
use crate::label::Label;
use crate::span::Span;

/// Who knows a shared or encoded tensor: it is a clear one, perhaps with its elements in other places.
pub(super) fn label(graph: &Graph, id: NodeId) -> Option<Label> {
    let operand = || graph.operands(id)[0];
    match graph.node(id).op {
        Op::Share { .. } | Op::Encode { .. } => match graph.node(operand()).ty.repr {
            Repr::Clear(label) => Some(label),
            Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => None,
        },
        Op::Broadcast | Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } | Op::Gather { .. } => {
            let in_ring = matches!(graph.node(id).ty.repr, Repr::Ring { .. } | Repr::Public { .. });
            in_ring.then(|| label(graph, operand())).flatten()
        }
        _ => None,
    }
}

/// Who knows both of two things: nobody, when they are different owners.
pub(super) fn joint(a: Label, b: Label) -> Option<Label> {
    let both = a.join(b);
    (both.is_public() || both.single().is_some()).then_some(both)
}

/// The label of a clear tensor.
pub(super) fn owner(graph: &Graph, clear: NodeId) -> Label {
    match graph.node(clear).ty.repr {
        Repr::Clear(label) => label,
        Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => unreachable!("asked of clear tensors only"),
    }
}

/// The value of a constant that is the same everywhere.
pub(super) fn splat(graph: &Graph, clear: NodeId) -> Option<f64> {
    match graph.node(clear).op {
        Op::Const(Constant::Splat(value)) => Some(value),
        _ => None,
    }
}

/// The value of a constant in the ring that is the same everywhere.
pub(super) fn value(graph: &Graph, id: NodeId) -> Option<f64> {
    match graph.node(id).op {
        Op::Encode { .. } => splat(graph, graph.operands(id)[0]),
        Op::Broadcast | Op::Reshape => value(graph, graph.operands(id)[0]),
        _ => None,
    }
}

/// A constant.
pub(super) fn constant(graph: &mut Graph, value: f64, shape: &[usize]) -> NodeId {
    let ty = Ty { shape: shape.to_vec(), repr: Repr::Clear(Label::PUBLIC) };
    graph.add(Op::Const(Constant::Splat(value)), &[], ty, None)
}

/// The clear tensor behind one that somebody knows ([`label`]): with its axes, those along which it repeats of size 1.
pub(super) fn small(graph: &mut Graph, id: NodeId) -> NodeId {
    let node = graph.node(id).clone();
    let operand = graph.operands(id)[0];
    match &node.op {
        Op::Share { .. } | Op::Encode { .. } => match splat(graph, operand) {
            Some(value) => constant(graph, value, &vec![1; node.ty.shape.len()]),
            None => operand,
        },
        Op::Broadcast => small(graph, operand),
        Op::Transpose { .. } => {
            let inner = small(graph, operand);
            moved(graph, &node.op, inner, &node.ty.shape)
        }
        Op::Slice { axis, .. } | Op::Gather { axis, .. } => {
            let inner = small(graph, operand);
            let pads = matches!(&node.op, Op::Gather { index, .. } if index.contains(&None));
            let from = graph.node(operand).ty.shape.clone();
            let repeats = graph.node(inner).ty.shape[*axis] == 1;
            if repeats && !pads {
                return inner;
            }
            let mut shape = graph.node(inner).ty.shape.clone();
            shape[*axis] = from[*axis];
            let inner = broadcast(graph, inner, &shape);
            moved(graph, &node.op, inner, &node.ty.shape)
        }
        _ => {
            let from = graph.node(operand).ty.shape.clone();
            let inner = small(graph, operand);
            if let Some(value) = splat(graph, inner) {
                return constant(graph, value, &vec![1; node.ty.shape.len()]);
            }
            let inner = broadcast(graph, inner, &from);
            clear(graph, Op::Reshape, &[inner], node.ty.shape, node.span)
        }
    }
}

/// A move of a tensor that repeats along some of its axes; `to` is the shape of the whole.
fn moved(graph: &mut Graph, op: &Op, inner: NodeId, to: &[usize]) -> NodeId {
    let from = graph.node(inner).ty.shape.clone();
    let shape = match op {
        Op::Transpose { perm } => perm.iter().map(|a| from[*a]).collect(),
        Op::Slice { axis, .. } | Op::Gather { axis, .. } => {
            let mut shape = from;
            shape[*axis] = to[*axis];
            shape
        }
        other => unreachable!("{other:?} is no move along axes"),
    };
    clear(graph, op.clone(), &[inner], shape, None)
}

/// An operation in the clear.
pub(super) fn clear(graph: &mut Graph, op: Op, operands: &[NodeId], shape: Vec<usize>, span: Option<Span>) -> NodeId {
    let label = operands.iter().fold(Label::PUBLIC, |label, o| label.join(owner(graph, *o)));
    graph.add(op, operands, Ty { shape, repr: Repr::Clear(label) }, span)
}

/// A clear tensor repeated along axes of size 1.
pub(super) fn broadcast(graph: &mut Graph, clear: NodeId, shape: &[usize]) -> NodeId {
    if graph.node(clear).ty.shape == shape {
        return clear;
    }
    if let Some(value) = splat(graph, clear) {
        return constant(graph, value, shape);
    }
    self::clear(graph, Op::Broadcast, &[clear], shape.to_vec(), None)
}

/// The shape to which two shapes of as many axes are broadcast.
pub(super) fn joint_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    a.iter().zip(b).map(|(a, b)| *a.max(b)).collect()
}

/// An elementwise operation on clear tensors that are broadcast to each other; of constants, its value.
pub(super) fn combine(graph: &mut Graph, op: Op, a: NodeId, b: NodeId, span: Option<Span>) -> NodeId {
    let shape = joint_shape(&graph.node(a).ty.shape, &graph.node(b).ty.shape);
    if let (Some(x), Some(y)) = (splat(graph, a), splat(graph, b)) {
        let value = match op {
            Op::Add => x + y,
            Op::Sub => x - y,
            _ => x * y,
        };
        return constant(graph, value, &shape);
    }
    let (a, b) = (broadcast(graph, a, &shape), broadcast(graph, b, &shape));
    clear(graph, op, &[a, b], shape, span)
}

/// The negative of a clear tensor.
pub(super) fn negate(graph: &mut Graph, clear: NodeId) -> NodeId {
    let shape = graph.node(clear).ty.shape.clone();
    match splat(graph, clear) {
        Some(value) => constant(graph, -value, &shape),
        None => self::clear(graph, Op::Neg, &[clear], shape, None),
    }
}

/// A clear tensor in the ring: shared by its owner or encoded by everybody, then repeated to a shape.
pub(super) fn bring(graph: &mut Graph, clear: NodeId, shape: &[usize], scale: u32, span: Option<Span>) -> NodeId {
    let label = owner(graph, clear);
    let (op, repr) = if label.is_public() {
        (Op::Encode { scale }, Repr::Public { scale })
    } else {
        (Op::Share { scale }, Repr::Ring { scale })
    };
    let clear = if splat(graph, clear).is_some() { broadcast(graph, clear, shape) } else { clear };
    let from = graph.node(clear).ty.shape.clone();
    let brought = graph.add(op, &[clear], Ty { shape: from.clone(), repr }, span);
    if from == shape {
        return brought;
    }
    graph.add(Op::Broadcast, &[brought], Ty { shape: shape.to_vec(), repr }, span)
}

/// Fraction bits for a constant factor: as many as it has, but at most those of [`Format::factor_scale`].
///
/// [`Format::factor_scale`]: crate::fixed::Format::factor_scale
pub(super) fn digits(graph: &Graph, value: f64) -> u32 {
    let most = graph.format.factor_scale(value);
    (0..most).find(|digits| (value * pow2(*digits as i32)).fract() == 0.0).unwrap_or(most)
}

/// Whether the number format holds a constant, and it does not vanish, at a scale; true of what is no constant.
pub(super) fn survives(graph: &Graph, clear: NodeId, scale: u32) -> bool {
    splat(graph, clear).is_none_or(|value| match graph.format.encode(value, scale) {
        None => false,
        Some(word) => word != 0 || value == 0.0,
    })
}
