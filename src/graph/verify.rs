//! The graph's rules, checked after every pass. A failure is a mistake of the compiler, never of the user's program.

mod shape;

use super::unroll;
use super::{Graph, Loop, MAX_ELEMENTS, NodeId, Op, Piecewise, Receiver, Repr, Ty, Window};
use crate::fixed::Format;
use crate::label::{Label, OwnerId};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node %{node} ({op}): {rule}")]
pub struct VerifyError {
    /// The node's index.
    pub node: usize,
    /// Its operation.
    pub op: &'static str,
    /// The rule that it breaks.
    pub rule: String,
}

/// Checks operand counts, shapes and representations of every node, and that there is no cycle.
///
/// # Errors
/// Names the first node that breaks a rule.
pub fn verify(graph: &Graph) -> Result<(), VerifyError> {
    if unroll::node_count(graph) > unroll::MAX_NODES {
        return Err(VerifyError { node: 0, op: "graph", rule: "the loops take too many turns".to_string() });
    }
    whole(graph, false)
}

/// A graph, or a loop's turn.
fn whole(graph: &Graph, turn: bool) -> Result<(), VerifyError> {
    // Not `is_cyclic_directed`, which goes as deep into the stack as the graph is long.
    if petgraph::algo::toposort(&graph.dag, None).is_err() {
        return Err(VerifyError { node: 0, op: "graph", rule: "the graph has a cycle".to_string() });
    }
    header(graph).map_err(|rule| VerifyError { node: 0, op: "graph", rule })?;
    for id in graph.order() {
        if let Op::Loop(turns) = &graph.node(id).op {
            whole(&turns.turn, true)?;
        }
        let result = if turn { belongs_in_turn(&graph.node(id).op) } else { belongs_outside(&graph.node(id).op) };
        result.and_then(|()| node(graph, id)).map_err(|rule| VerifyError {
            node: id.index(),
            op: super::text::name(&graph.node(id).op),
            rule,
        })?;
    }
    Ok(())
}

fn belongs_in_turn(op: &Op) -> Result<(), String> {
    let outside = matches!(op, Op::Input { .. } | Op::Stored { .. } | Op::Keep { .. } | Op::Reveal { .. });
    ensure(!outside, "inputs and results do not belong in a loop")
}

fn belongs_outside(op: &Op) -> Result<(), String> {
    ensure(!matches!(op, Op::Arg { .. } | Op::Yield { .. }), "belongs in the turn of a loop")
}

/// A loop's turn fits its operands.
fn repeat(graph: &Graph, turns: &Loop, operands: &[NodeId]) -> Result<(), String> {
    ensure(turns.turns > 0, "a loop without turns")?;
    let (args, yields) = (turns.args(), turns.yields());
    let numbered = |ids: &[NodeId]| {
        ids.iter().enumerate().all(|(at, id)| match turns.turn.node(*id).op {
            Op::Arg { index } | Op::Yield { index } => index == at,
            _ => false,
        })
    };
    ensure(numbered(&args) && numbered(&yields), "positions are not 0, 1, 2 and so on")?;
    ensure(
        turns.carried.saturating_add(turns.scanned) <= args.len() && turns.carried <= yields.len(),
        "too few arguments",
    )?;
    let invariant = args.len() - turns.carried - turns.scanned;
    let wanted = turns.turns.checked_mul(turns.scanned).and_then(|n| n.checked_add(turns.carried + invariant));
    ensure(wanted == Some(operands.len()), "another number of operands than the turns take")?;
    let ty = |id: &NodeId| &turns.turn.node(*id).ty;
    for turn in 0..turns.turns {
        let (carried, invariant, scanned) = turns.operands(operands, turn);
        let given = carried.iter().chain(invariant).chain(scanned);
        let fits = given.zip(&args).all(|(operand, arg)| graph.node(*operand).ty == *ty(arg));
        ensure(fits, "an argument of another type than its operand")?;
        if turns.scanned == 0 {
            break;
        }
    }
    let keeps = yields.iter().zip(&args[..turns.carried]).all(|(y, arg)| ty(y) == ty(arg));
    ensure(keeps, "a turn gives on another type than it takes")
}

/// The value that a loop ends with.
fn ends_with(graph: &Graph, id: NodeId, of: NodeId, index: usize) -> Result<(), String> {
    let Op::Loop(turns) = &graph.node(of).op else { return Err("the operand is no loop".to_string()) };
    let yields = turns.yields();
    let given = yields.get(index).ok_or("the loop gives fewer values")?;
    ensure(turns.turn.node(*given).ty == graph.node(id).ty, "another type than the loop gives")
}

/// How many operands an operation takes; `None`: one or more.
fn arity(op: &Op) -> Option<usize> {
    match op {
        Op::Loop(_) => None,
        Op::Arg { .. } | Op::Random { .. } => Some(0),
        Op::Final { .. } | Op::Yield { .. } => Some(1),
        Op::Input { .. } | Op::Stored { .. } | Op::Const(_) => Some(0),
        Op::Concat { .. } => None,
        Op::Select => Some(3),
        Op::Add | Op::Sub | Op::Mul | Op::Div | Op::MatMul | Op::Conv2d { .. } | Op::Xor | Op::And | Op::Gradient => {
            Some(2)
        }
        Op::Share { .. } | Op::Encode { .. } | Op::Neg | Op::Reshape | Op::Transpose { .. } | Op::Broadcast => Some(1),
        Op::Slice { .. } | Op::Sum { .. } | Op::SumPool { .. } | Op::MaxPool { .. } | Op::Max { .. } => Some(1),
        Op::Argmax { .. } | Op::Relu { .. } | Op::IsNegative { .. } | Op::Trunc { .. } | Op::Up { .. } => Some(1),
        Op::Exp { .. } | Op::Piecewise(_) | Op::Leading(_) | Op::IsZero | Op::OneHot { .. } => Some(1),
        Op::Bits { .. } | Op::FromBits | Op::AnyAbove => Some(1),
        Op::Gather { .. } | Op::Keep { .. } | Op::Reveal { .. } => Some(1),
    }
}

fn ensure(holds: bool, rule: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.into()) }
}

/// The owners' names tell them apart, and the number format is one.
fn header(graph: &Graph) -> Result<(), String> {
    ensure(graph.owners.len() <= Label::MAX_OWNERS, "too many owners")?;
    let names: std::collections::BTreeSet<&String> = graph.owners.iter().collect();
    ensure(names.len() == graph.owners.len(), "two owners of one name")?;
    let results = graph.results().filter_map(|id| match &graph.node(id).op {
        Op::Reveal { name, .. } | Op::Keep { name } => Some(name),
        _ => None,
    });
    let mut names = std::collections::BTreeSet::new();
    ensure(results.into_iter().all(|name| names.insert(name)), "two results of one name")?;
    graph.format.validate().map(drop).map_err(|e| e.to_string())
}

/// The owner is one of the header's.
fn known(graph: &Graph, owner: OwnerId) -> Result<(), String> {
    ensure(owner.index() < graph.owners.len(), "an owner whom the header does not name")
}

/// Values at this scale fit the ring.
fn fits(format: Format, scale: u32) -> bool {
    format.int.saturating_add(scale) < format.ring
}

fn node(graph: &Graph, id: NodeId) -> Result<(), String> {
    let node = graph.node(id);
    let operands = graph.operands(id);
    match arity(&node.op) {
        Some(n) => ensure(operands.len() == n, format!("takes {n} operands, has {}", operands.len()))?,
        None => ensure(!operands.is_empty(), "takes at least one operand")?,
    }
    match &node.op {
        Op::Loop(turns) => {
            let none = Ty { shape: Vec::new(), repr: Repr::Clear(Label::PUBLIC) };
            ensure(node.ty == none, "a loop has no value of its own")?;
            return repeat(graph, turns, &operands);
        }
        Op::Final { index } => return ends_with(graph, id, operands[0], *index),
        _ => {}
    }
    let is_loop = |id: &NodeId| matches!(graph.node(*id).op, Op::Loop(_));
    ensure(!operands.iter().any(is_loop), "a loop's values are its `final`s")?;
    let tys: Vec<&Ty> = operands.iter().map(|o| &graph.node(*o).ty).collect();
    match node.ty.repr {
        Repr::Clear(label) => {
            ensure(label.is_public() || label.single().is_some(), "clear data of several owners")?;
            label.single().map_or(Ok(()), |owner| known(graph, owner))?;
        }
        Repr::Public { scale } | Repr::Ring { scale } => ensure(fits(graph.format, scale), "does not fit the ring")?,
        Repr::Bit => {}
    }
    if let Op::Reveal { to: Receiver::Owner(owner), .. } = node.op {
        known(graph, owner)?;
    }
    ensure(node.ty.shape.iter().all(|n| *n > 0), "a size is zero")?;
    ensure(node.ty.len() <= MAX_ELEMENTS, "more elements than a tensor may have")?;
    if let Op::MaxPool { window, .. } = node.op {
        ensure(window.places() <= Window::MAX_PLACES, "a window of too many places")?;
    }
    if let Op::Conv2d { window, .. } | Op::SumPool { window } | Op::MaxPool { window, .. } = node.op {
        ensure(window.is_sound(), "a window without size or stride, or too large")?;
        ensure(window.is_solid() || matches!(node.op, Op::Conv2d { .. }), "a pool with gaps in its window")?;
    }
    table(&node.op, graph.format)?;
    shape::check(&node.op, &node.ty, &tys)?;
    repr(graph, &node.op, &node.ty, &tys)
}

/// Tables have sizes that fit together, and results for which the ring has room.
fn table(op: &Op, format: Format) -> Result<(), String> {
    let places = |n: usize, shift: u32| {
        let known = n.is_power_of_two() && n <= Piecewise::MAX_PIECES && (1..format.ring).contains(&shift);
        ensure(known && shift + n.trailing_zeros() <= format.ring, "no power of two of places, or too many")
    };
    let (pieces, shift, top) = match op {
        Op::OneHot { places } => {
            return ensure(
                places.is_power_of_two() && *places <= Piecewise::MAX_PIECES,
                "no power of two of places, or too many",
            );
        }
        Op::Exp { low, pieces, top } => {
            ensure((-700..=0).contains(low), "an interval without sense")?;
            (*pieces, format.frac, *top)
        }
        Op::Piecewise(table) => {
            let powers = table.coefficients.first().map_or(0, Vec::len);
            let full = table.coefficients.iter().all(|c| c.len() == powers && c.iter().all(|c| c.is_finite()));
            ensure((1..=16).contains(&powers) && full, "polynomials of no length, or of several")?;
            (table.coefficients.len(), table.shift, table.top)
        }
        _ => return Ok(()),
    };
    places(pieces, shift)?;
    ensure(top <= format.int, "results that leave the number format")
}

fn repr(graph: &Graph, op: &Op, ty: &Ty, operands: &[&Ty]) -> Result<(), String> {
    let clear = |t: &Ty| matches!(t.repr, Repr::Clear(_));
    match op {
        Op::Input { .. } | Op::Const(_) => return ensure(clear(ty), "inputs and constants are in the clear"),
        Op::Loop(_) | Op::Final { .. } | Op::Arg { .. } | Op::Yield { .. } => return Ok(()),
        Op::Stored { .. } => return ensure(matches!(ty.repr, Repr::Ring { .. }), "what is stored is shared"),
        // Also by an owner's clear tensor, from which the loss may be computed through a `Share`.
        Op::Gradient if !clear(operands[0]) => {
            let by = match operands[1].repr {
                Repr::Clear(label) => !label.is_public(),
                Repr::Ring { scale } => scale == graph.format.frac,
                Repr::Public { .. } | Repr::Bit => false,
            };
            let loss = matches!(operands[0].repr, Repr::Ring { .. });
            let wanted = Repr::Ring { scale: graph.format.frac };
            return ensure(by && loss && ty.repr == wanted, "differentiates shares by fixed-point numbers");
        }
        Op::Share { scale } => {
            let owned = matches!(operands[0].repr, Repr::Clear(l) if !l.is_public());
            return ensure(
                owned && ty.repr == Repr::Ring { scale: *scale },
                "shares an owner's clear data at its scale",
            );
        }
        Op::Encode { scale } => {
            let public = matches!(operands[0].repr, Repr::Clear(l) if l.is_public());
            return ensure(
                public && ty.repr == Repr::Public { scale: *scale },
                "encodes public clear data at its scale",
            );
        }
        Op::Random { ones } => {
            return ensure((1..1 << 16).contains(ones) && ty.repr == Repr::Bit, "gives bits, with a chance for either");
        }
        _ => {}
    }
    if operands.iter().all(|t| clear(t)) {
        let label = operands.iter().fold(Label::PUBLIC, |l, t| match t.repr {
            Repr::Clear(label) => l.join(label),
            Repr::Public { .. } | Repr::Ring { .. } | Repr::Bit => l,
        });
        let allowed = !matches!(op, Op::Trunc { .. } | Op::Up { .. } | Op::Keep { .. } | Op::Reveal { .. });
        return ensure(
            allowed && ty.repr == Repr::Clear(label),
            "in the clear: the label is the join of the operands'",
        );
    }
    ensure(!operands.iter().any(|t| clear(t)), "mixes clear and encoded operands")?;
    let scale = |t: &Ty| match t.repr {
        Repr::Ring { scale } | Repr::Public { scale } => Some(scale),
        Repr::Bit | Repr::Clear(_) => None,
    };
    let ring = |wanted: u32| ensure(ty.repr == Repr::Ring { scale: wanted }, format!("the result is ring({wanted})"));
    if let Op::Relu { unread }
    | Op::IsNegative { unread }
    | Op::Max { unread, .. }
    | Op::MaxPool { unread, .. }
    | Op::Argmax { unread, .. } = op
    {
        // Two bits at least are left of a number.
        let width = scale(operands[0]).map_or(0, |scale| graph.format.int + scale);
        ensure(*unread == 0 || unread + 2 <= width, "a comparison reads less than two bits")?;
    }
    let shared = operands.iter().any(|t| matches!(t.repr, Repr::Ring { .. } | Repr::Bit));
    ensure(
        shared
            || matches!(op, Op::Broadcast | Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } | Op::Gather { .. })
            || matches!(op, Op::Keep { .. } | Op::Reveal { .. }),
        "public operands alone are computed in the clear",
    )?;
    match op {
        Op::Concat { .. } if operands[0].repr == Repr::Bit => {
            ensure(ty.repr == Repr::Bit && operands.iter().all(|t| t.repr == Repr::Bit), "joins bits with bits")
        }
        Op::Add | Op::Sub | Op::Concat { .. } => {
            let first = scale(operands[0]).ok_or("bits are not added")?;
            ensure(operands.iter().all(|t| scale(t) == Some(first)), "operands at unequal scales")?;
            ring(first)
        }
        Op::Mul | Op::MatMul | Op::Conv2d { .. } => {
            let (x, y) = (
                scale(operands[0]).ok_or("bits are not multiplied")?,
                scale(operands[1]).ok_or("bits are not multiplied")?,
            );
            ensure(fits(graph.format, x + y), "the product does not fit the ring")?;
            ring(x + y)
        }
        Op::Neg | Op::Sum { .. } | Op::SumPool { .. } | Op::Max { .. } | Op::MaxPool { .. } | Op::Relu { .. } => {
            ring(scale(operands[0]).ok_or("takes ring values")?)
        }
        Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } | Op::Gather { .. } => {
            ensure(ty.repr == operands[0].repr, "rearranging keeps the representation")
        }
        Op::Argmax { .. } => {
            let _scale = scale(operands[0]).ok_or("takes ring values")?;
            ring(0)
        }
        Op::Exp { .. } | Op::Piecewise(_) | Op::Leading(_) => {
            let frac = graph.format.frac;
            ensure(
                scale(operands[0]) == Some(frac) && ty.repr == Repr::Ring { scale: frac },
                "takes and gives fixed-point numbers",
            )
        }
        Op::Bits { count } => {
            let _scale = scale(operands[0]).ok_or("takes ring values")?;
            ensure(
                (1..=graph.format.ring).contains(count) && ty.repr == Repr::Bit,
                "gives bits, as many as a number has",
            )
        }
        Op::FromBits => {
            let count = u32::try_from(operands[0].shape[0]).unwrap_or(u32::MAX);
            ensure(operands[0].repr == Repr::Bit && count < graph.format.ring, "takes bits, fewer than the ring has")?;
            ring(0)
        }
        Op::AnyAbove => ensure(operands[0].repr == Repr::Bit && ty.repr == Repr::Bit, "takes and gives bits"),
        Op::OneHot { .. } => {
            ensure(scale(operands[0]) == Some(0), "takes integers")?;
            ring(0)
        }
        Op::IsNegative { .. } | Op::IsZero => {
            let _scale = scale(operands[0]).ok_or("takes ring values")?;
            ensure(ty.repr == Repr::Bit, "the result is a bit")
        }
        Op::Xor | Op::And => {
            let fits = operands.iter().all(|t| matches!(t.repr, Repr::Bit | Repr::Public { scale: 0 }));
            ensure(fits && ty.repr == Repr::Bit, "takes and gives bits")
        }
        Op::Select => {
            ensure(operands[0].repr == Repr::Bit, "chooses by a bit")?;
            let first = scale(operands[1]).ok_or("chooses between ring values")?;
            ensure(scale(operands[2]) == Some(first), "operands at unequal scales")?;
            ring(first)
        }
        Op::Trunc { bits } => {
            let x = scale(operands[0]).ok_or("takes ring values")?;
            ensure(
                *bits >= 1 && *bits <= x && *bits < graph.format.ring - 1,
                "drops at least 1 bit and at most the scale",
            )?;
            ring(x - bits)
        }
        Op::Up { bits } => {
            let x = scale(operands[0]).ok_or("takes ring values")?;
            ensure(fits(graph.format, x.saturating_add(*bits)), "does not fit the ring")?;
            ring(x + bits)
        }
        Op::Keep { .. } => {
            ensure(scale(operands[0]).is_some() && ty.repr == operands[0].repr, "keeps the numbers it is given")
        }
        Op::Reveal { .. } => ensure(ty.repr == operands[0].repr, "reveals what it is given"),
        Op::Div => Err("divisions are in the clear only".to_string()),
        Op::Input { .. } | Op::Stored { .. } | Op::Const(_) | Op::Share { .. } | Op::Encode { .. } => Ok(()),
        Op::Loop(_) | Op::Final { .. } | Op::Arg { .. } | Op::Yield { .. } | Op::Gradient | Op::Random { .. } => Ok(()),
    }
}
