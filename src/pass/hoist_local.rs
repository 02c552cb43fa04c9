//! `hoist-local`: gives to an owner what that owner can compute alone, also where other numbers stand between.
//!
//! Before: `(x a + b) c` with a, b and c of one owner (or public): two products, two truncations. After: `x (a c) + b c`.
//! Before: `(x + share a) + share b`. After: `x + share (a + b)`. Before: `slice (share a)`. After: `share (slice a)`. Factors save a
//! product and a truncation for each element, and their two rounds; summands and moves save what the owner sends, and
//! work. A product of factors is rounded once, to so many more digits that no number notices; in a ring that has no room for
//! them it is not formed. Labels have settled before what is computed in the clear from the beginning; this pass finds what algebra
//! brings together.

use std::collections::BTreeMap;

use super::absorb::Into;
use super::fold_scale::fold;
use super::fuse_linear::is_wide;
use super::known;
use super::layers::{is_single, remove_unused, scale};
use crate::graph::{Graph, NodeId, Op};
use crate::label::Label;

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        if !graph.dag.contains_node(id) {
            continue;
        }
        match graph.node(id).op {
            Op::Trunc { .. } => fold(graph, id, Into::Factor),
            Op::Add | Op::Sub => sums(graph, id),
            _ => moves(graph, id),
        }
    }
}

/// A summand of a sum, and whether it is subtracted.
type Term = (NodeId, bool);

/// What a sum is the sum of: through additions that are used once.
fn terms(graph: &Graph, id: NodeId, negative: bool, top: bool, found: &mut Vec<Term>) {
    let operands = graph.operands(id);
    let inner = top || is_single(graph, id);
    match graph.node(id).op {
        Op::Add if inner => operands.iter().for_each(|o| terms(graph, *o, negative, false, found)),
        Op::Sub if inner => {
            terms(graph, operands[0], negative, false, found);
            terms(graph, operands[1], !negative, false, found);
        }
        Op::Neg if inner => terms(graph, operands[0], !negative, false, found),
        _ => found.push((id, negative)),
    }
}

/// Elements that an owner need not share without these summands: those of tensors that nothing else uses.
fn no_longer_sent(graph: &Graph, own: &[Term]) -> usize {
    let mut uses: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (term, _) in own {
        *uses.entry(*term).or_default() += 1;
    }
    let only = uses.into_iter().filter(|(term, uses)| graph.users(*term).count() == *uses).map(|(term, _)| term);
    only.map(|term| match graph.node(term).op {
        Op::Share { .. } => graph.node(term).ty.len(),
        _ => {
            let source = graph.operands(term)[0];
            if is_single(graph, source) { graph.node(source).ty.len() } else { 0 }
        }
    })
    .sum()
}

/// Adds up what one owner, or everybody, knows of a sum.
fn sums(graph: &mut Graph, id: NodeId) {
    // Only at the top of a sum, and never a difference that may leave the number format, which later passes see from its
    // form.
    let is_sum = |op: &Op| matches!(op, Op::Add | Op::Sub | Op::Neg);
    let is_inner = is_single(graph, id) && graph.users(id).all(|user| is_sum(&graph.node(user).op));
    if is_inner || is_wide(graph, id) {
        return;
    }
    let mut all = Vec::new();
    terms(graph, id, false, true, &mut all);
    let mut labels: Vec<Label> = all.iter().filter_map(|(term, _)| known::label(graph, *term)).collect();
    labels.sort_unstable();
    let Some(label) = labels.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) else { return };
    let (own, mut rest): (Vec<Term>, Vec<Term>) =
        all.into_iter().partition(|(term, _)| known::label(graph, *term) == Some(label));
    let node = graph.node(id).clone();
    let before = no_longer_sent(graph, &own);
    let mut sum: Option<NodeId> = None;
    for (term, negative) in own {
        let clear = known::small(graph, term);
        sum = Some(match sum {
            None if negative => known::negate(graph, clear),
            None => clear,
            Some(sum) => known::combine(graph, if negative { Op::Sub } else { Op::Add }, sum, clear, node.span),
        });
    }
    let (Some(sum), Some(digits)) = (sum, scale(graph, id)) else { return };
    if !label.is_public() && graph.node(sum).ty.len() > before || !known::survives(graph, sum, digits) {
        return;
    }
    let sum = known::bring(graph, sum, &node.ty.shape, digits, node.span);
    // First, where otherwise a negative would come first.
    let at = if rest.first().is_some_and(|(_, negative)| *negative) { 0 } else { rest.len() };
    rest.insert(at, (sum, false));
    let mut value: Option<NodeId> = None;
    for (term, negative) in rest {
        value = Some(match value {
            None if negative => graph.add(Op::Neg, &[term], node.ty.clone(), node.span),
            None => term,
            Some(value) => {
                let op = if negative { Op::Sub } else { Op::Add };
                graph.add(op, &[value, term], node.ty.clone(), node.span)
            }
        });
    }
    let Some(value) = value else { return };
    graph.replace_uses(id, value);
    remove_unused(graph, id);
    sums(graph, value);
}

/// Moves and sums of what is shared for them alone come before the sharing, unless they enlarge it.
fn moves(graph: &mut Graph, id: NodeId) {
    let node = graph.node(id).clone();
    let moves = matches!(
        node.op,
        Op::Reshape
            | Op::Transpose { .. }
            | Op::Slice { .. }
            | Op::Gather { .. }
            | Op::Sum { .. }
            | Op::SumPool { .. }
            | Op::Neg
    );
    let Some(share) = graph.operands(id).first().copied().filter(|_| moves) else { return };
    let Op::Share { scale } = graph.node(share).op else { return };
    if !is_single(graph, share) || node.ty.len() > graph.node(share).ty.len() {
        return;
    }
    let clear = graph.operands(share)[0];
    let clear = known::clear(graph, node.op, &[clear], node.ty.shape.clone(), node.span);
    let new = graph.add(Op::Share { scale }, &[clear], node.ty, graph.node(share).span);
    graph.replace_uses(id, new);
    remove_unused(graph, id);
}
