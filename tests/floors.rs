//! The rules of the source tree: modules import only from floors below, only outer floors do IO, files stay readable.

use std::path::{Path, PathBuf};

mod files;

/// Top-level modules by floor; those of one row from 6 on do not know each other.
const FLOORS: &[&[&str]] = &[
    &["span", "diag", "id", "shape", "fixed", "label"],
    &["syntax"],
    &["hir"],
    &["graph"],
    &["pass"],
    &["plan"],
    &["backend", "net", "data"],
    &["run", "serve", "lsp"],
    &["cli", "main"],
];
/// Siblings on this floor must not import each other.
const STRANGERS: usize = 6;
/// The modules that may open files and sockets.
const DOES_IO: &[&str] = &["cli", "main", "run", "serve", "net", "data"];
const MAX_LINES: usize = 800;

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|row| row.contains(&module))
}

/// The top-level module of a file under `src`: `syntax` of `syntax/parser.rs`, `span` of `span.rs`.
fn module(path: &Path) -> String {
    let first = path.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    first.unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// The code of a line, without a comment behind it.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// The top-level modules named in one text behind `crate::`, also in `crate::{a, b::c}`.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => found.push(first_word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.push(first_word(&list[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What is wrong with one file; `path` is relative to `src`.
fn complaints(path: &Path, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let own = module(path);
    let stripped: Vec<&str> = text.lines().map(code).collect();
    let whole = stripped.join("\n");

    if !text.starts_with("//!") {
        out.push("does not open with `//!`".to_owned());
    }
    if text.lines().count() > MAX_LINES {
        out.push(format!("has more than {MAX_LINES} lines"));
    }
    if own != "lib" {
        match floor(&own) {
            None => out.push(format!("`{own}` stands on no floor")),
            Some(here) => {
                for import in imports(&whole) {
                    match floor(&import) {
                        Some(there) if there > here => out.push(format!("imports `{import}` from floor {there}")),
                        Some(there) if there == STRANGERS && here == STRANGERS && import != own => {
                            out.push(format!("imports its sibling `{import}`"));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    for (index, line) in stripped.iter().enumerate() {
        let io = ["std::fs", "std::net", "tokio::net", "tokio::fs"].iter().any(|path| line.contains(path));
        if io && !DOES_IO.contains(&own.as_str()) {
            out.push(format!("line {}: does IO", index + 1));
        }
        if ["todo!(", "unimplemented!("].iter().any(|mark| line.contains(mark)) {
            out.push(format!("line {}: is unfinished", index + 1));
        }
    }
    for (index, line) in text.lines().enumerate() {
        if line.contains(concat!("../", "shared")) {
            out.push(format!("line {}: points out of the project", index + 1));
        }
    }
    out
}

#[test]
fn every_source_file_keeps_the_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    for file in files::all(&src).iter().filter(|path| is_source(path)) {
        let path = file.strip_prefix(&src).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        found.extend(
            complaints(path, &text).into_iter().map(|complaint| format!("src/{}: {complaint}", path.display())),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let check = |path: &str, text: &str| complaints(Path::new(path), &format!("//! Doc.\n{text}\n"));
    assert_eq!(check("syntax/parser.rs", "use crate::hir::Type;"), ["imports `hir` from floor 2"]);
    assert_eq!(check("hir/mod.rs", "let x = crate::graph::Op::Add;"), ["imports `graph` from floor 3"]);
    assert_eq!(
        check("graph/mod.rs", "use crate::{\n    hir::{plan, Type},\n    plan::Round,\n};"),
        ["imports `plan` from floor 5"]
    );
    assert_eq!(check("net/tcp.rs", "use crate::backend::Backend;"), ["imports its sibling `backend`"]);
    assert_eq!(check("net/tcp.rs", "use crate::net::Frame; use crate::plan::Plan; use std::net::TcpStream;"), [""; 0]);
    assert_eq!(check("plan/cost.rs", "use std::fs; // why"), ["line 2: does IO"]);
    assert_eq!(check("plan/cost.rs", "// use crate::cli; todo!()"), [""; 0]);
    assert_eq!(check("pass/cse.rs", concat!("to", "do!()")), ["line 2: is unfinished"]);
    assert_eq!(check("attic/mod.rs", ""), ["`attic` stands on no floor"]);
    assert_eq!(check("id.rs", concat!("// see ../", "shared/x.md")), ["line 2: points out of the project"]);
    assert_eq!(complaints(Path::new("id.rs"), "fn f() {}\n"), ["does not open with `//!`"]);
    assert_eq!(check("id.rs", &"\n".repeat(MAX_LINES)), [format!("has more than {MAX_LINES} lines")]);
}
