//! The files of `editors/vscode` are read by nothing in the crate: here they are held to the language.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use smlc::syntax::token::KEYWORDS;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("editors/vscode")
}

fn json(path: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn grammar() -> Value {
    json("syntaxes/sml.tmLanguage.json")
}

/// The words of the patterns `\b(a|b)\b` in one part of the grammar, in order.
fn words(part: &str) -> Vec<String> {
    let grammar = grammar();
    let patterns = grammar["repository"][part]["patterns"].as_array().unwrap().clone();
    let list = |pattern: &Value| {
        let text = pattern["match"].as_str().unwrap();
        let inner = text.strip_prefix(r"\b(").and_then(|t| t.strip_suffix(r")\b"));
        inner
            .unwrap_or_else(|| panic!("`{text}` is no list of words"))
            .split('|')
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    patterns.iter().flat_map(list).collect()
}

#[test]
fn the_grammar_has_the_keywords_of_the_lexer() {
    let mut found = words("keywords");
    found.extend(words("constants"));
    found.sort();
    assert_eq!(found, KEYWORDS, "each keyword stands in one list");
    assert_eq!(words("types"), ["fix", "int", "bool", "nat"]);
}

/// Every `include` leads somewhere, and every part is included.
#[test]
fn the_grammar_hangs_together() {
    fn includes(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(
                    map.get("include").and_then(Value::as_str).map(|name| name.trim_start_matches('#').to_string()),
                );
                map.values().for_each(|v| includes(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| includes(v, found)),
            _ => {}
        }
    }
    let grammar = grammar();
    let mut found = BTreeSet::new();
    includes(&grammar, &mut found);
    let parts: BTreeSet<String> = grammar["repository"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(found, parts);
}

#[test]
fn the_manifest_names_what_is_there() {
    let manifest = json("package.json");
    let language = &manifest["contributes"]["languages"][0];
    assert_eq!((&language["id"], &language["extensions"][0]), (&"sml-smlc".into(), &".sml".into()));
    assert_eq!(manifest["contributes"]["grammars"][0]["scopeName"], grammar()["scopeName"]);
    assert_eq!(manifest["contributes"]["grammars"][0]["language"], language["id"]);
    for file in [&manifest["main"], &language["configuration"], &manifest["contributes"]["grammars"][0]["path"]] {
        assert!(folder().join(file.as_str().unwrap()).exists(), "{file}");
    }
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    let configuration = json("language-configuration.json");
    assert_eq!(configuration["comments"]["lineComment"], "//");
    let client = std::fs::read_to_string(folder().join("extension.js")).unwrap();
    for said in ["args: [\"lsp\"]", "\"smlc/source\"", "\"smlc-std\"", "language: \"sml-smlc\""] {
        assert!(client.contains(said), "extension.js does not say {said}");
    }
}
