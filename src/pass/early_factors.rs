//! `early-factors`: multiplies first by what is there first.
//!
//! Before: `%5 = trunc bits=16 (mul %d %late); %6 = trunc bits=16 (mul %5 %g)`. After: `%5 = trunc bits=1 (mul %d %g); %6 = trunc bits=31 (mul %5
//! %late)`: the first product is taken while the late factor is on its way, as in a layer normalisation `d rsqrt(v) g`. Saves two
//! rounds, at as many bytes. The first truncation drops only as many bits as the ring has no room for, so the result has
//! no larger rounding error; and only where the ring holds the product of any two numbers of the format, because
//! the program did not ask for this one.

use std::collections::BTreeMap;

use super::layers::{is_single, remove_unused, scale};
use crate::graph::{Graph, NodeId, Op, Repr, Ty};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    let depths = depths(graph);
    for id in graph.order() {
        if graph.dag.contains_node(id)
            && let Some(new) = swap(graph, id, &depths)
        {
            graph.replace_uses(id, new);
            remove_unused(graph, id);
        }
    }
}

/// About how many rounds each node comes after the first.
fn depths(graph: &Graph) -> BTreeMap<NodeId, usize> {
    let mut depths = BTreeMap::new();
    for id in graph.order() {
        let before = graph.operands(id).iter().map(|o| depths[o]).max().unwrap_or(0);
        depths.insert(id, before + rounds(graph, id));
    }
    depths
}

/// About how many rounds an operation on shares takes.
fn rounds(graph: &Graph, id: NodeId) -> usize {
    let node = graph.node(id);
    if matches!(node.ty.repr, Repr::Clear(_) | Repr::Public { .. }) {
        return 0;
    }
    let levels = |n: usize| n.next_power_of_two().trailing_zeros() as usize;
    let axis = |axis: usize| levels(graph.node(graph.operands(id)[0]).ty.shape[axis]);
    match &node.op {
        Op::Trunc { .. } | Op::OneHot { .. } | Op::FromBits => 2,
        Op::Relu { .. } | Op::IsNegative { .. } | Op::IsZero => 5,
        Op::MaxPool { window, .. } => 5 * (levels(window.size[0]) + levels(window.size[1])),
        Op::Max { axis: at, .. } | Op::Argmax { axis: at, .. } => 5 * axis(*at),
        Op::Exp { .. } => 3,
        Op::Piecewise(_) => 4,
        Op::Leading(_) => 7,
        Op::Bits { .. } => 6,
        Op::AnyAbove => axis(0),
        Op::And | Op::Select => 1,
        _ => 0,
    }
}

/// The product of two factors inside of a truncation that nothing else uses.
fn product(graph: &Graph, id: NodeId) -> Option<([NodeId; 2], u32)> {
    let Op::Trunc { bits } = graph.node(id).op else { return None };
    let mul = graph.operands(id)[0];
    let is_product = graph.node(mul).op == Op::Mul && is_single(graph, mul);
    is_product.then(|| graph.operands(mul)).map(|o| ([o[0], o[1]], bits))
}

fn swap(graph: &mut Graph, id: NodeId, depths: &BTreeMap<NodeId, usize>) -> Option<NodeId> {
    let depth = |id: NodeId| depths.get(&id).copied();
    let (outer, second) = product(graph, id)?;
    let in_ring = |graph: &Graph, id: NodeId| matches!(graph.node(id).ty.repr, Repr::Ring { .. });
    let (inner, factor) = if depth(outer[0])? > depth(outer[1])? { (outer[0], outer[1]) } else { (outer[1], outer[0]) };
    let ([x, y], first) = product(graph, inner)?;
    let (early, late) = if depth(x)? < depth(y)? { (x, y) } else { (y, x) };
    let waits = depth(late)? >= depth(early)?.max(depth(factor)?) + 2;
    if !waits || !is_single(graph, inner) || ![early, late, factor].iter().all(|id| in_ring(graph, *id)) {
        return None;
    }
    let format = graph.format;
    let [a, b, c] = [scale(graph, early)?, scale(graph, factor)?, scale(graph, late)?];
    let drop = (a + b + c + format.int).saturating_sub(format.ring - 1);
    if 2 * format.int + a + b > format.ring || drop > first.min(a + b) {
        return None;
    }
    let node = graph.node(id).clone();
    let [inner_span, outer_span] = [inner, id].map(|id| graph.node(graph.operands(id)[0]).span);
    let ty = |scale: u32| Ty { shape: node.ty.shape.clone(), repr: Repr::Ring { scale } };
    let mut start = graph.add(Op::Mul, &[early, factor], ty(a + b), outer_span);
    if drop > 0 {
        start = graph.add(Op::Trunc { bits: drop }, &[start], ty(a + b - drop), node.span);
    }
    let all = graph.add(Op::Mul, &[start, late], ty(a + b + c - drop), inner_span);
    Some(graph.add(Op::Trunc { bits: first + second - drop }, &[all], node.ty.clone(), graph.node(inner).span))
}
