//! `defer-trunc`: multiplies untruncated numbers where the ring has room for the product.
//!
//! Before: `%4 = trunc bits=2 %3; %5 = matmul %4 %y; %6 = trunc bits=16 %5`. After: `%5 = matmul %3 %y; %6 = trunc bits=18 %5`: one truncation
//! instead of two, and one rounding. Saves `K + 3 f1` bits an element of the operand (of a product of shares, `3 f1`), and
//! two rounds (one). With 64 bits that is so for factors of few digits (`fold-constants`), and for all products of
//! a format with `int + 3 frac < 64`. The second truncation sends `3 f1` bits more for each of its elements; the pass does not
//! fire where that is more than it saves. Sums, moves and what is added may stand between the second product and its truncation.

use super::fuse_linear::{is_public_arg, raise_all, up};
use super::layers::{is_single, remove_unused, scale};
use crate::graph::{Graph, NodeId, Op, Repr, Ty};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        while graph.dag.contains_node(id) && (merge(graph, id) || defer(graph, id)) {}
    }
    raise_all(graph);
}

/// Two truncations, one after the other: the node becomes both.
fn merge(graph: &mut Graph, id: NodeId) -> bool {
    let Op::Trunc { bits } = graph.node(id).op else { return false };
    let first = graph.operands(id)[0];
    let Op::Trunc { bits: more } = graph.node(first).op else { return false };
    if !is_single(graph, first) {
        return false;
    }
    let source = graph.operands(first)[0];
    graph.dag[id].op = Op::Trunc { bits: bits + more };
    graph.set_operands(id, &[source]);
    remove_unused(graph, first);
    true
}

/// From below a truncation down to a product: what stands between, the last first, and the most products that are added up
/// in one result.
fn down(graph: &Graph, from: NodeId) -> Option<(Vec<NodeId>, NodeId, usize)> {
    let (mut between, mut at, mut count) = (Vec::new(), from, 1usize);
    loop {
        if !is_single(graph, at) {
            return None;
        }
        let operands = graph.operands(at);
        let is_product = |id: NodeId| matches!(graph.node(id).op, Op::Mul | Op::MatMul | Op::Conv2d { .. });
        let next = match &graph.node(at).op {
            _ if is_product(at) => return Some((between, at, count)),
            Op::Sum { axis } => {
                count = count.saturating_mul(graph.node(operands[0]).ty.shape[*axis]);
                operands[0]
            }
            Op::SumPool { window } => {
                count = count.saturating_mul(window.places());
                operands[0]
            }
            Op::Neg | Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } => operands[0],
            Op::Add | Op::Sub => {
                let side = operands.iter().position(|o| is_product(*o))?;
                if is_public_arg(graph, operands[1 - side]) {
                    return None;
                }
                operands[side]
            }
            _ => return None,
        };
        between.push(at);
        at = next;
    }
}

/// A truncation of a product with a truncated operand, or of sums of it: the node becomes that of the product of what was
/// truncated.
fn defer(graph: &mut Graph, id: NodeId) -> bool {
    let Op::Trunc { bits } = graph.node(id).op else { return false };
    let Some((between, product, count)) = down(graph, graph.operands(id)[0]) else { return false };
    let node = graph.node(product).clone();
    let operands = graph.operands(product);
    for at in 0..2 {
        let trunc = operands[at];
        let Op::Trunc { bits: more } = graph.node(trunc).op else { continue };
        let Repr::Ring { scale: have } = node.ty.repr else { continue };
        let sums = count.next_power_of_two().trailing_zeros();
        let room = graph.format.int + have + more + sums < graph.format.ring;
        if !room || !is_single(graph, trunc) || !saves(graph, trunc, more, graph.node(id).ty.len()) {
            continue;
        }
        let mut wide = operands.clone();
        wide[at] = graph.operands(trunc)[0];
        let repr = Repr::Ring { scale: have + more };
        let mut below = product;
        let mut new = graph.add(node.op.clone(), &wide, Ty { shape: node.ty.shape.clone(), repr }, node.span);
        for above in between.iter().rev() {
            let node = graph.node(*above).clone();
            let operands: Vec<NodeId> =
                graph.operands(*above).into_iter().map(|o| if o == below { new } else { up(graph, o, more) }).collect();
            new = graph.add(node.op, &operands, Ty { shape: node.ty.shape, repr }, node.span);
            below = *above;
        }
        let old = graph.operands(id)[0];
        graph.dag[id].op = Op::Trunc { bits: bits + more };
        graph.set_operands(id, &[new]);
        remove_unused(graph, old);
        return true;
    }
    false
}

/// Whether less is sent without a truncation of `bits` bits, when another of `len` elements takes them over.
fn saves(graph: &Graph, trunc: NodeId, bits: u32, len: usize) -> bool {
    let source = graph.operands(trunc)[0];
    let is_public = |id: NodeId| matches!(graph.node(id).ty.repr, Repr::Public { .. });
    // A product of shares is one summand a party, which takes as many bits to share as it takes to truncate it, but for
    // 3 a bit that is dropped. Any other is at hand.
    let additive = match graph.node(source).op {
        Op::Mul | Op::MatMul | Op::Conv2d { .. } => !graph.operands(source).into_iter().any(is_public),
        Op::Share { .. } | Op::Relu { .. } | Op::Select => false,
        _ => true,
    };
    let each = if additive { 0 } else { graph.format.ring as usize };
    debug_assert!(scale(graph, source).is_some());
    (each + 3 * bits as usize) * graph.node(trunc).ty.len() >= 3 * bits as usize * len
}
