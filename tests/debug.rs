//! `smlc debug`: magnitudes and headroom are right, an overflow is named on its line, roundings are no partings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn smlc(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smlc"));
    command.current_dir(folder).args(["debug"]).args(arguments).args(["--format", "json"]).env("NO_COLOR", "1");
    command.output().unwrap()
}

/// The report on a program that is `model.sml`, the exit code and what was said.
fn debug(program: &str, arguments: &[&str]) -> (Value, i32, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.sml"), program).unwrap();
    std::fs::write(folder.path().join("rows.csv"), "1,2,3\n-4,5,6\n7,8,9\n10,-11,12\n0.5,0.25,0\n").unwrap();
    let mut all = vec!["model.sml"];
    all.extend(arguments);
    let out = smlc(folder.path(), &all);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let report = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    (report, out.status.code().unwrap(), said)
}

fn line<'r>(report: &'r Value, place: &str) -> &'r Value {
    let place = format!("model.sml:{place}");
    let found = report["lines"].as_array().unwrap().iter().find(|line| line["place"] == place);
    found.unwrap_or_else(|| panic!("no line {place} in {report:#}"))
}

fn flagged(report: &Value, flag: &str) -> Vec<String> {
    let lines = report["lines"].as_array().unwrap().iter();
    lines.filter(|line| line[flag] == true).map(|line| line["place"].as_str().unwrap().to_string()).collect()
}

const OVERFLOW: &str = "\
owners a, b;

use nn::relu;

entry f(x: fix from a, y: fix from b) -> fix to a {
    let p = x * y;
    let s = p * p;
    let r = relu(s);
    r + 1.0
}
";

#[test]
fn an_overflow_is_named_on_its_line() {
    let (report, exit, said) = debug(OVERFLOW, &["--in", "x=20.0", "--in", "y=10.0"]);
    assert_eq!(exit, 1, "{said}");
    assert_eq!(report["first"]["place"], "model.sml:8:13");
    assert_eq!((&report["first"]["run"], &report["first"]["plaintext"]), (&0.0.into(), &40000.0.into()));
    assert_eq!(flagged(&report, "overflows"), ["model.sml:7:13", "model.sml:8:13", "model.sml:9:5"]);
    assert_eq!(flagged(&report, "parts"), ["model.sml:8:13", "model.sml:9:5"]);
    assert!(said.contains("error[E0505]: the run parts from the plaintext: 0 where 40000 belongs"), "{said}");
    assert!(
        said.contains("model.sml:8:13") && said.contains("a magnitude of 40000 leaves the number format"),
        "{said}"
    );

    // A bit more of room, and it is right.
    let wide = OVERFLOW.replace("owners a, b;", "owners a, b;\nfixed(int = 17, frac = 16);");
    let (report, exit, said) = debug(&wide, &["--in", "x=20.0", "--in", "y=10.0"]);
    assert_eq!((exit, &report["first"]), (0, &Value::Null), "{said}");
    assert!(flagged(&report, "overflows").is_empty() && !said.contains("E0"), "{said}");
}

/// In a narrow ring a product has hardly more room than the format, and what does not fit wraps around.
#[test]
fn a_narrow_ring_wraps() {
    let program = "\
owners a, b;
fixed(int = 9, frac = 8, ring = 26);

entry f(x: fix from a, y: fix from b) -> fix to a {
    x * y + 1.0
}
";
    let (report, exit, said) = debug(program, &["--in", "x=60.0", "--in", "y=10.0"]);
    assert_eq!((exit, report["first"]["place"].as_str()), (1, Some("model.sml:5:5")), "{said}");
    assert!(said.contains("a magnitude of 600.0 leaves the number format"), "{said}");
    let (_, exit, said) = debug(program, &["--in", "x=20.0", "--in", "y=10.0"]);
    assert_eq!(exit, 0, "{said}");
}

const LAYERS: &str = "\
owners a, b;

use nn::relu;

entry f[N](x: fix[N, 3] from a, y: fix from b) -> (fix[N, 3] to a, bool[N, 3] to a, int[N] to b) {
    let s = scaled(x, y);
    (scaled(s, y), s < x, argmax(s, axis = 1))
}

fn scaled[N](x: fix[N, 3], y: fix) -> fix[N, 3] {
    x * y
}
";

#[test]
fn magnitudes_headroom_and_errors_are_right() {
    let (report, exit, said) = debug(LAYERS, &["--in", "x=rows.csv", "--in", "y=2.5", "--batch", "2"]);
    assert_eq!((exit, &report["rows"], &report["runs"]), (0, &5.into(), &3.into()), "{said}");
    assert!(said.contains("every intermediate value is opened on this machine"), "{said}");
    // Both calls, 12 * 2.5 * 2.5, products before their truncations and after: four times 15 numbers.
    let product = line(&report, "11:5");
    assert_eq!((&product["largest"], &product["numbers"]), (&75.0.into(), &60.into()));
    let headroom = product["headroom"].as_f64().unwrap();
    assert!((headroom - (32768.0_f64 / 75.0).log2()).abs() < 1e-9, "{headroom}");
    let (max, mean) = (product["max_error"].as_f64().unwrap(), product["mean_error"].as_f64().unwrap());
    assert!(max < 4.0 / 65536.0 && mean <= max, "{max} {mean}");
    // A difference that is only compared has a bit more: 12 * 1.5.
    let compared = line(&report, "7:20");
    assert_eq!((&compared["largest"], &compared["whole"], &compared["differ"]), (&18.0.into(), &15.into(), &0.into()));
    assert!((compared["headroom"].as_f64().unwrap() - (65536.0_f64 / 18.0).log2()).abs() < 1e-9);
    let place = line(&report, "7:27");
    assert_eq!((&place["largest"], &place["whole"], &place["differ"]), (&2.0.into(), &5.into(), &0.into()));
}

/// Digits that are lost are found where they begin to matter.
#[test]
fn lost_digits_are_found() {
    let program = "\
owners a, b;

entry f(x: fix from a, y: fix from b) -> fix to a {
    let p = x * y;
    p * 10000.0
}
";
    let data = ["--in", "x=0.003", "--in", "y=0.0025"];
    let (report, exit, said) = debug(program, &data);
    assert_eq!((exit, report["first"]["place"].as_str()), (1, Some("model.sml:5:5")), "{said}");
    assert!(said.contains("raise `frac`") && !said.contains("leaves the number format"), "{said}");
    let (_, exit, said) = debug(program, &[&data[..], &["--tolerance", "2"]].concat());
    assert_eq!(exit, 0, "{said}");
}

const LIBRARY: &str = "\
owners a, b;

use math::{exp_neg, log, reciprocal, rsqrt, sigmoid, sqrt, tanh};
use nn::{gelu, relu, softmax};

entry f[N](x: fix[N, 3] from a, y: fix from b) -> fix[N, 3] to a {
    let p = (x * x + 1.0) * y;
    let roots = reciprocal(p) + sqrt(p) + rsqrt(p) + log(p);
    let turns = sigmoid(x * y) + tanh(x) + gelu(x) + exp_neg(-0.1 * x * x);
    softmax(x * y) + roots + relu(turns) + max_over(x, axis = 1)
}
";

/// What the library computes is no further off than roundings explain, on numbers that it is made for.
#[test]
fn the_library_does_not_part() {
    let (report, exit, said) = debug(LIBRARY, &["--in", "x=rows.csv", "--in", "y=0.75"]);
    assert_eq!((exit, &report["first"]), (0, &Value::Null), "{said}\n{report:#}");
    assert!(flagged(&report, "overflows").is_empty() && !said.contains("E0"), "{said}");
}

/// A function outside of its domain: e^x for x up to 0.
#[test]
fn a_domain_that_is_left_is_named() {
    let wrong = LIBRARY.replace("exp_neg(-0.1 * x * x)", "exp_neg(x * x * y)");
    let (report, exit, said) = debug(&wrong, &["--in", "x=rows.csv", "--in", "y=0.75"]);
    assert_eq!((exit, report["first"]["place"].as_str()), (1, Some("model.sml:9:54")), "{said}");
    assert!(said.contains("is outside of its domain") && said.matches("model.sml").count() == 1, "{said}");
}

#[test]
fn the_example_does_not_part() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = smlc(root, &["examples/small_digits/small_digits.sml", "--take", "5", "--batch", "3"]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), &report["first"]), (Some(0), &Value::Null));
    assert_eq!(
        (&report["rows"], &report["runs"], report["lines"].as_array().unwrap().len()),
        (&5.into(), &2.into(), 3)
    );
}
