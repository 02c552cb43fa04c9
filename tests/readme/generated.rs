//! Pages of the manual that are made from the code: the index of diagnostics and the standard library.
//! `SMLC_BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use smlc::diag::Code;
use smlc::diag::codes::GROUPS;
use smlc::span::Sources;
use smlc::syntax::{ast, parser};

use super::blocks::{bless, read, root};

fn compare(path: &str, wanted: &str) {
    if bless() {
        std::fs::write(root().join(path), wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(root().join(path)).unwrap_or_default();
    if found != wanted {
        let diff = similar::TextDiff::from_lines(found.as_str(), wanted);
        let diff = diff.unified_diff().context_radius(2).header("committed", "generated").to_string();
        panic!("{path} is stale; `SMLC_BLESS=1 cargo test --test readme` writes it anew\n{diff}");
    }
}

#[test]
fn the_index_of_diagnostics() {
    let mut out = String::from(
        "<!-- Made from src/diag by tests/readme; do not edit. -->\n\n# Diagnostics\n\n\
         Every message has a code that stays the same. `smlc explain E0401` prints what stands here.\n",
    );
    for (start, name) in GROUPS {
        let entries: Vec<_> = Code::ALL.iter().map(|c| c.entry()).filter(|e| e.code.starts_with(start)).collect();
        let list: Vec<String> =
            entries.iter().map(|e| format!("[{}](#{})", e.code, e.code.to_ascii_lowercase())).collect();
        write!(out, "\n## {start}: {name}\n\n{}\n", list.join(" · ")).unwrap();
        for entry in entries {
            let sentence = format!("{}{}", entry.title[..1].to_uppercase(), &entry.title[1..]);
            write!(out, "\n### {}\n\n**{sentence}.**\n\n{}", entry.code, entry.text).unwrap();
        }
    }
    compare("docs/src/errors.md", &out);
}

/// The files of the standard library, the prelude first.
fn library() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("stdlib"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".sml").map(str::to_string))
        .collect();
    names.sort_by_key(|name| (name != "prelude", name.clone()));
    names
}

/// A declaration without its documentation and its body.
fn signature(text: &str, item: &ast::Item, sources: &Sources) -> String {
    let (span, body) = match item {
        ast::Item::Struct(s) => (s.span, None),
        ast::Item::Fn(f) => (f.span, f.body.as_ref().map(|b| b.span)),
        ast::Item::Entry(e) => (e.span, Some(e.body.span)),
    };
    let end = body.map_or(span.end, |b| b.start) as usize;
    assert_eq!(sources.file(span.file).text, text);
    let lines = text[span.start as usize..end].lines().filter(|line| !line.trim_start().starts_with("///"));
    let lines: Vec<&str> = lines.collect();
    lines.join("\n").trim().trim_end_matches(';').to_string()
}

/// The anchor of the next heading of this title.
fn anchor(seen: &mut BTreeMap<String, usize>, title: &str) -> String {
    let id = title.to_ascii_lowercase();
    let count = seen.entry(id.clone()).or_default();
    *count += 1;
    if *count == 1 { id } else { format!("{id}-{}", *count - 1) }
}

#[test]
fn the_standard_library() {
    let mut anchors = BTreeMap::new();
    let mut out = String::from(
        "<!-- Made from stdlib by tests/readme; do not edit. -->\n\n# Standard library\n\n\
         The library is written in the language and built into `smlc`. What it cannot express is `intrinsic`: one operation of the \
         compiler. The [prelude](#prelude) is in scope everywhere; the items of other modules are brought in by \
         `use nn::{conv2d, relu};`.\n",
    );
    for module in library() {
        let text = read(&format!("stdlib/{module}.sml"));
        let mut sources = Sources::default();
        let file = sources.add(module.clone(), text.clone());
        let mut diags = Vec::new();
        let tree = parser::parse(file, &text, &mut diags);
        assert!(diags.is_empty(), "{module}");
        let comment = text.lines().map_while(|line| line.strip_prefix("// ")).collect::<Vec<_>>().join(" ");
        // `Linear` and `linear` have one anchor but for its number, and so have a module and its function.
        anchor(&mut anchors, &module);
        let ids: Vec<String> = tree.items.iter().map(|i| anchor(&mut anchors, &i.name().name)).collect();
        let names = |f: fn(&ast::Item) -> bool| {
            let items = tree.items.iter().zip(&ids).filter(|(item, _)| f(item));
            items.map(|(item, id)| format!("[`{}`](#{id})", item.name().name)).collect::<Vec<_>>().join(" · ")
        };
        write!(out, "\n## {module}\n\n{comment}\n").unwrap();
        for list in [names(|i| matches!(i, ast::Item::Struct(_))), names(|i| matches!(i, ast::Item::Fn(_)))] {
            if !list.is_empty() {
                write!(out, "\n{list}\n").unwrap();
            }
        }
        for item in &tree.items {
            let doc = match item {
                ast::Item::Struct(s) => &s.doc,
                ast::Item::Fn(f) => &f.doc,
                ast::Item::Entry(e) => &e.doc,
            };
            let name = &item.name().name;
            assert!(!doc.is_empty(), "`{module}::{name}` has no documentation");
            let signature = signature(&text, item, &sources);
            write!(out, "\n### {name}\n\n```sml fragment\n{signature}\n```\n\n{doc}\n").unwrap();
        }
    }
    compare("docs/src/stdlib.md", &out);
}
