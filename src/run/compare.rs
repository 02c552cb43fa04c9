//! A run beside the plaintext: every intermediate value of a three-party run next to what f64 makes of the same data.
//! For finding out, on data that one holds alone, where a network leaves its number format: every value is opened.
//!
//! [`Watch`] adds an opening of each shared value to the graph that a plan is made from. They come last, so what the
//! parties do before is what they do without. [`Comparison`] takes what was opened and adds it up by expression.
//!
//! # When they part
//! A run rounds, so that no value is quite that of the plaintext, and roundings add up. A tensor *parts* from the
//! plaintext when an element is off by more than [`UNITS`] units in the last place and by more than a tolerance times
//! the tensor's largest magnitude. Whole numbers part when they differ at all. A comparison of numbers that are almost
//! equal may come out either way: its bit, and the place of the largest, part when they are not what the run's own numbers
//! say.
//!
//! An element that a `select` leaves out counts nowhere: neither for magnitudes nor for errors. The library computes both
//! sides of a choice, of which the other may be far outside of the number format.

mod report;

use std::collections::{BTreeMap, BTreeSet};

use crate::fixed::pow2;
use crate::graph::eval::{self, Elements, EvalError, Mode};
use crate::graph::{Graph, NodeId, Op, Receiver, Repr, ranges};
use crate::span::Span;
pub use report::{Cause, Kind, Line, Outside, Parting};

/// So many units in the last place are always taken for roundings.
pub const UNITS: f64 = 64.0;

/// The tolerance when nobody says another: a hundredth.
pub const TOLERANCE: f64 = 0.01;

/// Why values cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The plaintext cannot be computed.
    #[error(transparent)]
    Data(#[from] EvalError),
    /// A value was not opened, or not all of it.
    #[error("the run did not open `{0}`")]
    NotOpened(String),
}

/// A graph that opens its intermediate values.
#[derive(Clone, Debug)]
pub struct Watch {
    graph: Graph,
    /// In order of execution.
    values: Vec<Value>,
}

/// One tensor.
#[derive(Clone, Debug)]
struct Value {
    node: NodeId,
    /// The result that opens it; `None` for what is public or an owner's own.
    name: Option<String>,
    /// Magnitudes have to stay below it; `None` for a bit.
    room: Option<f64>,
    /// The expression whose value it is.
    span: Option<Span>,
    /// Whether the parties compute it: not for inputs and what only rearranges others.
    computes: bool,
}

impl Watch {
    /// Opens every value that the parties compute in a graph without loops, such as [`crate::pass::unrolled`] gives.
    #[must_use]
    pub fn new(graph: &Graph) -> Watch {
        let mut out = graph.clone();
        let mut values = Vec::new();
        for id in graph.order() {
            let node = graph.node(id);
            if matches!(node.op, Op::Reveal { .. } | Op::Keep { .. }) {
                continue;
            }
            let room = match node.ty.repr {
                Repr::Ring { scale } => Some(room(graph, id, scale)),
                Repr::Bit | Repr::Public { .. } => None,
                Repr::Clear(_) => continue,
            };
            let shared = !matches!(node.ty.repr, Repr::Public { .. }) && !matches!(node.op, Op::Share { .. });
            let rearranges = matches!(
                node.op,
                Op::Reshape | Op::Transpose { .. } | Op::Broadcast | Op::Slice { .. } | Op::Concat { .. }
            );
            // No result of a program has such a name.
            let name = shared.then(|| format!("@{}", id.index()));
            if let Some(name) = name.clone() {
                out.add(Op::Reveal { name, to: Receiver::All }, &[id], node.ty.clone(), node.span);
            }
            // A sum that is truncated after it was added up is still the sum's value, not the product's in it.
            let of = if let Op::Trunc { .. } = node.op { graph.operands(id)[0] } else { id };
            let span = graph.node(of).span;
            values.push(Value { node: id, name, room, span, computes: shared && !rearranges });
        }
        Watch { graph: out, values }
    }

    /// The graph, to make a plan from.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// What a number has to stay below: the format's limit, twice as much for a difference that is only compared, and before
/// a truncation what the truncation takes.
fn room(graph: &Graph, id: NodeId, scale: u32) -> f64 {
    let format = graph.format;
    if ranges::only_compared(graph, id) {
        2.0 * format.limit()
    } else if scale > format.frac {
        pow2(format.ring as i32 - 2 - scale as i32)
    } else {
        format.limit()
    }
}

/// Runs compared with their plaintexts.
#[derive(Clone, Debug)]
pub struct Comparison {
    tolerance: f64,
    /// In order of execution.
    pub lines: Vec<Line>,
    places: BTreeMap<Option<Span>, usize>,
    /// Where the runs part first: after so many values.
    first: Option<(usize, Parting)>,
}

impl Comparison {
    /// Nothing compared yet; an error up to `tolerance` times the largest magnitude is a rounding.
    #[must_use]
    pub fn new(tolerance: f64) -> Comparison {
        Comparison { tolerance, lines: Vec::new(), places: BTreeMap::new(), first: None }
    }

    /// Where they part first, if they do.
    #[must_use]
    pub fn first(&self) -> Option<&Parting> {
        self.first.as_ref().map(|(_, parting)| parting)
    }

    /// Adds a run of the plan of `watch`: its data and its results, by name.
    ///
    /// # Errors
    /// If the data do not fit, or a value is missing from the results.
    pub fn add(
        &mut self,
        watch: &Watch,
        data: &BTreeMap<String, Vec<f64>>,
        results: &BTreeMap<String, Vec<f64>>,
    ) -> Result<(), CompareError> {
        let run = Run::new(watch, data, results, self.tolerance)?;
        for (step, value) in watch.values.iter().enumerate() {
            if !value.computes || !run.values[&value.node].live.contains(&true) {
                continue;
            }
            let line = self.line(value.span);
            run.magnitude(line, value);
            let parting = run.errors(line, value);
            if let Some(parting) = parting
                && self.first.as_ref().is_none_or(|(earliest, _)| step < *earliest)
            {
                self.first = Some((step, parting));
            }
        }
        Ok(())
    }

    fn line(&mut self, span: Option<Span>) -> &mut Line {
        let at = *self.places.entry(span).or_insert(self.lines.len());
        if at == self.lines.len() {
            self.lines.push(Line::new(span));
        }
        &mut self.lines[at]
    }
}

/// One run, while it is compared.
struct Run<'w> {
    watch: &'w Watch,
    tolerance: f64,
    values: BTreeMap<NodeId, Both>,
}

/// A tensor twice.
struct Both {
    plain: Vec<f64>,
    run: Vec<f64>,
    /// The elements that some result depends on, by the choices that the plaintext makes.
    live: Vec<bool>,
    /// The largest magnitude in the plaintext.
    largest: f64,
    /// Magnitudes have to stay below it.
    room: f64,
    /// Whether they do not, or would not after a truncation although they come from others that did not.
    out: bool,
}

impl Run<'_> {
    fn new<'w>(
        watch: &'w Watch,
        data: &BTreeMap<String, Vec<f64>>,
        results: &BTreeMap<String, Vec<f64>>,
        tolerance: f64,
    ) -> Result<Run<'w>, CompareError> {
        let wanted: Vec<NodeId> = watch.values.iter().map(|value| value.node).collect();
        let found = eval::nodes(&watch.graph, data, Mode::Real, &wanted)?.into_iter().map(|elements| match elements {
            Elements::Real(plain) => plain,
            Elements::Ring(_) => unreachable!("real mode computes real numbers"),
        });
        let mut plaintext: BTreeMap<NodeId, Vec<f64>> = wanted.into_iter().zip(found).collect();
        let mut live = live(&watch.graph, &plaintext);
        let mut values = BTreeMap::new();
        for value in &watch.values {
            let plain = plaintext.remove(&value.node).unwrap_or_default();
            let live = live.remove(&value.node).unwrap_or_default();
            let run = match &value.name {
                Some(name) => {
                    let opened = results.get(name).filter(|opened| opened.len() == plain.len());
                    opened.ok_or_else(|| CompareError::NotOpened(name.clone()))?.clone()
                }
                None => plain.clone(),
            };
            let used = plain.iter().zip(&live).filter(|(_, live)| **live);
            let largest = used.fold(0.0, |largest: f64, (v, _)| largest.max(v.abs()));
            let room = value.room.unwrap_or(f64::INFINITY);
            let mut operands = watch.graph.operands(value.node).into_iter();
            let from_out = operands.any(|operand| values.get(&operand).is_some_and(|both: &Both| both.out));
            let out = largest >= room || (from_out && largest >= watch.graph.format.limit());
            values.insert(value.node, Both { plain, run, live, largest, room, out });
        }
        Ok(Run { watch, tolerance, values })
    }

    /// The error of a number that is still a rounding.
    fn allowed(&self, node: NodeId) -> f64 {
        let graph = &self.watch.graph;
        let frac = match graph.node(node).ty.repr {
            Repr::Ring { scale } | Repr::Public { scale } => scale.min(graph.format.frac),
            Repr::Bit | Repr::Clear(_) => graph.format.frac,
        };
        (UNITS * pow2(-(frac as i32))).max(self.tolerance * self.values[&node].largest)
    }

    /// How much larger a number may seem to a comparison that leaves low bits unread.
    fn unread(&self, node: NodeId) -> f64 {
        let graph = &self.watch.graph;
        let (unread, places) = match graph.node(node).op {
            Op::Relu { unread } | Op::IsNegative { unread } => (unread, 2),
            Op::Max { axis, unread } | Op::Argmax { axis, unread } => {
                (unread, graph.node(graph.operands(node)[0]).ty.shape[axis])
            }
            Op::MaxPool { window, unread } => (unread, window.places()),
            _ => return 0.0,
        };
        let Repr::Ring { scale } = graph.node(graph.operands(node)[0]).ty.repr else { return 0.0 };
        // In a tournament each round may take the smaller.
        let rounds = places.next_power_of_two().trailing_zeros();
        if unread == 0 { 0.0 } else { f64::from(rounds) * pow2(unread as i32 - scale as i32) }
    }

    fn magnitude(&self, line: &mut Line, value: &Value) {
        // A number below one unit has as much room as the unit.
        let (graph, both) = (&self.watch.graph, &self.values[&value.node]);
        let Repr::Ring { scale } = graph.node(value.node).ty.repr else { return };
        let bits = (both.room / both.largest.max(pow2(-(scale as i32)))).log2();
        line.largest = Some(line.largest.map_or(both.largest, |before| before.max(both.largest)));
        line.headroom = Some(line.headroom.map_or(bits, |before| before.min(bits)));
        let mut operands = graph.operands(value.node).into_iter();
        line.leaves |= both.out && !operands.any(|operand| self.values.get(&operand).is_some_and(|both| both.out));
    }

    /// Compares a tensor; the worst element when it parts.
    fn errors(&self, line: &mut Line, value: &Value) -> Option<Parting> {
        let id = value.node;
        let (node, both) = (self.watch.graph.node(id), &self.values[&id]);
        let whole = matches!(node.ty.repr, Repr::Bit | Repr::Ring { scale: 0 });
        let allowed = if whole { 0.0 } else { self.allowed(id) + self.unread(id) };
        line.kind = if whole { Kind::Whole } else { Kind::Fix };
        let mut worst: Option<(usize, f64)> = None;
        let elements = both.plain.iter().zip(&both.run).enumerate();
        for (at, (plain, run)) in elements.filter(|(at, _)| both.live[*at]) {
            let error = (plain - run).abs();
            let parts = if whole {
                line.differ += usize::from(error >= 0.5);
                error >= 0.5 && !self.follows(id, at)
            } else {
                line.max_error = line.max_error.max(error);
                line.sum_error += error;
                error > allowed
            };
            if parts && worst.is_none_or(|(_, before)| error > before) {
                worst = Some((at, error));
            }
        }
        *(if whole { &mut line.whole } else { &mut line.numbers }) += both.live.iter().filter(|live| **live).count();
        let (at, _) = worst?;
        line.parts = true;
        let (run, plain) = (both.run[at], both.plain[at]);
        let (cause, outside) = (self.cause(id), self.outside(id, at));
        Some(Parting { span: value.span, run, plain, allowed, cause, outside })
    }

    /// The number that left the interval of a table, of those that went into an element through tensors of its shape.
    fn outside(&self, id: NodeId, at: usize) -> Option<Outside> {
        let graph = &self.watch.graph;
        let unit = graph.format.unit();
        let shape = &graph.node(id).ty.shape;
        let (mut stack, mut seen) = (vec![id], BTreeSet::new());
        while let Some(id) = stack.pop() {
            if !seen.insert(id) || &graph.node(id).ty.shape != shape {
                continue;
            }
            let operands = graph.operands(id);
            let interval = match &graph.node(id).op {
                Op::Exp { low, pieces, .. } => Some([*low as f64, (*low + *pieces as i64 - 1) as f64]),
                Op::Piecewise(table) if !table.periodic => {
                    let width = (table.coefficients.len() as f64 - 1.0) * pow2(table.shift as i32);
                    Some([table.low as f64 * unit, (table.low as f64 + width) * unit])
                }
                _ => None,
            };
            let number = operands.first().and_then(|o| self.values.get(o)).map(|both| both.plain[at]);
            if let (Some(interval), Some(number)) = (interval, number)
                && !(interval[0]..interval[1]).contains(&number)
            {
                return Some(Outside { number, interval });
            }
            stack.extend(operands);
        }
        None
    }

    /// Where what a tensor is made of left its room.
    fn cause(&self, mut id: NodeId) -> Option<Cause> {
        let graph = &self.watch.graph;
        let out = |id: &NodeId| self.values.get(id).is_some_and(|both| both.out);
        while let Some(operand) = graph.operands(id).into_iter().find(out) {
            id = operand;
        }
        out(&id).then(|| {
            let span = self.watch.values.iter().find(|value| value.node == id).and_then(|value| value.span);
            Cause { span, largest: self.values[&id].largest }
        })
    }

    /// Whether a bit or a place that differs from the plaintext follows from the run's own numbers.
    fn follows(&self, id: NodeId, at: usize) -> bool {
        let graph = &self.watch.graph;
        let operands = graph.operands(id);
        let run = |operand: usize| operands.get(operand).and_then(|o| self.values.get(o)).map(|both| &*both.run);
        let (Some(x), found) = (run(0), self.values[&id].run[at]) else { return false };
        // Signs are read before a truncation, which may round the rest of a negative number away.
        let close = |distance: f64| distance <= self.unit(operands[0]) + self.unread(id);
        match graph.node(id).op {
            Op::IsNegative { .. } => (x[at] < 0.0) == (found != 0.0) || close(x[at].abs()),
            Op::Argmax { axis, .. } => {
                let shape = &graph.node(operands[0]).ty.shape;
                let inner: usize = shape[axis + 1..].iter().product();
                let candidate = |index: usize| x[(at / inner * shape[axis] + index) * inner + at % inner];
                let largest = (0..shape[axis]).map(candidate).fold(f64::NEG_INFINITY, f64::max);
                let is_place = (0.0..shape[axis] as f64).contains(&found);
                is_place && close(largest - candidate(found as usize))
            }
            Op::IsZero => (x[at] == 0.0) == (found != 0.0),
            Op::Xor => run(1).is_some_and(|y| (x[at] != y[at]) == (found != 0.0)),
            Op::And => run(1).is_some_and(|y| (x[at] != 0.0 && y[at] != 0.0) == (found != 0.0)),
            _ => false,
        }
    }

    /// The unit in the last place of a number.
    fn unit(&self, node: NodeId) -> f64 {
        let Repr::Ring { scale } = self.watch.graph.node(node).ty.repr else { return 0.0 };
        pow2(-(scale as i32))
    }
}

/// Which elements of each tensor some result depends on. Looked through are operations element by element; of what others
/// take, everything counts.
fn live(graph: &Graph, plaintext: &BTreeMap<NodeId, Vec<f64>>) -> BTreeMap<NodeId, Vec<bool>> {
    let mut live: BTreeMap<NodeId, Vec<bool>> =
        plaintext.iter().map(|(id, values)| (*id, vec![false; values.len()])).collect();
    let opened: BTreeSet<NodeId> = graph.dag.node_indices().filter(|id| graph.node(*id).op.watches()).collect();
    for id in graph.order().into_iter().rev().filter(|id| !opened.contains(id)) {
        let node = graph.node(id);
        let elementwise = matches!(
            node.op,
            Op::Add | Op::Sub | Op::Neg | Op::Mul | Op::Relu { .. } | Op::IsNegative { .. } | Op::Xor | Op::And
        ) || matches!(node.op, Op::Select | Op::Trunc { .. } | Op::Up { .. } | Op::Reshape)
            || matches!(node.op, Op::Exp { .. } | Op::Piecewise(_) | Op::Leading(_) | Op::IsZero);
        // A result is no value of its own.
        let own = live.get(&id).cloned();
        let any = own.as_ref().is_none_or(|own| own.contains(&true));
        let operands = graph.operands(id);
        let bits = operands.first().and_then(|bit| plaintext.get(bit)).filter(|_| node.op == Op::Select);
        for (position, operand) in operands.iter().enumerate() {
            let Some(of) = live.get_mut(operand) else { continue };
            for (at, live) in of.iter_mut().enumerate() {
                let here = own.as_ref().filter(|_| elementwise).map_or(any, |own| own[at]);
                let chosen = position == 0 || bits.is_none_or(|bits| (bits[at] != 0.0) == (position == 1));
                *live |= here && chosen;
            }
        }
    }
    live
}

#[cfg(test)]
mod tests;
