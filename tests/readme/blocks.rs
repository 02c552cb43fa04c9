//! Fenced blocks of documents, and what their first lines ask for.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use smlc::hir;
use smlc::span::Sources;

const HEADER: &str = "owners hospital, vendor;\nfixed(int = 16, frac = 16);\n";
const ENTRY: &str = "entry nothing(x: fix from hospital) -> fix to hospital { x }\n";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
}

/// Every Markdown file below the given folders and in the root, relative to the root.
pub fn documents(folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        markdown(&root().join(folder), &mut found);
    }
    found.sort();
    found.iter().map(|p| p.strip_prefix(root()).unwrap().to_string_lossy().into_owned()).collect()
}

/// A fenced block of a document.
pub struct Block {
    /// What stands behind the opening fence.
    pub kind: String,
    pub text: String,
    /// `README.md:12`.
    pub place: String,
}

pub fn blocks(path: &str) -> Vec<Block> {
    blocks_of(path, &read(path))
}

pub fn blocks_of(name: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                let place = format!("{name}:{}", number + 1);
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
    assert!(open.is_none(), "{name}: the last block is not closed");
    blocks
}

/// Whether expectations are to be written anew.
pub fn bless() -> bool {
    std::env::var_os("SMLC_BLESS").is_some_and(|value| value == "1")
}

/// Puts one text of a document in place of another. Tests run side by side, so only one writes at a time.
pub fn rewrite(path: &str, old: &str, new: &str) {
    static WRITING: Mutex<()> = Mutex::new(());
    let guard = WRITING.lock().unwrap();
    std::fs::write(root().join(path), read(path).replace(old, new)).unwrap();
    drop(guard);
}

/// A program of a document with the header and the entry that it leaves out.
pub fn whole(text: &str) -> String {
    let mut whole = String::new();
    if !text.contains("owners ") {
        whole.push_str(HEADER);
    }
    whole.push_str(text);
    if !text.contains("entry ") {
        whole.push_str(ENTRY);
    }
    whole
}

/// The codes of a program's diagnostics, sorted, each once; and their messages.
fn codes(place: &str, text: String) -> (Vec<String>, String) {
    let mut sources = Sources::default();
    let file = sources.add(place, text);
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    assert!(program.is_some() || !diags.is_empty(), "{place}: refused without a word");
    let mut codes: Vec<String> = diags.iter().map(|d| d.code.to_string()).collect();
    codes.sort();
    codes.dedup();
    (codes, smlc::diag::render::render(&diags, &sources, false))
}

/// Checks a block of `sml`; false when it is of a kind that is not looked at.
///
/// `sml` must check, without warnings; `sml error E0401 E0302` must give exactly these codes; in both a header and an
/// entry are added where there is none. `sml lib` is a file of a library, which has neither. `sml file NAME` must
/// check as it stands, and `sml file NAME error E0401` give these codes; the page's commands find it under its name.
/// `sml fragment` is not looked at.
pub fn check(block: &Block) -> bool {
    let mut words = block.kind.split_whitespace();
    if words.next() != Some("sml") {
        return false;
    }
    let (text, expected) = match words.next() {
        None => (whole(&block.text), Vec::new()),
        Some("error") => (whole(&block.text), words.map(str::to_string).collect()),
        Some("lib") => (block.text.clone(), Vec::new()),
        // The name, perhaps `error`, the codes.
        Some("file") => (block.text.clone(), words.skip(2).map(str::to_string).collect()),
        Some("fragment") => return false,
        Some(other) => panic!("{}: `sml {other}` is no kind of block", block.place),
    };
    let (found, messages) = codes(&block.place, text);
    assert_eq!(found, expected, "{}:\n{messages}", block.place);
    true
}
