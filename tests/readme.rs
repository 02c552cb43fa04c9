//! The documents hold: their programs check, the program they show is the one in `examples`, and CI runs what they say.
//!
//! Blocks by their first line: `sml` must check; `sml error E0401 E0302` must give exactly these codes (warnings
//! included); `sml fragment` is not looked at. A block without `owners` or without an entry gets one.

use std::path::Path;

use smlc::hir;
use smlc::span::Sources;

const HEADER: &str = "owners hospital, vendor;\nfixed(int = 16, frac = 16);\n";
const ENTRY: &str = "entry nothing(x: fix from hospital) -> fix to hospital { x }\n";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A fenced block of a document.
struct Block {
    /// What stands behind the opening fence.
    kind: String,
    text: String,
    /// `README.md:12`.
    place: String,
}

fn blocks(path: &str) -> Vec<Block> {
    let text = read(path);
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                let place = format!("{path}:{}", number + 1);
                open = Some(Block { kind: kind.trim().to_string(), text: String::new(), place });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{path}: the last block is not closed");
    blocks
}

/// The codes of a program's diagnostics, sorted, each once; and their messages.
fn codes(place: &str, text: &str) -> (Vec<String>, String) {
    let mut whole = String::new();
    if !text.contains("owners ") {
        whole.push_str(HEADER);
    }
    whole.push_str(text);
    if !text.contains("entry ") {
        whole.push_str(ENTRY);
    }
    let mut sources = Sources::default();
    let file = sources.add(place, whole);
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    assert!(program.is_some() || !diags.is_empty(), "{place}: refused without a word");
    let mut codes: Vec<String> = diags.iter().map(|d| d.code.to_string()).collect();
    codes.sort();
    codes.dedup();
    (codes, smlc::diag::render::render(&diags, &sources, false))
}

#[test]
fn the_programs_in_the_documents_check() {
    let mut checked = 0;
    for path in [
        "README.md",
        "docs/language.md",
        "docs/protocols.md",
        "docs/architecture.md",
        "docs/formats.md",
        "docs/editor.md",
    ] {
        for block in blocks(path) {
            let mut words = block.kind.split_whitespace();
            if words.next() != Some("sml") {
                continue;
            }
            let expected: Vec<String> = match words.next() {
                None => Vec::new(),
                Some("error") => words.map(str::to_string).collect(),
                Some("fragment") => continue,
                Some(other) => panic!("{}: `sml {other}` is no kind of block", block.place),
            };
            let (found, messages) = codes(&block.place, &block.text);
            assert_eq!(found, expected, "{}:\n{messages}", block.place);
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} programs found");
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let readme = read("README.md");
    let path = "examples/digits/digits.sml";
    assert!(readme.contains(read(path).trim_end()), "README.md does not show {path} as it is");
    // The settings, but for the comment on top.
    let toml = read("examples/digits/digits.toml");
    let (_, settings) = toml.split_once("\n\n").unwrap_or_default();
    assert!(readme.contains(settings.trim_end()), "README.md does not show examples/digits/digits.toml as it is");
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

#[test]
fn links_between_documents_lead_somewhere() {
    for path in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/language.md",
        "docs/protocols.md",
        "docs/architecture.md",
        "docs/formats.md",
        "docs/editor.md",
        "editors/vscode/README.md",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path).parent().unwrap().to_path_buf();
        // Programs have `](` of their own: only prose is looked at.
        let text = read(path);
        let prose = text.split("\n```").step_by(2);
        for link in prose.flat_map(|p| p.split("](").skip(1)).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{path}: `{link}` leads nowhere");
            }
        }
    }
}
