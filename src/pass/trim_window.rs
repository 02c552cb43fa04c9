//! `trim-window`: drops the rows and columns of a convolution's window that only ever see padding.
//!
//! Before: `conv2d(x, w)` of a 1x1 image with a 3x3 window and a padding of 1. After: `conv2d(x, w[.., .., 1, 1])` with a 1x1
//! window and none: equal, because the others are multiplied by zero. Saves the shares and the multiplications of weights that do not count; late layers
//! on small images have them. Only when what is left can be said with the same padding on both sides.

use crate::graph::{Graph, NodeId, Op, Ty, Window};

/// Runs the pass.
pub fn run(graph: &mut Graph) {
    for id in graph.order() {
        trim(graph, id);
    }
}

fn trim(graph: &mut Graph, id: NodeId) {
    let node = graph.node(id).clone();
    let Op::Conv2d { window, groups } = node.op else { return };
    let (image, weight) = (graph.operands(id)[0], graph.operands(id)[1]);
    let shape = &graph.node(image).ty.shape;
    let (h, w) = (shape[2], shape[3]);
    let Some(result) = window.output(h, w) else { return };
    let (rows, cols) = (seen(&window, 0, h, result[0]), seen(&window, 1, w, result[1]));
    let left = [rows.1 - rows.0, cols.1 - cols.0];
    let before = [rows.0 * window.dilation[0], cols.0 * window.dilation[1]];
    if left == window.size || left.contains(&0) || before[0] > window.pad[0] || before[1] > window.pad[1] {
        return;
    }
    let pad = [window.pad[0] - before[0], window.pad[1] - before[1]];
    let smaller = Window { size: left, pad, ..window };
    if smaller.output(h, w) != Some(result) {
        return;
    }
    let mut weight = weight;
    for (axis, (first, end)) in [(2, rows), (3, cols)] {
        let mut ty: Ty = graph.node(weight).ty.clone();
        if ty.shape[axis] == end - first {
            continue;
        }
        ty.shape[axis] = end - first;
        let span = graph.node(weight).span;
        weight = graph.add(Op::Slice { axis, start: first, step: 1 }, &[weight], ty, span);
    }
    let new = graph.add(Op::Conv2d { window: smaller, groups }, &[image, weight], node.ty, node.span);
    graph.replace_uses(id, new);
    graph.dag.remove_node(id);
}

/// First and end of a window's positions along an axis, of an image of `size` there, that see something of it.
fn seen(window: &Window, axis: usize, size: usize, result: usize) -> (usize, usize) {
    let sees = |position: &usize| {
        let at = |o: usize| o * window.stride[axis] + position * window.dilation[axis];
        (0..result).any(|o| (window.pad[axis]..window.pad[axis] + size).contains(&at(o)))
    };
    let first = (0..window.size[axis]).find(sees).unwrap_or(0);
    let end = (0..window.size[axis]).rev().find(sees).map_or(first, |last| last + 1);
    (first, end)
}
