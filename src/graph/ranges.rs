//! Static ranges: between which numbers every tensor of a graph lies, given what the inputs declare. Interval
//! arithmetic, so the bounds hold for all data and are seldom reached.

use std::collections::{BTreeMap, BTreeSet};

use super::unroll::unroll;
use super::{Constant, Graph, NodeId, Op, Repr, Window};
use crate::fixed::{Format, pow2};
use crate::span::Span;

/// Smallest and largest number, with the distance to what the number format holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The place in the source.
    pub span: Span,
    /// What the place computes lies between these; `None` when an input in it declares no range.
    pub range: Option<(f64, f64)>,
    /// Parameters in it that declare no range.
    pub undeclared: BTreeSet<String>,
    /// True when something in it has no bound that says anything, although its inputs declare ranges.
    pub unbounded: bool,
    /// Bits between the largest magnitude and what the format holds here; negative when it may be left.
    pub headroom: Option<f64>,
    /// Whether the format may be left here, and not before.
    pub leaves: bool,
}

/// What is known of a node.
#[derive(Clone, Debug)]
enum Known {
    Between(f64, f64),
    /// Depends on these parameters.
    Undeclared(BTreeSet<String>),
}

/// The ranges of what the parties hold, a line for each place in the source, in order. `declared` are the inputs'
/// smallest and largest elements by their paths.
#[must_use]
pub fn ranges(graph: &Graph, declared: &BTreeMap<String, (f64, f64)>) -> Vec<Line> {
    let graph = &unroll(graph);
    let mut known: BTreeMap<NodeId, Known> = BTreeMap::new();
    let mut lines: BTreeMap<Span, Line> = BTreeMap::new();
    for id in graph.order() {
        let of = node(graph, id, &known, declared);
        let node = graph.node(id);
        if let (Some(span), Repr::Ring { .. }) = (node.span, node.ty.repr) {
            let line = lines.entry(span).or_insert_with(|| Line {
                span,
                range: None,
                undeclared: BTreeSet::new(),
                unbounded: false,
                headroom: None,
                leaves: false,
            });
            add(line, graph.format, node.ty.repr, &of);
            // Owners compute in floating point.
            let in_ring = |id: NodeId| matches!(graph.node(id).ty.repr, Repr::Ring { .. });
            let compared = only_compared(graph, id);
            let limit = graph.format.limit();
            let beyond = |of: &Known, limit: f64| matches!(of, Known::Between(l, h) if l.abs().max(h.abs()) >= limit);
            line.leaves |= beyond(&of, if compared { 2.0 * limit } else { limit })
                && !graph.operands(id).iter().any(|o| in_ring(*o) && beyond(&known[o], limit));
        }
        known.insert(id, of);
    }
    lines.into_values().collect()
}

/// Whether a node is a difference that only comparisons read: they read a bit more than the format has.
#[must_use]
pub fn only_compared(graph: &Graph, id: NodeId) -> bool {
    let compares = |user: NodeId| matches!(graph.node(user).op, Op::IsNegative { .. });
    graph.node(id).op == Op::Sub && graph.users(id).all(compares)
}

/// Joins what is known of a node to its line.
fn add(line: &mut Line, format: Format, repr: Repr, of: &Known) {
    let (low, high) = match of {
        Known::Between(low, high) => (*low, *high),
        Known::Undeclared(params) => {
            line.undeclared.extend(params.iter().cloned());
            line.unbounded |= params.is_empty();
            line.range = None;
            line.headroom = None;
            return;
        }
    };
    let Repr::Ring { scale } = repr else { return };
    if line.unbounded || !line.undeclared.is_empty() {
        return;
    }
    // Untruncated products have room of their own: what is asked of them is asked of their truncations.
    if scale > format.frac {
        return;
    }
    let (low, high) = line.range.map_or((low, high), |(l, h)| (low.min(l), high.max(h)));
    line.range = Some((low, high));
    let largest = low.abs().max(high.abs()).max(pow2(-(scale as i32)));
    line.headroom = Some((format.limit() / largest).log2());
}

fn hull(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

fn product(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let all = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
    (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// n terms, each between two numbers.
fn terms(n: usize, a: (f64, f64)) -> (f64, f64) {
    (a.0 * n as f64, a.1 * n as f64)
}

fn node(graph: &Graph, id: NodeId, known: &BTreeMap<NodeId, Known>, declared: &BTreeMap<String, (f64, f64)>) -> Known {
    let node = graph.node(id);
    let operands = graph.operands(id);
    let undeclared =
        |path: &str| Known::Undeclared(BTreeSet::from([path.split('.').next().unwrap_or(path).to_string()]));
    match &node.op {
        Op::Input { path } | Op::Stored { path } => {
            return declared.get(path).map_or_else(|| undeclared(path), |(l, h)| Known::Between(*l, *h));
        }
        Op::Gradient => return Known::Undeclared(BTreeSet::new()),
        _ => {}
    }
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut ranges = Vec::new();
    for operand in &operands {
        match &known[operand] {
            Known::Between(l, h) => ranges.push((*l, *h)),
            Known::Undeclared(params) => missing.extend(params.iter().cloned()),
        }
    }
    let bits =
        matches!(node.op, Op::IsNegative { .. } | Op::Xor | Op::And | Op::IsZero | Op::OneHot { .. } | Op::Bits { .. });
    if ranges.len() < operands.len() && !bits && !matches!(node.op, Op::Argmax { .. }) {
        return Known::Undeclared(missing);
    }
    let shape = |at: usize| graph.node(operands[at]).ty.shape.as_slice();
    // What even the ring cannot hold says nothing: the bounds of a long composition count every operand at its worst.
    let widest = pow2(graph.format.ring as i32);
    match operation(&node.op, &ranges, &shape, graph.format.frac) {
        Some((low, high)) if low.abs().max(high.abs()) < widest => Known::Between(low, high),
        _ => Known::Undeclared(missing),
    }
}

/// The range of an operation's result; `None` when it has no bounds.
fn operation<'s>(op: &Op, x: &[(f64, f64)], shape: &impl Fn(usize) -> &'s [usize], frac: u32) -> Option<(f64, f64)> {
    let padded = |w: &Window| w.pad.iter().any(|p| *p > 0);
    Some(match op {
        Op::Const(Constant::Splat(v)) => (*v, *v),
        Op::Const(Constant::Dense(v)) => {
            (v.iter().copied().fold(f64::INFINITY, f64::min), v.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        }
        Op::Add => (x[0].0 + x[1].0, x[0].1 + x[1].1),
        Op::Sub => (x[0].0 - x[1].1, x[0].1 - x[1].0),
        Op::Neg => (-x[0].1, -x[0].0),
        Op::Mul => product(x[0], x[1]),
        Op::Div if x[1].0 > 0.0 || x[1].1 < 0.0 => product(x[0], (1.0 / x[1].1, 1.0 / x[1].0)),
        // A power of two for a number of which only its range is known may be any.
        Op::Div | Op::Gradient | Op::Leading(_) => return None,
        Op::MatMul => terms(*shape(0).last()?, product(x[0], x[1])),
        Op::Conv2d { window, .. } => {
            let one = product(x[0], x[1]);
            let one = if padded(window) { hull(one, (0.0, 0.0)) } else { one };
            terms(shape(1)[1..].iter().product(), one)
        }
        Op::Sum { axis } => terms(shape(0)[*axis], x[0]),
        Op::SumPool { window } => {
            let one = if padded(window) { hull(x[0], (0.0, 0.0)) } else { x[0] };
            terms(window.size.iter().product(), one)
        }
        Op::Relu { unread: 0 } => (x[0].0.max(0.0), x[0].1.max(0.0)),
        // What is above -2^unread may pass.
        Op::Relu { unread } => (x[0].0.max(-pow2(*unread as i32 - frac as i32)).min(0.0), x[0].1.max(0.0)),
        Op::IsNegative { .. } | Op::Xor | Op::And | Op::IsZero | Op::OneHot { .. } => (0.0, 1.0),
        Op::Bits { .. } | Op::AnyAbove | Op::Random { .. } => (0.0, 1.0),
        Op::FromBits => (0.0, pow2(shape(0)[0].min(64) as i32)),
        Op::Exp { top, .. } => (0.0, pow2(*top as i32)),
        Op::Piecewise(table) => (-pow2(table.top as i32), pow2(table.top as i32)),
        Op::Argmax { axis, .. } => (0.0, shape(0)[*axis] as f64 - 1.0),
        Op::Select => hull(x[1], x[2]),
        Op::Concat { .. } => x.iter().copied().reduce(hull)?,
        Op::Share { .. } | Op::Encode { .. } | Op::Reshape | Op::Transpose { .. } | Op::Broadcast => x[0],
        Op::Gather { index, .. } if index.contains(&None) => hull(x[0], (0.0, 0.0)),
        Op::Gather { .. } | Op::Slice { .. } | Op::Max { .. } | Op::MaxPool { .. } | Op::Up { .. } => x[0],
        Op::Trunc { .. } | Op::Keep { .. } | Op::Reveal { .. } => x[0],
        Op::Input { .. } | Op::Stored { .. } => return None,
        Op::Loop(_) | Op::Final { .. } | Op::Arg { .. } | Op::Yield { .. } => {
            unreachable!("loops are written out before")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text;

    fn lines(body: &str, declared: &[(&str, f64, f64)]) -> Vec<Line> {
        let head = "graph t\nformat ring=64 int=16 frac=16\nowners a b\n";
        let mut graph = text::parse(&format!("{head}{body}")).unwrap();
        for id in graph.dag.node_indices().collect::<Vec<_>>() {
            graph.dag[id].span = Some(Span::new(crate::span::FileId(0), id.index(), id.index() + 1));
        }
        let declared = declared.iter().map(|(n, l, h)| ((*n).to_string(), (*l, *h))).collect();
        ranges(&graph, &declared)
    }

    #[test]
    fn missing_elements_are_zero() {
        let body = "\
%0 = input \"x\" : clear(a) [3]
%1 = share scale=16 %0 : ring(16) [3]
%2 = gather axis=0 index=2,0 %1 : ring(16) [2]
%3 = gather axis=0 index=2,_ %1 : ring(16) [2]
%4 = reveal \"out.0\" to=a %2 : ring(16) [2]
%5 = reveal \"out.1\" to=a %3 : ring(16) [2]
";
        let found = lines(body, &[("x", 1.0, 2.0)]);
        assert_eq!((found[1].range, found[2].range), (Some((1.0, 2.0)), Some((0.0, 2.0))));
    }

    #[test]
    fn bounds_hold() {
        let body = "\
%0 = input \"x\" : clear(a) [1, 1, 4, 4]
%1 = input \"w\" : clear(b) [2, 1, 3, 3]
%2 = share scale=16 %0 : ring(16) [1, 1, 4, 4]
%3 = share scale=16 %1 : ring(16) [2, 1, 3, 3]
%4 = conv2d size=3x3 stride=1x1 pad=1x1 groups=1 %2 %3 : ring(32) [1, 2, 4, 4]
%5 = trunc bits=16 %4 : ring(16) [1, 2, 4, 4]
%6 = relu %5 : ring(16) [1, 2, 4, 4]
%7 = sum_pool size=2x2 stride=2x2 pad=0x0 %6 : ring(16) [1, 2, 2, 2]
%8 = neg %7 : ring(16) [1, 2, 2, 2]
%9 = reveal \"out\" to=a %8 : ring(16) [1, 2, 2, 2]
";
        let found = lines(body, &[("x", 1.0, 2.0), ("w", -4.0, 3.0)]);
        let ranges: Vec<Option<(f64, f64)>> = found.iter().map(|line| line.range).collect();
        assert_eq!(ranges[0], Some((1.0, 2.0)));
        // Nine terms between -8 and 6, or nothing at the edge.
        assert_eq!(ranges[2], None);
        assert_eq!(ranges[3], Some((-72.0, 54.0)));
        assert_eq!(ranges[4], Some((0.0, 54.0)));
        assert_eq!(ranges[5], Some((0.0, 216.0)));
        assert_eq!(ranges[6], Some((-216.0, 0.0)));
        assert_eq!(found[1].headroom, Some(13.0));
        assert!(lines(body, &[("x", 1.0, 2.0)])[3].range.is_none());
        let leaves = |x: f64| {
            let found = lines(body, &[("x", 0.0, x), ("w", -4.0, 3.0)]);
            found.iter().position(|line| line.leaves)
        };
        // 36 x, then 27 x four times.
        assert_eq!((leaves(100.0), leaves(400.0), leaves(1000.0)), (None, Some(5), Some(2)));
    }
}
