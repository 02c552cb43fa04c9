//! `fold-scale`: multiplies a convolution's filters by the scale that follows it, where one owner knows both.
//!
//! Before: `%3 = conv2d %1 (share w); %4 = trunc %3; %6 = mul %4 (broadcast (share s))`. After: `%6 = conv2d %1 (share ws)`:
//! equal, because each of the scale's numbers belongs to one output channel. Saves a product and a truncation for each
//! element, and their two rounds: a batch normalisation then costs nothing. The filters are rounded to the number format
//! after the scaling, not before.

use crate::graph::{Graph, NodeId, Op, Repr, Ty};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        let operands = graph.operands(id);
        if let (Op::Mul, [a, b]) = (&graph.node(id).op, operands.as_slice()) {
            let (a, b) = (*a, *b);
            if !fold(graph, id, a, b) {
                fold(graph, id, b, a);
            }
        }
    }
}

/// The operand of a node with one user, if `is` holds of the node.
fn only(graph: &Graph, id: NodeId, is: fn(&Op) -> bool) -> Option<NodeId> {
    (is(&graph.node(id).op) && graph.users(id).count() == 1).then(|| graph.operands(id)[0])
}

/// The owner's tensor behind a sharing.
fn shared(graph: &Graph, id: NodeId) -> Option<NodeId> {
    matches!(graph.node(id).op, Op::Share { .. }).then(|| graph.operands(id)[0])
}

/// Folds `scale` into the convolution behind `product`; whether it did.
fn fold(graph: &mut Graph, id: NodeId, product: NodeId, scale: NodeId) -> bool {
    let Some(conv) = only(graph, product, |op| matches!(op, Op::Trunc { .. })) else { return false };
    let Some(image) = only(graph, conv, |op| matches!(op, Op::Conv2d { .. })) else { return false };
    let Some(factor) = only(graph, scale, |op| *op == Op::Broadcast) else { return false };
    let filters = graph.operands(conv)[1];
    let (Some(weight), Some(numbers)) = (shared(graph, filters), shared(graph, factor)) else { return false };
    let (old, new) = (graph.node(conv).clone(), graph.node(id).ty.clone());
    let (Ty { shape, repr }, other) = (graph.node(weight).ty.clone(), graph.node(numbers).ty.clone());
    let by_channel = other.shape.iter().enumerate().all(|(axis, n)| axis == 1 || *n == 1);
    if !by_channel || repr != other.repr || !matches!(repr, Repr::Clear(_)) || old.ty.repr != new.repr {
        return false;
    }
    let span = graph.node(id).span;
    let column = Ty { shape: vec![other.shape[1], 1, 1, 1], repr };
    let column = graph.add(Op::Reshape, &[numbers], column, span);
    let column = graph.add(Op::Broadcast, &[column], Ty { shape: shape.clone(), repr }, span);
    let scaled = graph.add(Op::Mul, &[weight, column], Ty { shape, repr }, span);
    let sharing = graph.node(filters).clone();
    let scaled = graph.add(sharing.op, &[scaled], sharing.ty, sharing.span);
    let folded = graph.add(old.op, &[image, scaled], new, old.span);
    graph.replace_uses(id, folded);
    for dead in [id, product, conv, scale] {
        graph.dag.remove_node(dead);
    }
    true
}
