//! `fold-constants`: computes with constants now, and encodes them with no more digits than they have.
//!
//! Before: `%3 = const 0.015625; %4 = encode scale=21 %3; %5 = mul %2 %4; %6 = trunc bits=21 %5`. After: `%4 = encode scale=6 %3;
//! %5 = mul %2 %4; %6 = trunc bits=6 %5`: the product has no more bits than it needs, so 3 bits less for each that need not be
//! dropped, exactly the same number, and room in the ring for what follows (`defer-trunc`). Also adding 0, multiplying by 1,
//! negating twice and subtracting from 0 (a negative, of which comparisons can make more); what is computed from constants
//! alone is no input of the parties but part of the plan.

use super::known;
use super::layers::{is_single, remove_unused, scale, scaled};
use crate::graph::{Graph, NodeId, Op, Repr, Ty};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        if !graph.dag.contains_node(id) {
            continue;
        }
        if let Some(new) = clear(graph, id).or_else(|| neutral(graph, id)).or_else(|| narrow(graph, id)) {
            graph.replace_uses(id, new);
            remove_unused(graph, id);
        }
    }
}

/// An operation on constants that are the same everywhere is such a constant.
fn clear(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    if !matches!(node.ty.repr, Repr::Clear(_)) {
        return None;
    }
    let values: Option<Vec<f64>> = graph.operands(id).iter().map(|o| known::splat(graph, *o)).collect();
    let value = match (&node.op, values?.as_slice()) {
        (Op::Add, [a, b]) => a + b,
        (Op::Sub, [a, b]) => a - b,
        (Op::Mul, [a, b]) => a * b,
        (Op::Div, [a, b]) => a / b,
        (Op::Neg, [a]) => -a,
        (Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. }, [a]) => *a,
        _ => return None,
    };
    Some(known::constant(graph, value, &node.ty.shape))
}

/// What changes nothing is its operand, and what is subtracted from 0 is negated.
fn neutral(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    if !matches!(node.ty.repr, Repr::Ring { .. }) {
        return None;
    }
    let operands = graph.operands(id);
    let is_zero = |at: usize| known::value(graph, operands[at]) == Some(0.0);
    let same = |at: usize| graph.node(operands[at]).ty == node.ty;
    match node.op {
        Op::Add if is_zero(0) && same(1) => Some(operands[1]),
        Op::Add | Op::Sub if is_zero(1) && same(0) => Some(operands[0]),
        Op::Sub if is_zero(0) => Some(graph.add(Op::Neg, &[operands[1]], node.ty, node.span)),
        Op::Neg if graph.node(operands[0]).op == Op::Neg => Some(graph.operands(operands[0])[0]),
        Op::Trunc { .. } | Op::Mul => {
            let one = scaled(graph, id).into_iter().find(|s| known::value(graph, s.factor) == Some(1.0));
            one.map(|scaled| scaled.x).filter(|x| graph.node(*x).ty == node.ty)
        }
        _ => None,
    }
}

/// A scale with a constant factor of few digits.
fn narrow(graph: &mut Graph, id: NodeId) -> Option<NodeId> {
    let node = graph.node(id).clone();
    let Op::Trunc { bits } = node.op else { return None };
    let scaled = scaled(graph, id).into_iter().find(|s| known::value(graph, s.factor).is_some())?;
    let value = known::value(graph, scaled.factor)?;
    let digits = known::digits(graph, value);
    if digits >= bits || value == 0.0 || !is_single(graph, scaled.mul) {
        return None;
    }
    let have = scale(graph, scaled.x)?;
    let clear = known::constant(graph, value, &node.ty.shape);
    let factor = known::bring(graph, clear, &node.ty.shape, digits, None);
    let (span, wide) = (graph.node(scaled.mul).span, Repr::Ring { scale: have + digits });
    let product = graph.add(Op::Mul, &[scaled.x, factor], Ty { shape: node.ty.shape.clone(), repr: wide }, span);
    Some(if digits == 0 { product } else { graph.add(Op::Trunc { bits: digits }, &[product], node.ty, node.span) })
}
