//! `share-comparisons`: compares once where two comparisons say the same, and reads signs where they are cheapest.
//!
//! Before: `%5 = is_negative %4; %6 = relu %4`. After: `%6 = select %5 0 %4`: a ReLU beside a comparison of the same number takes its
//! bit. Before: `%5 = relu %4; %6 = neg %4; %7 = relu %6`. After: `%7 = sub %5 %4`. Before: `%5 = is_negative (neg %4); %6 = select %5 %4 0`.
//! After: `%6 = relu %4`. Each saves a comparison and a selection, or one of them. `a < b`, `b > a`, `a >= b` and `b <= a` are one comparison already
//! when the graph is built; a condition that is negated is chosen from the other way around, which saves its second
//! opening.
//!
//! A comparison of a truncation with a constant is turned so that the constant is subtracted: the plan then reads the sign off
//! what was truncated, with the constant added, and need not wait two rounds for the truncation: `c - x < 0` becomes
//! `not (x - c' < 0)` for the next number c' above c, and `relu(c - x)` becomes `relu(x - c) - (x - c)`.

use super::known;
use super::layers::{is_single, remove_unused, scale};
use crate::fixed::pow2;
use crate::graph::{Graph, NodeId, Op, Repr, Ty};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for rewrite in [swapped, chosen, turned, opposite, beside] {
        for id in graph.order() {
            if graph.dag.contains_node(id)
                && let Some(new) = rewrite(graph, id)
            {
                graph.replace_uses(id, new);
                remove_unused(graph, id);
            }
        }
    }
}

/// A choice by a negated bit.
fn swapped(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    let operands = graph.operands(id);
    let bit = negated(graph, *operands.first()?).filter(|_| node.op == Op::Select)?;
    Some(graph.add(Op::Select, &[bit, operands[2], operands[1]], node.ty, node.span))
}

/// The bit of which this one is the opposite.
fn negated(graph: &Graph, id: NodeId) -> Option<NodeId> {
    let operands = graph.operands(id);
    let is_one = || known::value(graph, operands[1]) == Some(1.0);
    (graph.node(id).op == Op::Xor && is_one()).then(|| operands[0])
}

/// A choice between a number and 0 by that number's sign.
fn chosen(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    let operands = graph.operands(id);
    let bit = operands.first().copied().filter(|_| node.op == Op::Select)?;
    let Op::IsNegative { unread: 0 } = graph.node(bit).op else { return None };
    let (compared, is_zero) = (graph.operands(bit)[0], |id: NodeId| known::value(graph, id) == Some(0.0));
    let of_negative = is_zero(operands[2]) && is_negative_of(graph, compared, operands[1]);
    let of_itself = is_zero(operands[1]) && compared == operands[2];
    let x = if of_negative { operands[1] } else { operands[2] };
    if !is_single(graph, bit) || !(of_negative || of_itself) || graph.node(x).ty != node.ty {
        return None;
    }
    Some(graph.add(Op::Relu { unread: 0 }, &[x], node.ty, node.span))
}

/// Whether a is -b by its form.
fn is_negative_of(graph: &Graph, a: NodeId, b: NodeId) -> bool {
    let (x, y) = (graph.operands(a), graph.operands(b));
    match (&graph.node(a).op, &graph.node(b).op) {
        (Op::Neg, _) if x[0] == b => true,
        (_, Op::Neg) if y[0] == a => true,
        (Op::Sub, Op::Sub) => x[0] == y[1] && x[1] == y[0],
        _ => false,
    }
}

/// A constant minus a truncation, with that truncation and the constant's value.
fn from_constant(graph: &Graph, id: NodeId) -> Option<(NodeId, f64)> {
    let operands = graph.operands(id);
    let (x, value) = match graph.node(id).op {
        Op::Sub => (operands[1], known::value(graph, operands[0])?),
        Op::Neg => (operands[0], 0.0),
        _ => return None,
    };
    matches!(graph.node(x).op, Op::Trunc { .. }).then_some((x, value))
}

/// A comparison of a constant with a truncation, turned.
fn turned(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    let compared = graph.operands(id).first().copied()?;
    match node.op {
        Op::Relu { unread: 0 } => {
            let (x, value) = from_constant(graph, compared)?;
            let difference = minus(graph, x, value)?;
            let relu = graph.add(node.op, &[difference], node.ty.clone(), node.span);
            Some(graph.add(Op::Sub, &[relu, difference], node.ty, node.span))
        }
        Op::IsNegative { unread: 0 } => {
            let (x, value) = from_constant(graph, compared)?;
            // Users that choose can choose the other way around; for others the bit would have to be negated.
            let users: Vec<NodeId> = graph.users(id).collect();
            let chooses = |user: &NodeId| graph.node(*user).op == Op::Select && graph.operands(*user)[0] == id;
            let format = graph.format;
            let digits = scale(graph, x)? as i32;
            let next = format.signed(format.encode(value, scale(graph, x)?)?) as f64 + 1.0;
            if !users.iter().all(chooses) {
                return None;
            }
            let difference = minus(graph, x, next * pow2(-digits))?;
            let bit = graph.add(node.op, &[difference], node.ty, node.span);
            for user in users {
                let operands = graph.operands(user);
                graph.set_operands(user, &[bit, operands[2], operands[1]]);
            }
            Some(bit)
        }
        _ => None,
    }
}

/// x less a constant.
fn minus(graph: &mut Graph, x: NodeId, value: f64) -> Option<NodeId> {
    if value == 0.0 {
        return Some(x);
    }
    let (ty, span, digits) = (graph.node(x).ty.clone(), graph.node(x).span, scale(graph, x)?);
    graph.format.encode(value, digits)?;
    let clear = known::constant(graph, value, &ty.shape);
    let constant = known::bring(graph, clear, &ty.shape, digits, span);
    Some(graph.add(Op::Sub, &[x, constant], ty, span))
}

/// A ReLU of the negative of a number of which there is a ReLU, too.
fn opposite(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    let Op::Relu { unread: 0 } = node.op else { return None };
    let compared = graph.operands(id)[0];
    // Users of the negated number, and of what the difference is the difference of.
    let near: Vec<NodeId> = graph.operands(compared).into_iter().flat_map(|o| graph.users(o)).collect();
    let negatives = graph.users(compared).filter(|user| graph.node(*user).op == Op::Neg);
    let near: Vec<NodeId> = near.into_iter().chain(negatives).collect();
    let mut candidates: Vec<NodeId> = near.iter().copied().flat_map(|n| graph.users(n).chain([n])).collect();
    candidates.sort_unstable();
    let other = candidates.into_iter().find(|other| {
        *other < id && graph.node(*other).op == node.op && is_negative_of(graph, compared, graph.operands(*other)[0])
    })?;
    let number = graph.operands(other)[0];
    Some(graph.add(Op::Sub, &[other, number], node.ty, node.span))
}

/// A ReLU of a number that is compared beside it.
fn beside(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    let Op::Relu { unread } = node.op else { return None };
    let x = graph.operands(id)[0];
    let compares = |user: &NodeId| graph.node(*user).op == Op::IsNegative { unread };
    let own = graph.users(x).filter(compares).min();
    let negatives = graph.users(x).filter(|user| graph.node(*user).op == Op::Neg);
    let negative = negatives.flat_map(|n| graph.users(n)).filter(compares).min().filter(|_| unread == 0);
    let Repr::Ring { scale } = node.ty.repr else { return None };
    let bit = own.or(negative)?;
    let zero = known::constant(graph, 0.0, &node.ty.shape);
    let zero = known::bring(graph, zero, &node.ty.shape, scale, node.span);
    let operands = if own.is_some() { [bit, zero, x] } else { [bit, x, zero] };
    Some(graph.add(Op::Select, &operands, Ty { ..node.ty }, node.span))
}
