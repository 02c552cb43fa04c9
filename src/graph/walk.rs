//! Ways through a graph.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use petgraph::Direction;

use super::{Graph, NodeId, Op};

impl Graph {
    /// Nodes, operands first. Deterministic: among ready nodes the smallest index comes first.
    ///
    /// # Panics
    /// If the graph has a cycle, which `verify` refuses.
    #[must_use]
    pub fn order(&self) -> Vec<NodeId> {
        let mut missing: BTreeMap<NodeId, usize> =
            self.dag.node_indices().map(|n| (n, self.dag.edges_directed(n, Direction::Incoming).count())).collect();
        let mut ready: BinaryHeap<Reverse<NodeId>> =
            missing.iter().filter(|(_, m)| **m == 0).map(|(n, _)| Reverse(*n)).collect();
        let mut order = Vec::with_capacity(missing.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for user in self.dag.neighbors_directed(node, Direction::Outgoing) {
                let left = missing.get_mut(&user).expect("every user is a node");
                *left -= 1;
                if *left == 0 {
                    ready.push(Reverse(user));
                }
            }
        }
        assert_eq!(order.len(), self.dag.node_count(), "the graph has a cycle");
        order
    }

    /// The given nodes and all they need.
    #[must_use]
    pub fn needed(&self, wanted: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
        let mut needed = BTreeSet::new();
        let mut stack: Vec<NodeId> = wanted.into_iter().collect();
        while let Some(id) = stack.pop() {
            if needed.insert(id) {
                stack.extend(self.operands(id));
            }
        }
        needed
    }

    /// The given nodes and all they need, renumbered operands first, and where each node went.
    #[must_use]
    pub fn extract(&self, wanted: impl IntoIterator<Item = NodeId>) -> (Graph, BTreeMap<NodeId, NodeId>) {
        let needed = self.needed(wanted);
        let mut out = Graph::new(self.entry.clone(), self.format, self.owners.clone());
        let mut moved = BTreeMap::new();
        for id in self.order().into_iter().filter(|id| needed.contains(id)) {
            let operands: Vec<NodeId> = self.operands(id).iter().map(|o| moved[o]).collect();
            let node = self.node(id);
            moved.insert(id, out.add(node.op.clone(), &operands, node.ty.clone(), node.span));
        }
        (out, moved)
    }

    /// The same graph, renumbered operands first.
    #[must_use]
    pub fn compact(&self) -> Graph {
        self.extract(self.dag.node_indices()).0
    }

    /// Input nodes with their paths, in order of creation.
    pub fn inputs(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.dag.node_indices().filter_map(|n| match &self.dag[n].op {
            Op::Input { path } => Some((n, path.as_str())),
            _ => None,
        })
    }

    /// Result nodes, in order of creation; in a loop's turn its `Yield`s.
    pub fn results(&self) -> impl Iterator<Item = NodeId> + '_ {
        let is_result = |op: &Op| matches!(op, Op::Reveal { .. } | Op::Keep { .. } | Op::Yield { .. });
        self.dag.node_indices().filter(move |n| is_result(&self.dag[*n].op))
    }
}
