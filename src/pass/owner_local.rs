//! `owner-local`: lets an owner compute in the clear what depends on its data alone.
//!
//! Before: `%2 = share %1; %4 = mul %2 %3; %5 = trunc %4`. After: `%4 = mul %1 c; %5 = share %4`, where the owner
//! multiplies in f64 and shares the result. Saves the whole protocol of the operation; the label makes it safe. Results
//! are closer to the real numbers, because the owner's arithmetic does not round to the format.

use crate::graph::{Graph, NodeId, Op, Repr, Ty};
use crate::label::Label;

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        hoist(graph, id);
    }
}

/// What a node's operand is in the clear.
fn clear_source(graph: &Graph, id: NodeId) -> Option<(NodeId, Label)> {
    if !matches!(graph.node(id).op, Op::Share { .. } | Op::Encode { .. }) {
        return None;
    }
    let source = graph.operands(id)[0];
    match graph.node(source).ty.repr {
        Repr::Clear(label) => Some((source, label)),
        Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => None,
    }
}

fn hoist(graph: &mut Graph, id: NodeId) {
    let node = graph.node(id).clone();
    // Broadcasting first would share more elements; results must be shared; bits have no clear encoding to share.
    if matches!(node.op, Op::Broadcast | Op::Reveal { .. } | Op::Share { .. } | Op::Encode { .. }) {
        return;
    }
    let scale = match node.ty.repr {
        Repr::Ring { scale } => scale,
        Repr::Bit | Repr::Clear(_) | Repr::Public { .. } => return,
    };
    let operands = graph.operands(id);
    let through: Vec<(NodeId, Label)> = operands.iter().map_while(|o| unbroadcast(graph, *o)).collect();
    if operands.is_empty() || through.len() != operands.len() {
        return;
    }
    let label = through.iter().fold(Label::PUBLIC, |l, (_, m)| l.join(*m));
    if label.single().is_none() {
        return;
    }
    let sources: Vec<NodeId> = operands.iter().map(|o| in_the_clear(graph, *o)).collect();
    let value = if matches!(node.op, Op::Trunc { .. } | Op::Up { .. }) {
        sources[0]
    } else {
        let ty = Ty { shape: node.ty.shape.clone(), repr: Repr::Clear(label) };
        graph.add(node.op, &sources, ty, node.span)
    };
    let shared = graph.add(Op::Share { scale }, &[value], node.ty, node.span);
    graph.replace_uses(id, shared);
    graph.dag.remove_node(id);
}

/// The clear source of an operand, looking through a broadcast of it.
fn unbroadcast(graph: &Graph, id: NodeId) -> Option<(NodeId, Label)> {
    if graph.node(id).op == Op::Broadcast {
        return clear_source(graph, graph.operands(id)[0]);
    }
    clear_source(graph, id)
}

/// The operand in the clear, with its broadcast repeated there.
fn in_the_clear(graph: &mut Graph, id: NodeId) -> NodeId {
    if let Some((source, _)) = clear_source(graph, id) {
        return source;
    }
    let (source, label) = unbroadcast(graph, id).expect("the caller checked that the operand is clear");
    let ty = Ty { shape: graph.node(id).ty.shape.clone(), repr: Repr::Clear(label) };
    let span = graph.node(id).span;
    graph.add(Op::Broadcast, &[source], ty, span)
}
