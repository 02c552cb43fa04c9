//! `fold-input`: multiplies a layer's weights by the scale of what goes in, where one owner knows both.
//!
//! Before: `%5 = mul %4 (broadcast (share s)); %6 = trunc %5; %7 = add %6 (broadcast (share t)); %8 = conv2d %7 (share w);
//! %9 = trunc %8`. After: `%8 = conv2d %4 (share ws); %9 = trunc %8; %10 = add %9 (share (conv2d t w))`: a batch normalisation
//! behind a ReLU goes into the next layer. What a shift becomes at an image's edge, its owner computes in the clear. The scale may
//! stand before reshapes and sums: an average pool's `1/49` goes into the weights of the linear layer that follows. Saves a
//! product and a truncation for each element that goes in, and their rounds (for a constant, the truncation).
//!
//! Weights that take a constant in are encoded finer, as in `fold-scale`.

use super::absorb::{finer, rebuild};
use super::known::{self, splat};
use super::layers::{Linear, is_moderate, is_single, linear, remove_unused, scale, scaled};
use crate::graph::{Graph, NodeId, Op, Window};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        if !graph.dag.contains_node(id) {
            continue;
        }
        for layer in linear(graph, id) {
            if let Some(found) = strip(graph, layer.x)
                && let Some(new) = fold(graph, id, &layer, &found)
            {
                graph.replace_uses(id, new);
                remove_unused(graph, id);
                break;
            }
        }
    }
}

/// What a layer's input is: rearranged and summed elements of `x` times a factor, and a shift.
struct Stripped {
    x: NodeId,
    /// What is done with `x factor`, the last first.
    path: Vec<NodeId>,
    /// Clear, with the axes of the input, of size 1 where it repeats.
    factor: NodeId,
    shift: Option<NodeId>,
}

/// Finds a scale behind a value that is used once.
fn strip(graph: &mut Graph, id: NodeId) -> Option<Stripped> {
    if !is_single(graph, id) {
        return None;
    }
    let node = graph.node(id).clone();
    let operands = graph.operands(id);
    match node.op {
        Op::Trunc { .. } => {
            let scaled = scaled(graph, id).into_iter().next()?;
            let factor = known::small(graph, scaled.factor);
            is_moderate(graph, factor).then_some(())?;
            Some(Stripped { x: scaled.x, path: Vec::new(), factor, shift: None })
        }
        Op::Add | Op::Sub => {
            let (of, shift) = match [0, 1].map(|at| known::label(graph, operands[at]).is_some()) {
                [false, true] => (operands[0], operands[1]),
                [true, false] if node.op == Op::Add => (operands[1], operands[0]),
                _ => return None,
            };
            let mut found = strip(graph, of)?;
            if let Some(own) = found.shift {
                known::joint(known::owner(graph, own), known::label(graph, shift)?)?;
            }
            let shift = known::small(graph, shift);
            found.shift = Some(match found.shift {
                Some(own) => known::combine(graph, node.op, own, shift, node.span),
                None if node.op == Op::Add => shift,
                None => known::negate(graph, shift),
            });
            Some(found)
        }
        Op::Reshape | Op::Sum { .. } | Op::SumPool { .. } => {
            let mut found = strip(graph, operands[0])?;
            let from = graph.node(operands[0]).ty.shape.clone();
            found.factor = factor_after(graph, &node.op, found.factor, &from, &node.ty.shape)?;
            found.shift = found.shift.map(|shift| {
                let all = known::broadcast(graph, shift, &from);
                known::clear(graph, node.op.clone(), &[all], node.ty.shape.clone(), node.span)
            });
            found.path.insert(0, id);
            Some(found)
        }
        _ => None,
    }
}

/// A factor behind an operation, if it is one there still.
fn factor_after(graph: &mut Graph, op: &Op, factor: NodeId, from: &[usize], to: &[usize]) -> Option<NodeId> {
    if let Some(value) = splat(graph, factor) {
        return Some(known::constant(graph, value, &vec![1; to.len()]));
    }
    let shape = graph.node(factor).ty.shape.clone();
    match op {
        Op::Sum { axis } => (shape[*axis] == 1).then_some(factor),
        Op::SumPool { .. } => (shape[2..] == [1, 1]).then_some(factor),
        _ => {
            let all = known::broadcast(graph, factor, from);
            Some(known::clear(graph, Op::Reshape, &[all], to.to_vec(), None))
        }
    }
}

/// The layer on the unscaled input.
fn fold(graph: &mut Graph, id: NodeId, layer: &Linear, found: &Stripped) -> Option<NodeId> {
    let label = known::joint(known::label(graph, layer.weights)?, known::owner(graph, found.factor))?;
    if let Some(shift) = found.shift {
        known::joint(label, known::owner(graph, shift))?;
    }
    let factor = by_input(graph, layer, found.factor)?;
    let shift = match found.shift {
        Some(shift) => Some(through(graph, layer, shift)?),
        None => None,
    };
    let more = finer(graph, layer, found.factor)?;
    let mut x = found.x;
    for step in found.path.iter().rev() {
        let node = graph.node(*step).clone();
        x = graph.add(node.op, &[x], node.ty, node.span);
    }
    let new = rebuild(graph, id, layer, x, factor, more);
    let Some(shift) = shift else { return Some(new) };
    let node = graph.node(new).clone();
    let shift = known::bring(graph, shift, &node.ty.shape, scale(graph, new)?, node.span);
    Some(graph.add(Op::Add, &[new, shift], node.ty, node.span))
}

/// A factor of a layer's input as one of its weights, if it belongs to input channels.
fn by_input(graph: &mut Graph, layer: &Linear, factor: NodeId) -> Option<NodeId> {
    let weights = graph.node(layer.weights).ty.shape.clone();
    if let Some(value) = splat(graph, factor) {
        return Some(known::constant(graph, value, &vec![1; weights.len()]));
    }
    let from = graph.node(factor).ty.shape.clone();
    let rank = from.len();
    match graph.node(layer.product).op {
        Op::Conv2d { groups, .. } => {
            if from[0] != 1 || from[2..] != [1, 1] {
                return None;
            }
            // Filters of a group read the group's channels.
            let (out, each) = (weights[0], weights[1]);
            let factor = known::broadcast(graph, factor, &[1, groups * each, 1, 1]);
            let rows = known::clear(graph, Op::Reshape, &[factor], vec![groups, 1, each], None);
            let rows = known::broadcast(graph, rows, &[groups, out / groups, each]);
            Some(known::clear(graph, Op::Reshape, &[rows], vec![out, each, 1, 1], None))
        }
        _ => {
            // The axis that is summed over, which is the other one of the weights.
            let (other, mut perm) = (if layer.at == 1 { rank - 2 } else { rank - 1 }, (0..rank).collect::<Vec<_>>());
            if from[other] != 1 {
                return None;
            }
            perm.swap(rank - 2, rank - 1);
            let shape = perm.iter().map(|a| from[*a]).collect();
            Some(known::clear(graph, Op::Transpose { perm }, &[factor], shape, None))
        }
    }
}

/// What the layer makes of a clear shift: clear, with the axes of the layer's result. Not when the owner would share
/// more of it than it saves.
fn through(graph: &mut Graph, layer: &Linear, shift: NodeId) -> Option<NodeId> {
    if !layer.sums.is_empty() {
        return None;
    }
    let product = graph.node(layer.product).clone();
    let (from, whole) = (graph.node(shift).ty.shape.clone(), graph.node(layer.x).ty.shape.clone());
    let weights = graph.node(layer.weights).ty.shape.clone();
    let rank = from.len();
    let (op, input, shape) = match product.op {
        Op::Conv2d { window, groups } => {
            let even = from[2..] == [1, 1] && window.pad == [0, 0];
            // Without an edge, one place tells of all.
            let reach = |i: usize| (window.size[i] - 1) * window.dilation[i] + 1;
            let place = if even { [reach(0), reach(1)] } else { [whole[2], whole[3]] };
            let window = if even { Window { stride: [1, 1], ..window } } else { window };
            let out = window.output(place[0], place[1])?;
            let shape = vec![from[0], weights[0], out[0], out[1]];
            (Op::Conv2d { window, groups }, vec![from[0], whole[1], place[0], place[1]], shape)
        }
        _ => {
            let (mut input, mut shape) = (whole.clone(), product.ty.shape.clone());
            let other = if layer.at == 1 { rank - 2 } else { rank - 1 };
            (input[other], shape[other]) = (from[other], from[other]);
            (Op::MatMul, input, shape)
        }
    };
    let len = |shape: &[usize]| shape.iter().product::<usize>();
    if len(&shape) > len(&whole) {
        return None;
    }
    let own = known::small(graph, layer.weights);
    let own = known::broadcast(graph, own, &weights);
    let input = known::broadcast(graph, shift, &input);
    let operands = if layer.at == 1 { [input, own] } else { [own, input] };
    let out = known::clear(graph, op, &operands, shape, product.span);
    Some(out)
}
