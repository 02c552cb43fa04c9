//! What a graph may hold and no protocol of this version computes.

use crate::graph::{Graph, Op};
use crate::span::Span;

/// A parameter `from shares`, in words.
pub const STORED: &str = "state kept in shares since an earlier run";

/// A result `to shares`, in words.
pub const KEPT: &str = "a result that stays in shares for a later run";

/// What no protocol of this version computes: the first such node's place and what it is.
#[must_use]
pub fn unsupported(graph: &Graph) -> Option<(Option<Span>, &'static str)> {
    graph.order().into_iter().find_map(|id| {
        let node = graph.node(id);
        let what = match &node.op {
            Op::Gradient => "the gradient",
            Op::Stored { .. } => STORED,
            Op::Keep { .. } => KEPT,
            Op::Loop(turns) => return unsupported(&turns.turn),
            _ => return None,
        };
        Some((node.span, what))
    })
}
