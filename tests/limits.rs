//! Programs and plans at the edges: very deep, very long, very large. Each is accepted, or refused with a clear error, in
//! little time, memory and stack; the tests run on the stack of a test thread, 2 MiB, without optimisation.

use std::collections::BTreeMap;

use smlc::diag::{Diagnostic, render};
use smlc::graph::{self, Graph};
use smlc::hir::{self, Program};
use smlc::pass;
use smlc::span::{FileId, Sources};
use smlc::syntax::{self, dump};

const HEADER: &str = "owners a, b;\nfixed(int = 16, frac = 16);\n";

/// `E0102 message` of each diagnostic.
fn lines(diags: &[Diagnostic]) -> Vec<String> {
    diags.iter().map(|d| format!("{} {}", d.code, d.message)).collect()
}

/// Checks the items with a header; diagnostics are rendered, which must take little, too.
fn check(items: &str) -> Result<Program, Vec<String>> {
    let mut sources = Sources::default();
    let file = sources.add("limits.sml", format!("{HEADER}{items}"));
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    assert!(render(&diags, &sources, false).len() < 100_000, "the messages are long");
    program.ok_or_else(|| lines(&diags))
}

/// The graph of the entry `main`.
fn lowered(items: &str, dims: &[(&str, usize)]) -> Result<Graph, Vec<String>> {
    let program = check(items)?;
    let dims: BTreeMap<String, usize> = dims.iter().map(|(name, n)| ((*name).to_string(), *n)).collect();
    let mut diags = Vec::new();
    let graph = graph::lower::lower(&program, "main", &dims, &mut diags);
    graph.ok_or_else(|| lines(&diags))
}

/// An entry that computes an expression of two scalars.
fn entry(body: &str) -> String {
    format!("entry main(x: fix from a, y: fix from b) -> fix to a {{ {body} }}\n")
}

/// What is said about a program that nests something `depth` times: nothing, or that it is too deep.
fn nested(open: &str, middle: &str, close: &str, depth: usize) -> bool {
    let text = format!(
        "{HEADER}fn f(x: fix, y: fix) -> fix {{ x - y }}\n{}",
        entry(&format!("{}{middle}{}", open.repeat(depth), close.repeat(depth)))
    );
    let mut diags = Vec::new();
    let tree = syntax::parse(FileId(0), &text, &mut diags);
    if diags.is_empty() {
        std::hint::black_box(dump::ast(&tree));
        let formatted = syntax::format(FileId(0), &text).expect("a text without errors is formatted");
        assert_eq!(syntax::format(FileId(0), &formatted), Ok(formatted.clone()));
        let mut graph = lowered(&text[HEADER.len()..], &[]).unwrap_or_else(|e| panic!("{open}: {e:?}"));
        pass::run(&mut graph, None, &[]).unwrap();
        return true;
    }
    assert_eq!(lines(&diags), ["E0102 an expression is too deeply nested here"], "{open}");
    false
}

#[test]
fn deep_programs() {
    for (open, middle, close) in [
        ("(", "x", ")"),
        ("-", "x", ""),
        ("x + ", "y", ""),
        ("x * y - ", "x", ""),
        ("f(x, ", "y", ")"),
        ("if 1 < 2 { ", "x", " } else { y }"),
        ("if 2 < 1 { x } else ", "{ y }", ""),
        ("{", "x", "}"),
        ("{ let z = ", "x", "; z }"),
        ("((x, ", "y", ").1)"),
        ("(x, ", "y", ").1"),
        ("[x, ", "y", "][1]"),
        ("y |> f(", "x", ")"),
        ("((((", "x", " + y + y + y) - x) - x) - x)"),
    ] {
        let is_accepted = |depth: &usize| nested(open, middle, close, *depth);
        // Steps of 1.3, then the last ones one by one.
        let steps = (0..).map(|n| 1.3_f64.powi(n) as usize);
        let near = steps.take_while(is_accepted).last().unwrap_or(0);
        let deepest = (near..).take_while(is_accepted).last().unwrap_or(0);
        println!("{open} {deepest}");
        assert!(deepest >= 15, "`{open}` nests {deepest} times");
        assert!(!nested(open, middle, close, 100_000));
    }
}
