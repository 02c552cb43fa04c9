//! `dce`: drops nodes that no result needs.
//!
//! Before: `%3 = relu %2` used by nobody. After: gone, with everything only it needed. Inputs stay: an owner's data is
//! part of the entry's signature even where nothing uses it, but what is not needed is not shared. Arguments of a loop's
//! turn stay with their positions.

use std::collections::BTreeSet;

use crate::graph::{Graph, NodeId, Op};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    let mut needed: BTreeSet<NodeId> = BTreeSet::new();
    let mut stack: Vec<NodeId> = graph.results().collect();
    while let Some(id) = stack.pop() {
        if needed.insert(id) {
            stack.extend(graph.operands(id));
        }
    }
    let dead: Vec<NodeId> = graph
        .dag
        .node_indices()
        .filter(|id| {
            !needed.contains(id) && !matches!(graph.node(*id).op, Op::Input { .. } | Op::Stored { .. } | Op::Arg { .. })
        })
        .collect();
    for id in dead {
        graph.dag.remove_node(id);
    }
}
