//! Passes: graph to graph. Each is one file, one row of [`PASSES`], and keeps what the graph computes
//! (`graph::eval` before = after, up to one unit in the last place a truncation or an encoding).

mod absorb;
mod cse;
mod dce;
mod defer_trunc;
mod early_factors;
mod fold_constants;
mod fold_input;
mod fold_scale;
mod fuse_linear;
mod hoist_local;
mod known;
mod layers;
mod relu_past_pool;
mod share_comparisons;
mod sink_trunc;
mod trim_window;

use crate::graph::unroll::unroll;
use crate::graph::verify::{VerifyError, verify};
use crate::graph::{Graph, Op};

/// A pass by name.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Kebab-case name, for `--after` and `--no-pass`.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// The rewrite.
    pub run: fn(&mut Graph),
}

/// All passes in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "cse", about: "compute equal expressions once", run: cse::run },
    Pass {
        name: "fold-constants",
        about: "compute with constants now, and encode them with no more digits than they have",
        run: fold_constants::run,
    },
    Pass { name: "trim-window", about: "drop what of a window only ever sees padding", run: trim_window::run },
    Pass {
        name: "hoist-local",
        about: "give to an owner what that owner can compute alone, after some algebra",
        run: hoist_local::run,
    },
    Pass { name: "sink-trunc", about: "truncate sums and slices, not what they are made of", run: sink_trunc::run },
    Pass {
        name: "fold-scale",
        about: "scale a layer's weights, not its results, where one owner knows both",
        run: fold_scale::run,
    },
    Pass {
        name: "fold-input",
        about: "scale a layer's weights, not what goes in, where one owner knows both",
        run: fold_input::run,
    },
    Pass { name: "early-factors", about: "multiply first by what is there first", run: early_factors::run },
    Pass {
        name: "fuse-linear",
        about: "add biases and residuals before the truncation, not after",
        run: fuse_linear::run,
    },
    Pass { name: "defer-trunc", about: "multiply untruncated numbers where the ring has room", run: defer_trunc::run },
    Pass {
        name: "share-comparisons",
        about: "compare once where two comparisons say the same",
        run: share_comparisons::run,
    },
    Pass {
        name: "relu-past-pool",
        about: "take the ReLU after the max pool, where there are fewer elements",
        run: relu_past_pool::run,
    },
    Pass { name: "dce", about: "drop what no result needs", run: dce::run },
];

/// What a plan is made from: the graph, before any pass, with its loops written out, and all passes on it. So turns
/// share what they have in common, as if the author had written them one after the other.
///
/// # Errors
/// As [`run`].
pub fn unrolled(graph: &Graph, without: &[String]) -> Result<Graph, (&'static str, VerifyError)> {
    let mut flat = unroll(graph);
    run(&mut flat, None, without)?;
    Ok(flat)
}

/// Runs a rewrite on a graph and on the turns of all its loops.
fn everywhere(graph: &mut Graph, run: fn(&mut Graph)) {
    for id in graph.dag.node_indices().collect::<Vec<_>>() {
        if let Op::Loop(turns) = &mut graph.dag[id].op {
            everywhere(&mut turns.turn, run);
        }
    }
    run(graph);
}

/// Finds a pass.
#[must_use]
pub fn find(name: &str) -> Option<&'static Pass> {
    PASSES.iter().find(|p| p.name == name)
}

/// Runs the passes up to and including `after` (all when `None`), but not those in `without`; verifies after each.
///
/// # Errors
/// If a pass breaks a rule of the graph, which is a mistake of the compiler: the pass and the rule.
pub fn run(graph: &mut Graph, after: Option<&str>, without: &[String]) -> Result<(), (&'static str, VerifyError)> {
    verify(graph).map_err(|e| ("lower", e))?;
    for pass in PASSES {
        if !without.iter().any(|w| w == pass.name) {
            everywhere(graph, pass.run);
            verify(graph).map_err(|e| (pass.name, e))?;
        }
        if after == Some(pass.name) {
            break;
        }
    }
    Ok(())
}
