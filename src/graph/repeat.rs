//! Loops in the graph.

use super::{Graph, NodeId, Op};

/// The turns of a loop.
///
/// The loop node's operands are, in this order: what the carried arguments start with; the invariant arguments; the
/// scanned arguments of the first turn, of the second, and so on.
#[derive(Clone, Debug)]
pub struct Loop {
    /// How many.
    pub turns: usize,
    /// Arguments that a turn hands to the next: the first ones.
    pub carried: usize,
    /// Arguments that are different in each turn: the last ones.
    pub scanned: usize,
    /// One turn, of `Arg`s, operations and `Yield`s.
    pub turn: Graph,
}

/// Equal turns; places in the source do not count.
impl PartialEq for Loop {
    fn eq(&self, other: &Loop) -> bool {
        let key = |l: &Loop| (l.turns, l.carried, l.scanned);
        key(self) == key(other) && super::text::print(&self.turn) == super::text::print(&other.turn)
    }
}

impl Loop {
    /// The turn's `Arg` nodes by position.
    #[must_use]
    pub fn args(&self) -> Vec<NodeId> {
        positions(&self.turn, |op| if let Op::Arg { index } = op { Some(*index) } else { None })
    }

    /// The turn's `Yield` nodes by position.
    #[must_use]
    pub fn yields(&self) -> Vec<NodeId> {
        positions(&self.turn, |op| if let Op::Yield { index } = op { Some(*index) } else { None })
    }

    /// The operands that the arguments of one turn stand for, but for the carried ones after the first turn.
    #[must_use]
    pub fn operands<'o>(&self, operands: &'o [NodeId], turn: usize) -> (&'o [NodeId], &'o [NodeId], &'o [NodeId]) {
        let invariant = operands.len().saturating_sub(self.carried + self.turns * self.scanned);
        let (carried, rest) = operands.split_at(self.carried);
        let (invariant, scanned) = rest.split_at(invariant);
        (carried, invariant, &scanned[turn * self.scanned..(turn + 1) * self.scanned])
    }
}

/// Nodes of one kind in order of their positions.
fn positions(graph: &Graph, position: impl Fn(&Op) -> Option<usize>) -> Vec<NodeId> {
    let mut found: Vec<(usize, NodeId)> =
        graph.dag.node_indices().filter_map(|id| Some((position(&graph.node(id).op)?, id))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, id)| id).collect()
}
