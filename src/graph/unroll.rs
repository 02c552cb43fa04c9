//! A graph without loops: each turn becomes nodes of its own. The plan is made from it.

use std::collections::BTreeMap;

use super::{Graph, NodeId, Op, Repr};

/// More nodes than this, with all loops written out, are no graph.
pub const MAX_NODES: usize = 1 << 24;

/// How many nodes a graph has with every loop written out, at most `usize::MAX`.
#[must_use]
pub fn node_count(graph: &Graph) -> usize {
    let nodes = |op: &Op| match op {
        Op::Loop(turns) => turns.turns.saturating_mul(node_count(&turns.turn)),
        _ => 1,
    };
    graph.dag.node_weights().map(|node| nodes(&node.op)).fold(0, usize::saturating_add)
}

/// Writes every loop out.
#[must_use]
pub fn unroll(graph: &Graph) -> Graph {
    let mut out =
        Unroll { graph: Graph::new(graph.entry.clone(), graph.format, graph.owners.clone()), known: BTreeMap::new() };
    out.nodes(graph, &[]);
    out.graph
}

struct Unroll {
    graph: Graph,
    /// What is computed in the clear, shared or encoded already, by operation, type and operands: no owner computes or
    /// sends a tensor twice because two turns need it.
    known: BTreeMap<(String, Vec<NodeId>), NodeId>,
}

impl Unroll {
    /// Copies the nodes of a graph, in which `args` are the values of a turn's arguments; gives the turn's yields.
    fn nodes(&mut self, graph: &Graph, args: &[NodeId]) -> Vec<NodeId> {
        let mut moved: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        let mut finals: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        let mut yields: Vec<(usize, NodeId)> = Vec::new();
        for id in graph.order() {
            let node = graph.node(id);
            let operands = graph.operands(id);
            match &node.op {
                Op::Arg { index } => drop(moved.insert(id, args[*index])),
                Op::Yield { index } => yields.push((*index, moved[&operands[0]])),
                Op::Final { index } => drop(moved.insert(id, finals[&operands[0]][*index])),
                Op::Loop(turns) => {
                    let operands: Vec<NodeId> = operands.iter().map(|o| moved[o]).collect();
                    let mut carried = operands[..turns.carried].to_vec();
                    for turn in 0..turns.turns {
                        let (_, invariant, scanned) = turns.operands(&operands, turn);
                        carried.truncate(turns.carried);
                        let args = [carried.as_slice(), invariant, scanned].concat();
                        carried = self.nodes(&turns.turn, &args);
                    }
                    finals.insert(id, carried);
                }
                op => {
                    let operands: Vec<NodeId> = operands.iter().map(|o| moved[o]).collect();
                    let owners_part =
                        matches!(node.ty.repr, Repr::Clear(_)) || matches!(op, Op::Share { .. } | Op::Encode { .. });
                    let key = owners_part.then(|| (format!("{op:?} {:?}", node.ty), operands.clone()));
                    let known = key.as_ref().and_then(|key| self.known.get(key)).copied();
                    let new =
                        known.unwrap_or_else(|| self.graph.add(op.clone(), &operands, node.ty.clone(), node.span));
                    self.known.extend(key.map(|key| (key, new)));
                    moved.insert(id, new);
                }
            }
        }
        yields.sort_unstable();
        yields.into_iter().map(|(_, id)| id).collect()
    }
}
