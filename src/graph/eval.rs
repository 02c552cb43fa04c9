//! The reference evaluator: what a graph computes, in f64 and in exact fixed point. It is the oracle for passes and for
//! the three-party run, and it computes the owners' part in the clear.

mod functions;
mod ops;

use std::collections::BTreeMap;

use super::{Constant, Graph, NodeId, Op, Repr};
use crate::fixed::Format;
use ops::apply;

/// In which numbers ring values are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// f64 without any rounding to the format.
    Real,
    /// Ring arithmetic; truncation rounds down. A three-party run differs by at most one unit in the last place a truncation.
    Fixed,
}

/// Why an evaluation stops.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// No data for an input.
    #[error("no data for the input `{0}`")]
    Missing(String),
    /// Data of the wrong size.
    #[error("the input `{path}` has {found} elements where {wanted} belong")]
    Size {
        /// The input.
        path: String,
        /// Elements given.
        found: usize,
        /// Elements declared.
        wanted: usize,
    },
    /// Derivatives are not evaluated.
    #[error("the gradient is not computed in this version")]
    Gradient,
    /// A value that the number format cannot hold is about to be encoded.
    #[error("element {index} of `{path}` is {value}, outside of the number format (|x| < {limit})")]
    Range {
        /// The input it stems from.
        path: String,
        /// Row-major index.
        index: usize,
        /// The value.
        value: f64,
        /// Exclusive bound.
        limit: f64,
    },
}

/// A tensor's elements: f64 in the clear and in real mode, else signed ring elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Real numbers.
    Real(Vec<f64>),
    /// Ring elements as signed integers.
    Ring(Vec<i64>),
}

/// Evaluates the results of an entry: name -> values as real numbers, row-major.
///
/// # Errors
/// If an input is missing, mis-sized or out of the format's range.
pub fn results(
    graph: &Graph,
    inputs: &BTreeMap<String, Vec<f64>>,
    mode: Mode,
) -> Result<BTreeMap<String, Vec<f64>>, EvalError> {
    let graph = &super::unroll::unroll(graph);
    let wanted: Vec<NodeId> = graph.results().collect();
    let values = nodes(graph, inputs, mode, &wanted)?;
    Ok(wanted
        .iter()
        .zip(values)
        .map(|(id, value)| {
            let (Op::Reveal { name, .. } | Op::Keep { name }) = &graph.node(*id).op else {
                unreachable!("results are revealed or kept")
            };
            (name.clone(), real(graph, *id, value))
        })
        .collect())
}

fn real(graph: &Graph, id: NodeId, value: Elements) -> Vec<f64> {
    let scale = match graph.node(id).ty.repr {
        Repr::Ring { scale } | Repr::Public { scale } => scale,
        Repr::Bit | Repr::Clear(_) => 0,
    };
    match value {
        Elements::Real(x) => x,
        Elements::Ring(x) => x.into_iter().map(|v| graph.format.decode(v as u64, scale)).collect(),
    }
}

/// Evaluates chosen nodes and what they need, of a graph without loops.
///
/// # Errors
/// If an input is missing, mis-sized or out of the format's range.
pub fn nodes(
    graph: &Graph,
    inputs: &BTreeMap<String, Vec<f64>>,
    mode: Mode,
    wanted: &[NodeId],
) -> Result<Vec<Elements>, EvalError> {
    let mut needed: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut stack: Vec<NodeId> = wanted.to_vec();
    while let Some(id) = stack.pop() {
        let count = needed.entry(id).or_default();
        *count += 1;
        if *count == 1 {
            stack.extend(graph.operands(id));
        }
    }
    let mut values: BTreeMap<NodeId, Elements> = BTreeMap::new();
    for id in graph.order().into_iter().filter(|id| needed.contains_key(id)).collect::<Vec<_>>() {
        let operands = graph.operands(id);
        let value = node(graph, id, &operands, &values, inputs, mode)?;
        for operand in operands {
            let left = needed.get_mut(&operand).expect("operands of needed nodes are needed");
            *left -= 1;
            if *left == 0 {
                values.remove(&operand);
            }
        }
        values.insert(id, value);
    }
    let found = wanted.iter().enumerate().map(|(at, id)| {
        let again = wanted[at + 1..].contains(id);
        let value = if again { values.get(id).cloned() } else { values.remove(id) };
        value.expect("what is wanted was evaluated")
    });
    Ok(found.collect())
}

fn node(
    graph: &Graph,
    id: NodeId,
    operands: &[NodeId],
    values: &BTreeMap<NodeId, Elements>,
    inputs: &BTreeMap<String, Vec<f64>>,
    mode: Mode,
) -> Result<Elements, EvalError> {
    let node = graph.node(id);
    match &node.op {
        Op::Input { path } => return Ok(Elements::Real(given(graph, id, path, inputs)?.to_vec())),
        Op::Stored { path } => {
            let data = given(graph, id, path, inputs)?;
            let Repr::Ring { scale } = node.ty.repr else { unreachable!("what is stored is shared") };
            let encoded = encode(graph, id, data, scale)?;
            return Ok(match mode {
                Mode::Real => Elements::Real(data.to_vec()),
                Mode::Fixed => Elements::Ring(encoded.into_iter().map(|w| graph.format.signed(w)).collect()),
            });
        }
        Op::Gradient => return Err(EvalError::Gradient),
        Op::Loop(_) | Op::Final { .. } | Op::Arg { .. } | Op::Yield { .. } => {
            unreachable!("loops are written out before")
        }
        Op::Const(Constant::Splat(x)) => return Ok(Elements::Real(vec![*x; node.ty.len()])),
        Op::Const(Constant::Dense(x)) => return Ok(Elements::Real(x.clone())),
        Op::Share { scale } | Op::Encode { scale } => {
            let Elements::Real(x) = &values[&operands[0]] else { unreachable!("what is encoded is in the clear") };
            let encoded = encode(graph, operands[0], x, *scale)?;
            return Ok(match mode {
                Mode::Real => Elements::Real(x.clone()),
                Mode::Fixed => Elements::Ring(encoded.into_iter().map(|w| graph.format.signed(w)).collect()),
            });
        }
        _ => {}
    }
    let bits = match node.op {
        Op::Bits { count } => Some(functions::bits(&values[&operands[0]], count, graph, operands[0])),
        Op::Random { ones } => Some(functions::random(ones, node.ty.len(), id)),
        _ => None,
    };
    if let Some(bits) = bits {
        let clear = mode == Mode::Real || matches!(node.ty.repr, Repr::Clear(_));
        return Ok(match clear {
            true => Elements::Real(bits.into_iter().map(f64::from).collect()),
            false => Elements::Ring(bits.into_iter().map(i64::from).collect()),
        });
    }
    if let Some(function) = functions::function(&node.op, graph.format) {
        let scale = |id: NodeId| match graph.node(id).ty.repr {
            Repr::Ring { scale } | Repr::Public { scale } => scale,
            Repr::Bit | Repr::Clear(_) => 0,
        };
        return Ok(functions::apply(&function, &values[&operands[0]], [scale(operands[0]), scale(id)], graph.format));
    }
    let shapes: Vec<&[usize]> = operands.iter().map(|o| graph.node(*o).ty.shape.as_slice()).collect();
    let all_real = operands.iter().all(|o| matches!(values[o], Elements::Real(_)));
    Ok(if all_real {
        let data: Vec<&[f64]> = operands.iter().map(|o| as_real(&values[o])).collect();
        Elements::Real(apply(&node.op, &data, &shapes, &node.ty.shape))
    } else {
        let data: Vec<&[i64]> = operands.iter().map(|o| as_ring(&values[o])).collect();
        let mut out = apply(&node.op, &data, &shapes, &node.ty.shape);
        wrap(&mut out, graph.format);
        Elements::Ring(out)
    })
}

fn as_real(x: &Elements) -> &[f64] {
    match x {
        Elements::Real(x) => x,
        Elements::Ring(_) => unreachable!("the verifier keeps clear and ring operands apart"),
    }
}

fn as_ring(x: &Elements) -> &[i64] {
    match x {
        Elements::Ring(x) => x,
        Elements::Real(_) => unreachable!("the verifier keeps clear and ring operands apart"),
    }
}

fn wrap(x: &mut [i64], format: Format) {
    if format.ring < 64 {
        for v in x {
            *v = format.signed(*v as u64);
        }
    }
}

/// Ring elements of clear values; names the input they stem from when one is out of range.
fn encode(graph: &Graph, id: NodeId, x: &[f64], scale: u32) -> Result<Vec<u64>, EvalError> {
    let mut words = Vec::with_capacity(x.len());
    for (index, value) in x.iter().enumerate() {
        let word = graph.format.encode(*value, scale).ok_or_else(|| EvalError::Range {
            path: origin(graph, id),
            index,
            value: *value,
            limit: graph.format.limit(),
        })?;
        words.push(word);
    }
    Ok(words)
}

/// The data of an input, which have its size.
fn given<'a>(
    graph: &Graph,
    id: NodeId,
    path: &str,
    inputs: &'a BTreeMap<String, Vec<f64>>,
) -> Result<&'a [f64], EvalError> {
    let (data, wanted) = (inputs.get(path), graph.node(id).ty.len());
    match data.ok_or_else(|| EvalError::Missing(path.to_string()))? {
        data if data.len() == wanted => Ok(data),
        data => Err(EvalError::Size { path: path.to_string(), found: data.len(), wanted }),
    }
}

/// The inputs a clear node is computed from.
fn origin(graph: &Graph, id: NodeId) -> String {
    let mut stack = vec![id];
    let mut seen = std::collections::BTreeSet::new();
    let mut paths = Vec::new();
    while let Some(id) = stack.pop() {
        if let Op::Input { path } | Op::Stored { path } = &graph.node(id).op {
            paths.push(path.clone());
        }
        if seen.insert(id) {
            stack.extend(graph.operands(id));
        }
    }
    paths.sort();
    paths.dedup();
    if paths.is_empty() { "a constant".to_string() } else { paths.join(", ") }
}

/// The ring elements that a `Share` or `Encode` node of a clear graph yields.
///
/// # Errors
/// If an input is missing, mis-sized or out of the format's range.
pub fn encoded(graph: &Graph, inputs: &BTreeMap<String, Vec<f64>>, id: NodeId) -> Result<Vec<u64>, EvalError> {
    // Most are inputs as they are: large, and not worth a copy.
    if let Op::Share { scale } | Op::Encode { scale } = graph.node(id).op {
        let operand = graph.operands(id)[0];
        if let Op::Input { path } = &graph.node(operand).op {
            return encode(graph, operand, given(graph, operand, path, inputs)?, scale);
        }
        let values = nodes(graph, inputs, Mode::Fixed, &[operand])?;
        let Elements::Real(values) = &values[0] else { unreachable!("what is encoded is in the clear") };
        return encode(graph, operand, values, scale);
    }
    let values = nodes(graph, inputs, Mode::Fixed, &[id])?;
    let mask = graph.format.mask();
    Ok(as_ring(&values[0]).iter().map(|v| *v as u64 & mask).collect())
}

/// The part that is computed in the clear, up to its `Share` and `Encode` nodes, and where each of its nodes went.
#[must_use]
pub fn clear_part(graph: &Graph) -> (Graph, BTreeMap<NodeId, NodeId>) {
    let boundary = graph.dag.node_indices().filter(|id| match graph.node(*id).op {
        Op::Share { .. } => true,
        // A constant splat is an immediate of the plan.
        Op::Encode { .. } => !matches!(graph.node(graph.operands(*id)[0]).op, Op::Const(Constant::Splat(_))),
        _ => false,
    });
    graph.extract(boundary)
}
