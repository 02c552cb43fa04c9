//! The manual as a book: its summary lists every page once, and links lead to pages and headings that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use smlc::diag::Code;

use super::blocks::{blocks, documents, read, root};

/// Prose of a document: what stands outside of fenced blocks. Programs have `](` and `# ` of their own.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// Targets of `[text](target)`, also of `[`code`](target)`; code spans are left out.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_string).collect()
}

/// The anchors of a document's headings, as mdBook and GitHub make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for line in prose(text).lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim();
        let id: String = title
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        let count = counts.entry(id.clone()).or_default();
        found.insert(if *count == 0 { id } else { format!("{id}-{count}") });
        *count += 1;
    }
    found
}

/// A path without `..` and `.` in it.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let mut paths = documents(&["docs", "editors", "examples"]);
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_string));
    let mut count = 0;
    for path in &paths {
        for link in links(&read(path)) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                PathBuf::from(path)
            } else {
                plain(&Path::new(path).parent().unwrap().join(file))
            };
            assert!(root().join(&target).exists(), "{path}: `{link}` leads nowhere");
            if !anchor.is_empty() {
                let text = read(&target.to_string_lossy());
                assert!(anchors(&text).contains(anchor), "{path}: `{link}` leads to no heading");
            }
            count += 1;
        }
    }
    assert!(count > 50, "only {count} links found");
}

/// A page of the book that leads out of it would be a dead link on a server.
#[test]
fn pages_of_the_book_link_within_it() {
    let book = Path::new("docs/src");
    for path in documents(&["docs/src"]) {
        for link in links(&read(&path)) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                let target = plain(&Path::new(&path).parent().unwrap().join(file));
                assert!(target.starts_with(book), "{path}: `{link}` leads out of the book");
            }
        }
    }
}

#[test]
fn the_summary_lists_every_page_once() {
    let mut listed = links(&read("docs/src/SUMMARY.md"));
    listed.sort();
    let pages: Vec<String> = documents(&["docs/src"])
        .iter()
        .filter_map(|path| path.strip_prefix("docs/src/"))
        .filter(|path| *path != "SUMMARY.md")
        .map(str::to_string)
        .collect();
    let mut pages = pages;
    pages.sort();
    assert_eq!(listed, pages);
}

#[test]
fn every_page_starts_with_its_title_and_ends_in_a_line() {
    for path in documents(&["docs/src"]) {
        let text = read(&path);
        assert!(text.starts_with("# ") || text.starts_with("<!-- "), "{path} starts with no title");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path} ends in no line, or in several");
    }
}

/// What a reader sees of a block does not include its kind, so a wrong program says so in its first lines.
#[test]
fn wrong_programs_say_so() {
    let mut count = 0;
    for path in documents(&["docs/src/language", "docs/src/tutorial"]) {
        for block in blocks(&path) {
            let Some(codes) = block.kind.strip_prefix("sml error ") else { continue };
            for (line, code) in block.text.lines().zip(codes.split(' ')) {
                let title = Code::find(code).unwrap().entry().title;
                assert_eq!(line, format!("// {code}: {title}"), "{}", block.place);
                count += 1;
            }
        }
    }
    assert!(count > 20, "only {count} wrong programs found");
}

/// The book colours the words that the language has.
#[test]
fn the_book_knows_the_keywords() {
    let tokens = read("src/syntax/token.rs");
    let words = tokens.split("#[token(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let words: BTreeSet<&str> = words.filter(|w| w.chars().all(|c| c.is_ascii_lowercase())).collect();
    let script = read("docs/theme/sml.js");
    let quoted: BTreeSet<&str> = script.split('"').skip(1).step_by(2).flat_map(str::split_whitespace).collect();
    let missing: Vec<&&str> = words.difference(&quoted).collect();
    assert!(words.len() > 15 && missing.is_empty(), "docs/theme/sml.js does not know {missing:?}");
}

#[test]
fn anchors_are_those_of_mdbook() {
    let found = anchors("# A b\n\n## `conv2d(x, p)`\n\n```sml\n# no\n```\n\n## A b\n");
    assert_eq!(found, ["a-b", "a-b-1", "conv2dx-p"].map(str::to_string).into());
}
