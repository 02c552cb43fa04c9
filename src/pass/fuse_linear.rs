//! `fuse-linear`: adds before the truncation what is added after it.
//!
//! Before: `%5 = trunc %4 (16); %6 = add %5 %b`. After: `%b' = up %b (16); %6' = add %4 %b'; %6 = trunc %6'`. Two
//! truncations that are added become one, that of the more bits: saves `K + 3f` bits an element each time. The rounding
//! error of a sum of several products is then that of one. Raised scales of shared data move into the sharing.
//! Differences that are compared with zero stay: they may leave the number format.

use crate::graph::{Graph, NodeId, Op, Repr, Ty};

/// Runs the pass until nothing changes.
pub fn run(graph: &mut Graph) {
    loop {
        // One way through the graph changes what it can: starting again after each change would take quadratic time.
        let mut changed = false;
        for id in graph.order() {
            changed |= graph.dag.contains_node(id) && (sink_trunc(graph, id) || raise(graph, id));
        }
        if !changed {
            break;
        }
    }
}

/// `trunc` with this node as its only user, dropped bits.
fn only_trunc(graph: &Graph, id: NodeId) -> Option<u32> {
    match graph.node(id).op {
        Op::Trunc { bits } if graph.users(id).count() == 1 => Some(bits),
        _ => None,
    }
}

/// Whether the node is a difference that may leave the number format: two numbers in range may differ by twice the
/// range. That is so where its sign is read (a comparison of shares allows for it, and a truncation, with the sign read
/// beside it, does not; also in the next turn of a loop), and where it is chosen from, `b + c (a - b)` with a bit c: if the
/// ring has no bit to spare, the truncation would be wrong.
pub(super) fn is_wide(graph: &Graph, id: NodeId) -> bool {
    let format = graph.format;
    let has_spare = format.int + 2 * format.frac + 1 < format.ring;
    let scale = |id: &NodeId| match graph.node(*id).ty.repr {
        Repr::Ring { scale } | Repr::Public { scale } => Some(scale),
        Repr::Clear(_) | Repr::Bit => None,
    };
    let reads_all = |user: NodeId| match graph.node(user).op {
        Op::IsNegative { .. } | Op::Relu { .. } | Op::Yield { .. } => true,
        Op::Mul => !has_spare && graph.operands(user).iter().any(|o| scale(o) == Some(0)),
        _ => false,
    };
    graph.node(id).op == Op::Sub && graph.users(id).any(reads_all)
}

/// Moves truncations of an addition's operands after the addition.
fn sink_trunc(graph: &mut Graph, id: NodeId) -> bool {
    let node = graph.node(id).clone();
    if !matches!(node.op, Op::Add | Op::Sub) || is_wide(graph, id) {
        return false;
    }
    let operands = graph.operands(id);
    let Some(bits) = operands.iter().filter_map(|o| only_trunc(graph, *o)).max() else { return false };
    let Repr::Ring { scale } = node.ty.repr else { return false };
    // What comes into a loop encoded cannot be encoded anew in it.
    if operands.iter().any(|o| is_public_arg(graph, *o)) {
        return false;
    }
    let wide = Ty { shape: node.ty.shape.clone(), repr: Repr::Ring { scale: scale + bits } };
    let mut raised = Vec::new();
    let mut dead = Vec::new();
    for operand in operands {
        if let Some(dropped) = only_trunc(graph, operand) {
            let source = graph.operands(operand)[0];
            raised.push(if dropped < bits { up(graph, source, bits - dropped) } else { source });
            dead.push(operand);
        } else {
            raised.push(up(graph, operand, bits));
        }
    }
    let sum = graph.add(node.op, &raised, wide, node.span);
    // The truncation serves the product, so its cost stays with the product's line.
    let span = graph.node(dead[0]).span;
    let trunc = graph.add(Op::Trunc { bits }, &[sum], node.ty, span);
    graph.replace_uses(id, trunc);
    graph.dag.remove_node(id);
    for id in dead {
        graph.dag.remove_node(id);
    }
    true
}

/// Whether a public operand comes into a loop from outside.
pub(super) fn is_public_arg(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    matches!(node.ty.repr, Repr::Public { .. })
        && match node.op {
            Op::Arg { .. } | Op::Final { .. } => true,
            Op::Encode { .. } => false,
            _ => graph.operands(id).iter().any(|o| is_public_arg(graph, *o)),
        }
}

/// The node at a raised scale.
pub(super) fn up(graph: &mut Graph, id: NodeId, bits: u32) -> NodeId {
    let node = graph.node(id).clone();
    let source = graph.operands(id).first().copied();
    match (node.op, node.ty.repr, source) {
        // Public words know no `up`: they are encoded anew.
        (Op::Encode { scale }, Repr::Public { .. }, Some(source)) => {
            let ty = Ty { shape: node.ty.shape, repr: Repr::Public { scale: scale + bits } };
            graph.add(Op::Encode { scale: scale + bits }, &[source], ty, node.span)
        }
        (op, Repr::Public { scale }, Some(source)) => {
            let raised = up(graph, source, bits);
            graph.add(op, &[raised], Ty { shape: node.ty.shape, repr: Repr::Public { scale: scale + bits } }, node.span)
        }
        (_, Repr::Ring { scale }, _) => {
            let ty = Ty { shape: node.ty.shape, repr: Repr::Ring { scale: scale + bits } };
            graph.add(Op::Up { bits }, &[id], ty, node.span)
        }
        (op, repr, _) => unreachable!("{op:?} as {repr:?} is no operand of a ring addition"),
    }
}

/// Moves every `up` as far towards the sharing as it goes.
pub(super) fn raise_all(graph: &mut Graph) {
    while graph
        .order()
        .into_iter()
        .fold(false, |changed, id| changed | (graph.dag.contains_node(id) && raise(graph, id)))
    {}
}

/// Moves an `up` towards the sharing: below rearrangement, into the encoding.
fn raise(graph: &mut Graph, id: NodeId) -> bool {
    let Op::Up { bits } = graph.node(id).op else { return false };
    let operand = graph.operands(id)[0];
    if graph.users(operand).count() != 1 {
        return false;
    }
    let inner = graph.node(operand).clone();
    let ty = graph.node(id).ty.clone();
    let Repr::Ring { scale } = ty.repr else { return false };
    let new = match inner.op {
        Op::Share { .. } => {
            let source = graph.operands(operand)[0];
            graph.add(Op::Share { scale }, &[source], ty, inner.span)
        }
        Op::Broadcast | Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } | Op::Gather { .. } => {
            let source = graph.operands(operand)[0];
            let shape = graph.node(source).ty.shape.clone();
            let raised = graph.add(Op::Up { bits }, &[source], Ty { shape, repr: ty.repr }, inner.span);
            graph.add(inner.op, &[raised], ty, inner.span)
        }
        _ => return false,
    };
    graph.replace_uses(id, new);
    graph.dag.remove_node(id);
    graph.dag.remove_node(operand);
    true
}
