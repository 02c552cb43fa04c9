//! The graph's text: what reads and verifies prints back as the same graph, and what `verify` passed panics nowhere
//! later: not in the passes, not in the evaluator.

use std::collections::BTreeMap;

use smlc::graph::eval::{self, EvalError, Mode};
use smlc::graph::verify::verify;
use smlc::graph::{Graph, Node, Op, text, unroll};
use smlc::pass;

use super::Reached;

const MAX_BYTES: usize = 8192;
const MAX_NODES: usize = 2000;
/// Elements of all nodes together that are evaluated.
const MAX_ELEMENTS: usize = 1 << 16;

pub fn run(input: &str) -> Reached {
    if input.len() > MAX_BYTES {
        return Reached::Refused;
    }
    let Ok(graph) = text::parse(input) else { return Reached::Refused };
    if verify(&graph).is_err() {
        return Reached::Refused;
    }
    holds(graph);
    Reached::Accepted
}

/// Looks at everything promised about a graph that verifies, and gives it back after all passes, unless it is large.
pub fn holds(graph: Graph) -> Option<Graph> {
    verify(&graph).unwrap_or_else(|e| panic!("the graph breaks a rule: {e}"));
    if unroll::node_count(&graph) > MAX_NODES {
        return None;
    }
    let printed = text::print(&graph);
    let again = text::parse(&printed).unwrap_or_else(|e| panic!("{e} of\n{printed}"));
    verify(&again).unwrap_or_else(|e| panic!("{e} of\n{printed}"));
    assert_eq!(text::print(&again), printed, "printing and reading changed the graph");

    let mut passed = graph.clone();
    pass::run(&mut passed, None, &[]).unwrap_or_else(|(pass, e)| panic!("after `{pass}`: {e}\n{printed}"));
    let work = |node: &Node| match node.op {
        Op::SumPool { window } | Op::MaxPool { window, .. } | Op::Conv2d { window, .. } => {
            node.ty.len().saturating_mul(window.size[0] * window.size[1])
        }
        _ => node.ty.len(),
    };
    let sizes =
        [&graph, &passed].map(|g| unroll::unroll(g).dag.node_weights().map(work).fold(0, usize::saturating_add));
    if sizes.iter().any(|n| *n > MAX_ELEMENTS) {
        return None;
    }
    let inputs = inputs(&graph);
    let (before, after) = (eval::results(&graph, &inputs, Mode::Real), eval::results(&passed, &inputs, Mode::Real));
    alike(&before, &after);
    let fixed = eval::results(&graph, &inputs, Mode::Fixed).is_ok();
    assert_eq!(fixed, eval::results(&passed, &inputs, Mode::Fixed).is_ok(), "a pass moved a value out of the format");
    Some(passed)
}

/// Small numbers of both signs for every input.
fn inputs(graph: &Graph) -> BTreeMap<String, Vec<f64>> {
    let values = |len: usize| (0..len).map(|i| ((i * 7 + 3) % 11) as f64 / 4.0 - 1.0).collect();
    graph.inputs().map(|(id, path)| (path.to_string(), values(graph.node(id).ty.len()))).collect()
}

type Results = Result<BTreeMap<String, Vec<f64>>, EvalError>;

/// The passes keep what a graph computes, but for the order of additions.
fn alike(before: &Results, after: &Results) {
    let (Ok(before), Ok(after)) = (before, after) else {
        assert_eq!(before.is_ok(), after.is_ok(), "a pass changed what can be computed: {before:?} and {after:?}");
        return;
    };
    assert!(before.keys().eq(after.keys()), "a pass changed the results");
    for (x, y) in before.values().flatten().zip(after.values().flatten()) {
        let near = (x - y).abs() <= 1e-6 * x.abs().max(y.abs()).max(1.0);
        assert!(near || x == y || !x.is_finite() && !y.is_finite(), "a pass changed {x} to {y}");
    }
}
