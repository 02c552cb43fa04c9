//! Finds the turns of a loop that compute the same, and makes one loop node of them.
//!
//! Turns are lowered one after the other, so a turn may depend on its number in every way: in its shapes, its branches,
//! in what is a constant still. Turns next to each other with the same operations on their own nodes differ in what
//! they take from outside alone: what the turn before gave (carried), the same node (invariant), or some node from
//! before the loop (scanned). The first turn often differs from the others, as it shares what all of them use; then it
//! stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::build::Builder;
use super::records::Value;
use crate::graph::{Graph, Loop, NodeId, Op, Repr, Ty};
use crate::label::Label;

/// The nodes of each turn of one loop.
#[derive(Debug)]
pub(super) struct Turns {
    turns: Vec<Range<usize>>,
    /// Variables that are bound before the loop.
    bound: Vec<bool>,
}

/// Where an operand of a turn's node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The node of this turn at a position.
    Own(usize),
    /// The argument of a number.
    Arg(usize),
}

/// What an argument stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arg {
    /// Starts with a node, then is the node of the turn before at a position.
    Carried(NodeId, usize),
    Invariant(NodeId),
    Scanned(Vec<NodeId>),
}

impl Turns {
    /// The loop starts.
    pub fn new(locals: &[Value]) -> Turns {
        Turns { turns: Vec::new(), bound: locals.iter().map(|value| *value != Value::unbound()).collect() }
    }

    /// A turn starts; the variables that the turn before bound for itself are gone.
    pub fn begin(&mut self, build: &Builder, locals: &mut [Value]) {
        self.forget(locals);
        self.turns.push(build.log.len()..build.log.len());
    }

    /// The turn is lowered.
    pub fn end(&mut self, build: &Builder) {
        if let Some(last) = self.turns.last_mut() {
            last.end = build.log.len();
        }
    }

    /// The loop's own variables end with its turns.
    fn forget(&self, locals: &mut [Value]) {
        for (value, _) in locals.iter_mut().zip(&self.bound).filter(|(_, bound)| !**bound) {
            *value = Value::unbound();
        }
    }

    /// Makes loops of equal turns. `locals` are the variables around the loop.
    pub fn roll(self, build: &mut Builder, locals: &mut [Value]) {
        self.forget(locals);
        let turns: Vec<Vec<NodeId>> = self.turns.iter().map(|range| build.log[range.clone()].to_vec()).collect();
        let mut end = turns.len();
        // From the last turn back, so that positions in the log stay right.
        while end >= 2 {
            let mut start = end - 1;
            while start > 0 && alike(&build.graph, &turns[start - 1], &turns[start]) {
                start -= 1;
            }
            // What the first turns start with may be of another type: they stay as they are.
            for first in start..(start + PEELED).min(end) {
                if end - first >= 2 && roll(build, &turns[first..end], self.turns[first].start, locals) {
                    break;
                }
            }
            end = start;
        }
    }
}

/// As many turns are tried as the first of a loop.
const PEELED: usize = 3;

/// The position of each node of a turn.
fn positions(turn: &[NodeId]) -> BTreeMap<NodeId, usize> {
    turn.iter().enumerate().map(|(at, id)| (*id, at)).collect()
}

/// Whether two turns do the same to their own nodes.
fn alike(graph: &Graph, a: &[NodeId], b: &[NodeId]) -> bool {
    let (left, right) = (positions(a), positions(b));
    let same = |x: &NodeId, y: &NodeId| {
        let (p, q) = (graph.node(*x), graph.node(*y));
        let (operands, others) = (graph.operands(*x), graph.operands(*y));
        p.span == q.span
            && p.ty == q.ty
            && p.op == q.op
            && !matches!(p.op, Op::Reveal { .. })
            && operands.len() == others.len()
            && operands.iter().zip(&others).all(|(o, u)| left.get(o) == right.get(u))
    };
    !a.is_empty() && a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
}

/// Replaces turns, all alike, by a loop; false when what they take from outside does not allow it.
fn roll(build: &mut Builder, turns: &[Vec<NodeId>], at: usize, locals: &mut [Value]) -> bool {
    let all: BTreeMap<NodeId, (usize, usize)> = turns
        .iter()
        .enumerate()
        .flat_map(|(t, turn)| turn.iter().enumerate().map(move |(position, id)| (*id, (t, position))))
        .collect();
    let Some((args, wiring)) = arguments(&build.graph, turns, &all) else { return false };
    let Some(taken) = taken(build, turns, &all, locals) else { return false };

    // Carried arguments first, then invariant, then scanned ones.
    let mut order: Vec<usize> = (0..args.len()).collect();
    order.sort_by_key(|i| match &args[*i] {
        Arg::Carried(..) => 0,
        Arg::Invariant(_) => 1,
        Arg::Scanned(_) => 2,
    });
    let mut yields: Vec<usize> = Vec::new();
    let (mut carried, mut operands, mut scanned) = (0, Vec::new(), Vec::new());
    for arg in order.iter().map(|i| &args[*i]) {
        match arg {
            Arg::Carried(first, position) => {
                operands.push(*first);
                yields.push(*position);
                carried += 1;
            }
            Arg::Invariant(id) => operands.push(*id),
            Arg::Scanned(ids) => scanned.push(ids.clone()),
        }
    }
    operands.extend((0..turns.len()).flat_map(|turn| scanned.iter().map(move |ids| ids[turn])));
    if operands.is_empty() {
        return false;
    }
    yields.extend(taken.iter().filter(|position| !yields.contains(position)).copied().collect::<Vec<_>>());

    let turn = body(&build.graph, turns, &wiring, &order, &args, &yields);
    replace(
        build,
        turns,
        at,
        Loop { turns: turns.len(), carried, scanned: scanned.len(), turn },
        &operands,
        &yields,
        locals,
    );
    true
}

/// Where every operand of every node of a turn comes from.
type Wiring = Vec<Vec<Origin>>;

/// What the turns take from outside, and the wiring of one turn; `None` when the turns differ in it.
fn arguments(
    graph: &Graph,
    turns: &[Vec<NodeId>],
    all: &BTreeMap<NodeId, (usize, usize)>,
) -> Option<(Vec<Arg>, Wiring)> {
    let mut args: Vec<Arg> = Vec::new();
    let mut numbers: BTreeMap<Vec<NodeId>, usize> = BTreeMap::new();
    let own = positions(&turns[0]);
    let operands: Vec<Vec<Vec<NodeId>>> =
        turns.iter().map(|turn| turn.iter().map(|id| graph.operands(*id)).collect()).collect();
    let mut wiring = Vec::new();
    for position in 0..turns[0].len() {
        let mut origins = Vec::new();
        for (slot, first) in operands[0][position].iter().enumerate() {
            if let Some(position) = own.get(first) {
                origins.push(Origin::Own(*position));
                continue;
            }
            let sources: Vec<NodeId> = operands.iter().map(|turn| turn[position][slot]).collect();
            let next = args.len();
            let number = match numbers.get(&sources) {
                Some(number) => *number,
                None => {
                    args.push(argument(graph, turns, all, &sources)?);
                    numbers.insert(sources, next);
                    next
                }
            };
            origins.push(Origin::Arg(number));
        }
        wiring.push(origins);
    }
    Some((args, wiring))
}

/// One argument, by the nodes that it stands for in each turn.
fn argument(
    graph: &Graph,
    turns: &[Vec<NodeId>],
    all: &BTreeMap<NodeId, (usize, usize)>,
    sources: &[NodeId],
) -> Option<Arg> {
    let (first, rest) = sources.split_first()?;
    if all.contains_key(first) {
        return None;
    }
    if rest.iter().all(|id| id == first) {
        return Some(Arg::Invariant(*first));
    }
    let position = rest.first().and_then(|id| all.get(id)).map(|(_, position)| *position);
    let from_before = |position: usize| rest.iter().zip(turns).all(|(id, before)| *id == before[position]);
    if let Some(position) = position.filter(|position| from_before(*position)) {
        let same = graph.node(*first).ty == graph.node(turns[0][position]).ty;
        return same.then_some(Arg::Carried(*first, position));
    }
    let ty = &graph.node(*first).ty;
    let outside = rest.iter().all(|id| !all.contains_key(id) && graph.node(*id).ty == *ty);
    outside.then(|| Arg::Scanned(sources.to_vec()))
}

/// Positions of the last turn's nodes that are used behind the loop; `None` when an earlier turn's are.
fn taken(
    build: &Builder,
    turns: &[Vec<NodeId>],
    all: &BTreeMap<NodeId, (usize, usize)>,
    locals: &[Value],
) -> Option<BTreeSet<usize>> {
    let last = turns.len() - 1;
    let mut taken = BTreeSet::new();
    let mut outside: Vec<NodeId> = Vec::new();
    for id in all.keys() {
        if build.graph.users(*id).any(|user| !all.contains_key(&user)) {
            outside.push(*id);
        }
    }
    locals.iter().for_each(|value| value.nodes(&mut outside));
    for (turn, position) in outside.iter().filter_map(|id| all.get(id)) {
        if *turn != last {
            return None;
        }
        taken.insert(*position);
    }
    Some(taken)
}

/// The graph of one turn.
fn body(
    graph: &Graph,
    turns: &[Vec<NodeId>],
    wiring: &Wiring,
    order: &[usize],
    args: &[Arg],
    yields: &[usize],
) -> Graph {
    let mut turn = Graph::new("", graph.format, graph.owners.clone());
    let mut at = vec![NodeId::end(); args.len()];
    for (index, number) in order.iter().enumerate() {
        let (Arg::Carried(id, _) | Arg::Invariant(id)) = &args[*number] else {
            let Arg::Scanned(ids) = &args[*number] else { continue };
            at[*number] = turn.add(Op::Arg { index }, &[], graph.node(ids[0]).ty.clone(), graph.node(ids[0]).span);
            continue;
        };
        at[*number] = turn.add(Op::Arg { index }, &[], graph.node(*id).ty.clone(), graph.node(*id).span);
    }
    let mut nodes: Vec<NodeId> = Vec::new();
    for (id, origins) in turns[0].iter().zip(wiring) {
        let operands: Vec<NodeId> = origins
            .iter()
            .map(|origin| match origin {
                Origin::Own(position) => nodes[*position],
                Origin::Arg(number) => at[*number],
            })
            .collect();
        let node = graph.node(*id);
        nodes.push(turn.add(node.op.clone(), &operands, node.ty.clone(), node.span));
    }
    for (index, position) in yields.iter().enumerate() {
        let node = graph.node(turns[0][*position]);
        turn.add(Op::Yield { index }, &[nodes[*position]], node.ty.clone(), node.span);
    }
    turn
}

/// Puts the loop where the turns were.
fn replace(
    build: &mut Builder,
    turns: &[Vec<NodeId>],
    at: usize,
    repeat: Loop,
    operands: &[NodeId],
    yields: &[usize],
    locals: &mut [Value],
) {
    let count: usize = turns.iter().map(Vec::len).sum();
    let dead: BTreeSet<NodeId> = turns.iter().flatten().copied().collect();
    let ty = Ty { shape: Vec::new(), repr: Repr::Clear(Label::PUBLIC) };
    let span = build.graph.node(turns[0][0]).span;
    let node = build.graph.add(Op::Loop(Box::new(repeat)), operands, ty, span);
    let mut new = vec![node];
    let mut finals: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (index, position) in yields.iter().enumerate() {
        let old = turns[turns.len() - 1][*position];
        let (ty, span) = (build.graph.node(old).ty.clone(), build.graph.node(old).span);
        let id = build.graph.add(Op::Final { index }, &[node], ty, span);
        build.graph.replace_uses_outside(old, id, &dead);
        finals.insert(old, id);
        new.push(id);
    }
    locals.iter_mut().for_each(|value| value.rename(&finals));
    build.brought.retain(|(a, _), b| !dead.contains(a) && !dead.contains(b));
    dead.iter().for_each(|id| build.graph.set_operands(*id, &[]));
    build.log.splice(at..at + count, new);
}
