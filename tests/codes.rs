//! Every diagnostic code appears in the expected output of some golden case.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use smlc::diag::Code;

fn outputs(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            outputs(&path, all);
        } else if path.extension().is_some_and(|e| e == "out") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_code_has_a_golden() {
    let mut all = String::new();
    outputs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), &mut all);
    let missing: Vec<String> = Code::ALL
        .iter()
        .map(ToString::to_string)
        .filter(|code| !["error", "warning"].iter().any(|word| all.contains(&format!("{word}[{code}]"))))
        .collect();
    assert!(missing.is_empty(), "no golden shows {missing:?}");
}
