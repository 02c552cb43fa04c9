//! What the fuzz targets do with an input. `fuzz/` and the tests include this folder by its path, so that a fuzzer and
//! `cargo test` run the same code; it uses nothing but the library's public interface.
//!
//! A target panics when a promise of the library is broken. It says how far an input came, so that a test can tell
//! whether its inputs reach anything.
#![allow(dead_code, reason = "each crate that includes this folder uses a part of it")]

pub mod check;
pub mod graph_text;
pub mod mutate;
pub mod parse;
pub mod plan_file;
pub mod seeds;

use smlc::diag::{Diagnostic, json, render};
use smlc::span::Sources;

/// How far an input came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It was refused with an error, or left out because it is too large.
    Refused,
    /// It was accepted, and everything promised about accepted inputs was looked at.
    Accepted,
}

/// A fuzz target.
pub struct Target {
    /// Its name, which is also that of its folder in `fuzz/regressions`.
    pub name: &'static str,
    /// What its inputs are, which is also the name of the folder of its seeds in `fuzz/corpus`.
    pub inputs: &'static str,
    /// The target; panics when a promise is broken.
    pub run: fn(&str) -> Reached,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "parse", inputs: "program", run: parse::run },
    Target { name: "check", inputs: "program", run: check::run },
    Target { name: "graph_text", inputs: "graph", run: graph_text::run },
    Target { name: "plan_file", inputs: "plan", run: plan_file::run },
];

/// Runs a target on what a fuzzer made; what is no text is no input.
pub fn bytes(run: fn(&str) -> Reached, data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        run(text);
    }
}

/// How many lines one message may take on a terminal.
pub const MAX_LINES: usize = 20;
/// How many characters a line of a message may have.
pub const MAX_WIDTH: usize = 1000;

/// Every diagnostic has a primary place inside of its file, and is told in a few lines of bounded length.
pub fn are_told_well(diags: &[Diagnostic], sources: &Sources) {
    for diag in diags {
        assert!(!diag.message.is_empty() && !diag.message.contains('\n'), "{diag:?}");
        assert!(!diag.labels.is_empty(), "a message without a place: {diag:?}");
        for label in &diag.labels {
            let text = &sources.file(label.span.file).text;
            let (start, end) = (label.span.start as usize, label.span.end as usize);
            assert!(start <= end && end <= text.len(), "{diag:?} of a text of {} bytes", text.len());
            assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{diag:?} cuts a character");
        }
        let told = render(std::slice::from_ref(diag), sources, false);
        assert!(told.lines().count() <= MAX_LINES, "a message of {} lines:\n{told}", told.lines().count());
        let width = told.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(width <= MAX_WIDTH, "a line of {width} characters");
    }
    std::hint::black_box(render(diags, sources, true));
    let lines = json(diags, sources);
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{lines}");
}
