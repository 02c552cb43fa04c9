//! `cse`: computes equal expressions once.
//!
//! Before: `%4 = relu %3`, `%5 = relu %3`. After: users of `%5` use `%4`. Saves all of the second one's rounds' bytes. `a + b` is
//! `b + a`, and so are products and operations on bits.

use std::collections::BTreeMap;

use crate::graph::{Graph, NodeId, Op};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    // Equal text of operation and type, equal operands. The text form is exact, so equal text is equal meaning.
    let mut seen: BTreeMap<(String, Vec<NodeId>), NodeId> = BTreeMap::new();
    for id in graph.order() {
        let node = graph.node(id);
        if matches!(node.op, Op::Reveal { .. } | Op::Keep { .. } | Op::Yield { .. } | Op::Loop(_) | Op::Random { .. }) {
            continue;
        }
        let mut operands = graph.operands(id);
        if matches!(node.op, Op::Add | Op::Mul | Op::Xor | Op::And) {
            operands.sort_unstable();
        }
        let key = (format!("{:?} {:?}", node.op, node.ty), operands);
        if let Some(first) = seen.get(&key).copied() {
            graph.replace_uses(id, first);
            graph.dag.remove_node(id);
        } else {
            seen.insert(key, id);
        }
    }
}
