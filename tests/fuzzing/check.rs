//! The checker, and for programs that check the way to a graph and to a plan, with small sizes.

use std::collections::BTreeMap;

use smlc::diag::Severity;
use smlc::graph::lower::lower;
use smlc::graph::unroll;
use smlc::hir::{self, Entry, Program};
use smlc::plan;
use smlc::span::{FileId, Sources};
use smlc::syntax::token::{self, Token};

use super::{Reached, are_told_well, graph_text};

/// Longer programs are left out.
const MAX_BYTES: usize = 4096;
/// Programs whose loops may take more turns are checked and not lowered, which unrolls them.
const MAX_TURNS: f64 = 20_000.0;
/// Graphs with more nodes are not made into plans.
const MAX_PLANNED: usize = 200;

pub fn run(text: &str) -> Reached {
    if text.len() > MAX_BYTES {
        return Reached::Refused;
    }
    let mut sources = Sources::default();
    let file = sources.add("fuzz.sml", text);
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    are_told_well(&diags, &sources);
    let failed = diags.iter().any(|d| d.severity == Severity::Error);
    assert_eq!(program.is_none(), failed, "a program is refused for its errors, and for nothing else: {diags:?}");
    let Some(program) = program else { return Reached::Refused };
    std::hint::black_box(hir::text::print(&program));
    if turns(text) > MAX_TURNS {
        return Reached::Accepted;
    }
    for entry in &program.entries {
        std::hint::black_box(program.learns(entry));
        lowers(&program, entry, &sources);
    }
    Reached::Accepted
}

/// How many turns all loops can take together: the largest number in the text for each of them.
fn turns(text: &str) -> f64 {
    let tokens = token::lex(FileId(0), text, &mut Vec::new());
    let largest = tokens.iter().filter_map(|t| if let Token::Int(n) = t.1 { Some(n) } else { None }).max().unwrap_or(1);
    let loops = tokens.iter().filter(|t| t.1 == Token::For).count();
    (largest as f64).powi(loops.min(100) as i32)
}

/// Lowers an entry with sizes of 1 to 3.
fn lowers(program: &Program, entry: &Entry, sources: &Sources) {
    let dims: BTreeMap<String, usize> =
        entry.sizes.iter().enumerate().map(|(index, name)| (name.clone(), 1 + (index + 1) % 3)).collect();
    let mut diags = Vec::new();
    let Some(graph) = lower(program, &entry.name, &dims, &mut diags) else {
        assert!(!diags.is_empty(), "`{}` is refused without a word", entry.name);
        are_told_well(&diags, sources);
        return;
    };
    let Some(graph) = graph_text::holds(graph) else { return };
    if unroll::node_count(&graph) <= MAX_PLANNED && plan::lower::unsupported(&graph).is_none() {
        let plan = plan::lower::lower(&graph, sources, plan::lower::Options::default());
        plan::verify::verify(&plan).unwrap_or_else(|e| panic!("the plan breaks a rule: {e}"));
    }
}
