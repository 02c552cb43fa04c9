//! How a factor that somebody knows goes down into what it scales: `(x w + t) s = x (w s) + t s`. Two passes use it;
//! they differ in where the factor may end.

use super::known::{self, splat};
use super::layers::{Linear, Scaled, is_single, linear, scale, scaled};
use crate::fixed::pow2;
use crate::graph::{Graph, NodeId, Op, Repr, Ty};
use crate::span::Span;

/// Where a factor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    /// In the weights of a linear layer.
    Weights,
    /// In another factor.
    Factor,
}

/// A factor that goes down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor {
    /// A clear tensor with the axes of what it scales, of size 1 where it repeats.
    pub clear: NodeId,
    /// Its fraction bits in the ring.
    pub digits: u32,
}

/// What `id`, of which there is no other use, is with the factor in it; `None`, and nothing changed, when the factor does
/// not fit.
pub(super) fn absorb(graph: &mut Graph, id: NodeId, factor: Factor, into: Into) -> Option<NodeId> {
    fits(graph, id, factor.clear, into).then(|| put(graph, id, factor, into))
}

/// Whether all that is added up below takes the factor, and something else than numbers that somebody knows does.
fn fits(graph: &Graph, id: NodeId, factor: NodeId, into: Into) -> bool {
    if !is_single(graph, id) {
        return false;
    }
    let operands = graph.operands(id);
    let takes = |id: NodeId| fits(graph, id, factor, into);
    match graph.node(id).op {
        Op::Trunc { .. } | Op::Mul => place(graph, id, factor, into).is_some(),
        Op::Add | Op::Sub => {
            let known = |id: NodeId| knows(graph, id, factor);
            let [a, b] = [operands[0], operands[1]];
            known(a) && takes(b) || takes(a) && (known(b) || takes(b))
        }
        Op::Neg => takes(operands[0]),
        // A positive number changes no order.
        Op::Relu { unread: 0 } | Op::MaxPool { unread: 0, .. } | Op::Max { unread: 0, .. } => {
            splat(graph, factor).is_some_and(|value| value > 0.0) && takes(operands[0])
        }
        Op::Reshape | Op::Transpose { .. } => splat(graph, factor).is_some() && takes(operands[0]),
        _ => false,
    }
}

/// Whether somebody knows both a tensor of the ring and a clear one.
fn knows(graph: &Graph, id: NodeId, clear: NodeId) -> bool {
    known::label(graph, id).and_then(|l| known::joint(l, known::owner(graph, clear))).is_some()
}

/// Where in a scaled node or linear layer a factor goes.
enum Place {
    /// The layer, the factor's shape with the weights' axes, and by how many bits the weights are encoded finer.
    Weights(Linear, Vec<usize>, u32),
    /// What is scaled, and the fraction bits of the product of both factors.
    Factor(Scaled, u32),
}

fn place(graph: &Graph, id: NodeId, factor: NodeId, into: Into) -> Option<Place> {
    match into {
        Into::Weights => linear(graph, id).into_iter().find_map(|layer| {
            let shape = knows(graph, layer.weights, factor).then(|| by_output(graph, &layer, factor)).flatten()?;
            finer(graph, &layer, factor).map(|more| Place::Weights(layer, shape, more))
        }),
        Into::Factor => scaled(graph, id)
            .into_iter()
            .find(|s| knows(graph, s.factor, factor) && !grows(graph, s.factor, factor))
            .and_then(|s| joint_digits(graph, &s, factor).map(|digits| Place::Factor(s, digits))),
    }
}

/// Fraction bits with which the product of two factors, rounded once, is as good as one after the other: what it is off by
/// makes less than half a unit of any number that it scales. `None` when the ring has no room for them.
fn joint_digits(graph: &Graph, scaled: &Scaled, factor: NodeId) -> Option<u32> {
    if splat(graph, factor).is_some() && known::value(graph, scaled.factor).is_some() {
        // Constants have digits of their own.
        return Some(scaled.bits);
    }
    let (format, have) = (graph.format, scale(graph, scaled.x)?);
    let digits = have + format.int - 1;
    (format.int + have + digits < format.ring).then_some(digits)
}

/// Whether the product of two factors has more elements than they have together, or is no constant that the number format
/// holds.
fn grows(graph: &Graph, own: NodeId, factor: NodeId) -> bool {
    let source = |id: NodeId| if graph.node(id).op == Op::Broadcast { graph.operands(id)[0] } else { id };
    if let (Some(a), Some(b)) = (known::value(graph, own), splat(graph, factor)) {
        let scale = graph.format.factor_scale(a * b);
        return graph.format.encode(a * b, scale).is_none_or(|word| word == 0);
    }
    let [a, b] = [source(own), factor].map(|id| graph.node(id).ty.shape.clone());
    let len = |shape: &[usize]| shape.iter().product::<usize>();
    known::value(graph, own).is_none() && len(&known::joint_shape(&a, &b)) > len(&a) + len(&b)
}

/// The shape that a factor of a layer's results has as a factor of its weights, if it belongs to output channels.
fn by_output(graph: &Graph, layer: &Linear, factor: NodeId) -> Option<Vec<usize>> {
    let from = &graph.node(factor).ty.shape;
    if splat(graph, factor).is_some() {
        return Some(vec![1; graph.node(layer.weights).ty.shape.len()]);
    }
    let rank = from.len();
    match graph.node(layer.product).op {
        Op::Conv2d { .. } => {
            let by_channel = from.iter().enumerate().all(|(axis, n)| axis == 1 || *n == 1);
            by_channel.then(|| vec![from[1], 1, 1, 1])
        }
        // Rows of the left matrix, or columns of the right one; each matrix of a batch has its own.
        _ => (from[if layer.at == 1 { rank - 2 } else { rank - 1 }] == 1).then(|| from.clone()),
    }
}

fn put(graph: &mut Graph, id: NodeId, factor: Factor, into: Into) -> NodeId {
    let node = graph.node(id).clone();
    let operands = graph.operands(id);
    match node.op {
        Op::Trunc { .. } | Op::Mul => match place(graph, id, factor.clear, into).expect("it fits") {
            Place::Weights(layer, shape, more) => {
                let clear = match splat(graph, factor.clear) {
                    Some(value) => known::constant(graph, value, &shape),
                    None => known::clear(graph, Op::Reshape, &[factor.clear], shape, node.span),
                };
                rebuild(graph, id, &layer, layer.x, clear, more)
            }
            Place::Factor(scaled, digits) => {
                let own = known::small(graph, scaled.factor);
                let clear = known::combine(graph, Op::Mul, own, factor.clear, node.span);
                scale_by(graph, scaled.x, Factor { clear, digits: digits.max(factor.digits) }, node.span)
            }
        },
        Op::Add | Op::Sub => {
            let mut sides = Vec::new();
            for side in operands {
                sides.push(if known::label(graph, side).is_some() {
                    let own = known::small(graph, side);
                    let both = known::combine(graph, Op::Mul, own, factor.clear, node.span);
                    let scale = scale(graph, side).expect("what somebody knows is in the ring");
                    known::bring(graph, both, &node.ty.shape, scale, node.span)
                } else {
                    put(graph, side, factor, into)
                });
            }
            graph.add(node.op, &sides, node.ty, node.span)
        }
        Op::Reshape | Op::Transpose { .. } => {
            let axes = graph.node(operands[0]).ty.shape.len();
            let value = splat(graph, factor.clear).expect("it fits");
            let clear = known::constant(graph, value, &vec![1; axes]);
            let inner = put(graph, operands[0], Factor { clear, ..factor }, into);
            graph.add(node.op, &[inner], node.ty, node.span)
        }
        Op::Neg | Op::Relu { .. } | Op::MaxPool { .. } | Op::Max { .. } => {
            let inner = put(graph, operands[0], factor, into);
            graph.add(node.op, &[inner], node.ty, node.span)
        }
        other => unreachable!("a factor does not fit into {other:?}"),
    }
}

/// `x factor`, truncated to the scale of x. A constant has the digits of [`known::digits`].
fn scale_by(graph: &mut Graph, x: NodeId, factor: Factor, span: Option<Span>) -> NodeId {
    let ty = graph.node(x).ty.clone();
    let have = scale(graph, x).expect("what is scaled is in the ring");
    let digits = splat(graph, factor.clear).map_or(factor.digits, |value| known::digits(graph, value));
    let factor = known::bring(graph, factor.clear, &ty.shape, digits, span);
    let wide = Ty { shape: ty.shape.clone(), repr: Repr::Ring { scale: have + digits } };
    let product = graph.add(Op::Mul, &[x, factor], wide, span);
    if digits == 0 {
        return product;
    }
    graph.add(Op::Trunc { bits: digits }, &[product], Ty { shape: ty.shape, repr: Repr::Ring { scale: have } }, span)
}

/// Bits by which weights are encoded finer when they take a small constant in, so that they keep their digits: its leading
/// zeros. `None` when the ring has no room for them.
pub(super) fn finer(graph: &Graph, layer: &Linear, factor: NodeId) -> Option<u32> {
    let format = graph.format;
    let room = (format.ring - 1).saturating_sub(format.int + scale(graph, layer.product)?);
    let value = splat(graph, factor).map_or(1.0, f64::abs);
    (0..=room).find(|bits| value * pow2(*bits as i32 + 1) >= 1.0)
}

/// The layer with other input and with scaled weights that are encoded by `more` bits finer. `factor` has the weights' axes.
pub(super) fn rebuild(graph: &mut Graph, id: NodeId, layer: &Linear, x: NodeId, factor: NodeId, more: u32) -> NodeId {
    let node = graph.node(id).clone();
    let Op::Trunc { bits } = node.op else { unreachable!("a layer ends with its truncation") };
    let (product, old) = (graph.node(layer.product).clone(), graph.node(layer.weights).clone());
    let own = known::small(graph, layer.weights);
    let weights = known::combine(graph, Op::Mul, own, factor, old.span);
    let digits = scale(graph, layer.weights).unwrap_or(0) + more;
    let weights = known::bring(graph, weights, &old.ty.shape, digits, old.span);
    let wide = Repr::Ring { scale: scale(graph, layer.product).unwrap_or(0) + more };
    let operands = if layer.at == 1 { [x, weights] } else { [weights, x] };
    let mut sum = graph.add(product.op, &operands, Ty { shape: product.ty.shape, repr: wide }, product.span);
    for above in layer.sums.iter().rev() {
        let node = graph.node(*above).clone();
        sum = graph.add(node.op, &[sum], Ty { shape: node.ty.shape, repr: wide }, node.span);
    }
    graph.add(Op::Trunc { bits: bits + more }, &[sum], node.ty, node.span)
}
