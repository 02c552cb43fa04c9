//! `fold-scale`: multiplies a layer's weights by the scale that follows it, where one owner knows both.
//!
//! Before: `%3 = conv2d %1 (share w); %4 = trunc %3; %6 = mul %4 (broadcast (share s)); %7 = trunc %6`. After: `%3 = conv2d
//! %1 (share ws); %7 = trunc %3`: equal, because each of the scale's numbers belongs to one output channel. A bias
//! between them is scaled, too; a constant also goes through a ReLU or a max pool when it is positive. Saves a product and a
//! truncation for each element, and their two rounds: a batch normalisation then costs nothing.
//!
//! The weights are rounded to the number format after the scaling, not before. Constants are the exception: `1/49` would take
//! more than five bits from each weight, so the weights are encoded with as many more bits, and the truncation drops them.

use super::absorb::{Factor, Into, absorb};
use super::known;
use super::layers::{is_moderate, remove_unused, scaled};
use crate::graph::{Graph, NodeId, Op};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        if graph.dag.contains_node(id) && matches!(graph.node(id).op, Op::Trunc { .. }) {
            fold(graph, id, Into::Weights);
        }
    }
}

/// Takes a node's factor into what it scales, if it fits there.
pub(super) fn fold(graph: &mut Graph, id: NodeId, into: Into) {
    for scaled in scaled(graph, id) {
        // For the truncation's sake: a factor without one costs nothing.
        if scaled.bits == 0 {
            continue;
        }
        let factor = Factor { clear: known::small(graph, scaled.factor), digits: scaled.bits };
        if !is_moderate(graph, factor.clear) {
            continue;
        }
        if let Some(new) = absorb(graph, scaled.x, factor, into) {
            graph.replace_uses(id, new);
            remove_unused(graph, id);
            return;
        }
        remove_unused(graph, factor.clear);
    }
}
