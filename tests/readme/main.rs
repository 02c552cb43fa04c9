//! The documents hold: their programs check, their commands print what they show, their links lead somewhere, the
//! generated pages are as they would be generated, and CI runs what the README says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
mod book;
mod console;
mod explain;
mod generated;

use blocks::{bless, blocks, check, documents, read, rewrite};
use smlc::span::FileId;

#[test]
fn the_programs_in_the_documents_check() {
    let mut checked = 0;
    let mut paths = documents(&["docs", "editors", "examples"]);
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_string));
    for path in paths {
        checked += blocks(&path).iter().filter(|block| check(block)).count();
    }
    assert!(checked > 100, "only {checked} programs found");
}

/// Who types a program of the tutorial gets a program: what has an entry has a header too.
#[test]
fn the_programs_of_the_tutorial_are_whole() {
    for path in documents(&["docs/src/tutorial"]) {
        for block in blocks(&path).iter().filter(|b| b.kind.starts_with("sml") && b.text.contains("entry ")) {
            assert!(block.text.contains("owners "), "{}: an entry without a header", block.place);
        }
    }
}

/// What teaches shows the one layout that there is. `SMLC_BLESS=1` writes it.
#[test]
fn the_programs_of_the_manual_are_formatted() {
    for path in documents(&["docs/src", "src/diag/explain"]) {
        if path == "docs/src/errors.md" {
            continue; // made from src/diag/explain
        }
        for block in blocks(&path) {
            let program = block.kind.starts_with("sml") && block.kind != "sml fragment";
            let formatted = program.then(|| smlc::syntax::format(FileId(0), &block.text).ok()).flatten();
            let Some(formatted) = formatted.filter(|text| *text != block.text) else { continue };
            assert!(bless(), "{}: not as `smlc fmt` writes it, which is\n{formatted}", block.place);
            rewrite(&path, &block.text, &formatted);
        }
    }
}

#[test]
fn the_examples_are_shown_as_they_are() {
    let readme = read("README.md");
    let path = "examples/digits/digits.sml";
    assert!(readme.contains(read(path).trim_end()), "README.md does not show {path} as it is");
    // The settings, but for the comment on top.
    let toml = read("examples/digits/digits.toml");
    let (_, settings) = toml.split_once("\n\n").unwrap_or_default();
    assert!(readme.contains(settings.trim_end()), "README.md does not show examples/digits/digits.toml as it is");
    for (page, path) in [
        ("docs/src/tutorial/mlp.md", "examples/small_digits/small_digits.sml"),
        ("docs/src/tutorial/lenet.md", "examples/lenet.sml"),
        ("docs/src/tutorial/residual.md", "examples/residual.sml"),
    ] {
        assert!(read(page).contains(read(path).trim_end()), "{page} does not show {path} as it is");
    }
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    let first = blocks("README.md").into_iter().find(|b| b.kind == "console").expect("README.md starts with commands");
    let commands: Vec<&str> = first.text.lines().filter_map(|l| l.strip_prefix("$ ")).collect();
    assert_eq!(commands, ["cargo run --release -- run examples/digits/digits.sml", "cargo test --release"]);
    let ci = read(".ci/run");
    for command in commands {
        assert!(ci.lines().any(|l| l == command), ".ci/run has no line `{command}`");
    }
}
