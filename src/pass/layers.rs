//! The forms in which passes see a model: a product with a factor that somebody knows, and a linear layer whose weights
//! somebody knows, each with its truncation. Also how a rewrite cleans up behind itself.

use super::known;
use crate::graph::{Graph, NodeId, Op, Repr};

/// Fraction bits of a node of the ring.
pub(super) fn scale(graph: &Graph, id: NodeId) -> Option<u32> {
    match graph.node(id).ty.repr {
        Repr::Ring { scale } | Repr::Public { scale } => Some(scale),
        Repr::Clear(_) | Repr::Bit => None,
    }
}

/// Whether a single node uses this one, once.
pub(super) fn is_single(graph: &Graph, id: NodeId) -> bool {
    graph.users(id).count() == 1
}

/// Larger constants are not multiplied into weights or other factors, which might leave the number format by it.
const LARGEST: f64 = 16.0;

/// Whether a clear factor may be multiplied into another.
pub(super) fn is_moderate(graph: &Graph, factor: NodeId) -> bool {
    known::splat(graph, factor).is_none_or(|value| value.abs() <= LARGEST)
}

/// `x factor`, truncated by as many bits as the factor has after its point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scaled {
    /// The product.
    pub mul: NodeId,
    /// What is scaled.
    pub x: NodeId,
    /// In the ring; somebody knows it.
    pub factor: NodeId,
    /// Bits dropped; 0 when there is no truncation.
    pub bits: u32,
}

/// The node as a scaled one, in one or two ways.
pub(super) fn scaled(graph: &Graph, id: NodeId) -> Vec<Scaled> {
    let (mul, bits) = match graph.node(id).op {
        Op::Trunc { bits } if is_single(graph, graph.operands(id)[0]) => (graph.operands(id)[0], bits),
        Op::Mul => (id, 0),
        _ => return Vec::new(),
    };
    if graph.node(mul).op != Op::Mul {
        return Vec::new();
    }
    let o = graph.operands(mul);
    [(o[0], o[1]), (o[1], o[0])]
        .into_iter()
        .filter(|(x, factor)| {
            let known = known::label(graph, *factor).is_some() && scale(graph, *factor) == Some(bits);
            known && matches!(graph.node(*x).ty.repr, Repr::Ring { .. })
        })
        .map(|(x, factor)| Scaled { mul, x, factor, bits })
        .collect()
}

/// A matrix product or convolution with weights that somebody knows, truncated by as many bits as they have after the
/// point; sums may stand between.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// The product.
    pub product: NodeId,
    /// What goes in.
    pub x: NodeId,
    /// The weights, in the ring.
    pub weights: NodeId,
    /// Which operand the weights are.
    pub at: usize,
    /// Sums between the product and the truncation, the last first.
    pub sums: Vec<NodeId>,
}

/// The node as a linear layer, in one or two ways.
pub(super) fn linear(graph: &Graph, id: NodeId) -> Vec<Linear> {
    let Op::Trunc { bits } = graph.node(id).op else { return Vec::new() };
    let mut sums = Vec::new();
    let mut product = graph.operands(id)[0];
    while matches!(graph.node(product).op, Op::Sum { .. } | Op::SumPool { .. }) && is_single(graph, product) {
        sums.push(product);
        product = graph.operands(product)[0];
    }
    let convolves = matches!(graph.node(product).op, Op::Conv2d { .. });
    if !convolves && graph.node(product).op != Op::MatMul || !is_single(graph, product) {
        return Vec::new();
    }
    let o = graph.operands(product);
    let found = |at: usize| {
        let weights = o[at];
        let known = known::label(graph, weights).is_some() && scale(graph, weights) == Some(bits);
        known.then(|| Linear { product, x: o[1 - at], weights, at, sums: sums.clone() })
    };
    if convolves { found(1).into_iter().collect() } else { [1, 0].into_iter().filter_map(found).collect() }
}

/// Removes a node that nothing uses, and what only it needed. What belongs to an entry's or a turn's signature stays.
pub(super) fn remove_unused(graph: &mut Graph, id: NodeId) {
    let mut stack = vec![id];
    while let Some(id) = stack.pop() {
        let Some(node) = graph.dag.node_weight(id) else { continue };
        let stays = matches!(
            node.op,
            Op::Input { .. }
                | Op::Stored { .. }
                | Op::Arg { .. }
                | Op::Yield { .. }
                | Op::Reveal { .. }
                | Op::Keep { .. }
                | Op::Loop(_)
                | Op::Random { .. }
        );
        if stays || graph.users(id).next().is_some() {
            continue;
        }
        stack.extend(graph.operands(id));
        graph.dag.remove_node(id);
    }
}
