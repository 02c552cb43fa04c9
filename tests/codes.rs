//! Every diagnostic code appears in the expected output of some golden case.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use smlc::diag::Code;

mod files;

#[test]
fn every_code_has_a_golden() {
    let files = files::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let outputs = files.iter().filter(|path| path.extension().is_some_and(|e| e == "out"));
    let all: String = outputs.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let missing: Vec<String> = Code::ALL
        .iter()
        .map(ToString::to_string)
        .filter(|code| !["error", "warning"].iter().any(|word| all.contains(&format!("{word}[{code}]"))))
        .collect();
    assert!(missing.is_empty(), "no golden shows {missing:?}");
}
