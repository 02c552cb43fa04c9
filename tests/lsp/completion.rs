//! What is offered at a cursor.

use serde_json::Value;

use crate::client::{Client, cursor};

const HEAD: &str = "// \u{1d11e}
owners hospital, vendor;
use nn::{Conv, Linear, conv2d, linear};

struct Net[C] { fc: Linear[C, 2], pair: (fix, int[C]), scale: fix }

/// Adds.
fn add[N](x: fix[N], y: fix[N], times: nat = 1) -> fix[N] { x + y * times }

";

fn offers(text: &str) -> Vec<Value> {
    let (text, place) = cursor(text);
    let found = Client::open(&text).at("textDocument/completion", place);
    found.as_array().unwrap_or_else(|| panic!("{text}: {found}")).clone()
}

fn labels(text: &str) -> Vec<String> {
    offers(text).iter().map(|item| item["label"].as_str().unwrap().to_string()).collect()
}

/// The labels in the body of an entry with some parameters.
fn body(text: &str) -> Vec<String> {
    labels(&entry(text))
}

fn entry(text: &str) -> String {
    format!(
        "{HEAD}entry run[N](a: fix[N, 3] from hospital, net: Net[3] from vendor) -> fix[N, 2] to hospital {{ {text} }}\n"
    )
}

#[track_caller]
fn has(found: &[String], wanted: &[&str], unwanted: &[&str]) {
    for name in wanted {
        assert!(found.iter().any(|f| f == name), "`{name}` is missing in {found:?}");
    }
    for name in unwanted {
        assert!(!found.iter().any(|f| f == name), "`{name}` is too much in {found:?}");
    }
}

#[test]
fn names_in_scope() {
    let found = body("let b = a; { let hidden = b; } for i in 0..3 { ^ } let later = b;");
    has(
        &found,
        &["a", "b", "net", "N", "i", "add", "conv2d", "sum", "select", "Net", "nn", "let", "for", "if", "reveal"],
        &["hidden", "later", "x", "times", "run", "relu", "smlc_cursor", "entry", "fn"],
    );
    let found = body("let c = a + ^;");
    has(&found, &["a", "net", "add", "true"], &["c", "let", "for"]);
    let found = labels(&format!("{HEAD}fn g[M](q: fix[M]) -> fix[M] {{ let r = ^; r }}\n"));
    has(&found, &["q", "M"], &["a", "net", "N", "r"]);
}

#[test]
fn details_and_comments() {
    let found = offers(&entry("let n = 2 * N; a^"));
    let item = |label: &str| found.iter().find(|i| i["label"] == label).unwrap_or_else(|| panic!("{label}: {found:?}"));
    assert_eq!(item("a")["detail"], "fix[N, 3]");
    assert_eq!(item("n")["detail"], "nat = 2*N");
    assert_eq!(item("add")["detail"], "fn add[N](x: fix[N], y: fix[N], times: nat = 1) -> fix[N]");
    assert_eq!(item("add")["documentation"]["value"], "Adds.");
    assert_eq!((&item("add")["kind"], &item("a")["kind"], &item("Net")["kind"]), (&3.into(), &6.into(), &22.into()));
    assert_eq!(item("nn")["insertText"], "nn::");
    assert!(item("a")["sortText"].as_str() < item("add")["sortText"].as_str());
}

#[test]
fn fields() {
    assert_eq!(body("let w = net.^;"), ["fc", "pair", "scale"]);
    assert_eq!(body("let w = net.s^; w"), ["fc", "pair", "scale"]);
    assert_eq!(body("let w = net.^ let v = 1; w"), ["fc", "pair", "scale"]);
    assert_eq!(body("net.^"), ["fc", "pair", "scale"]);
    assert_eq!(body("a |> linear(net.fc.^)"), ["weight", "bias"]);
    assert_eq!(body("a |> linear(net.fc.^"), ["weight", "bias"], "nothing is closed");
    assert_eq!(body("let b = [a, (net.^ 3\n let c = 4; c"), ["fc", "pair", "scale"]);
    assert_eq!(body("net.^ }\nfn g( {"), ["fc", "pair", "scale"], "a mistake elsewhere");
    assert_eq!(body("let w = net.pair.^;"), ["0", "1"]);
    assert_eq!(body("let w = a.^;"), [""; 0]);
    let found = offers(&entry("net.^"));
    assert_eq!(found[0]["detail"], "Linear[3, 2]");
    assert_eq!(body("Net { ^ }"), ["fc", "pair", "scale"]);
    assert_eq!(body("Net { pair: net.pair, ^ }"), ["fc", "scale"]);
    has(&body("if N == 2 { ^ }"), &["a", "let"], &["fc"]);
    has(&labels(&format!("{HEAD}fn same(net: Net[3]) -> Net {{ ^ }}\n")), &["net", "let"], &["fc"]);
}

#[test]
fn modules_and_owners() {
    has(&labels("owners a;\nuse ^"), &["nn", "math", "loss", "optim"], &["prelude", "main"]);
    has(&labels("owners a;\nuse nn::{relu, ^}"), &["Conv", "relu", "max_pool"], &["sum", "nn"]);
    has(&body("a |> nn::^"), &["relu", "flatten", "Conv"], &["add", "a"]);
    let found = body("a |> ^");
    has(&found, &["add", "conv2d", "sum", "nn"], &["a", "net", "Net", "let"]);
    assert_eq!(labels("owners hospital, vendor;\nentry e(x: fix from ^"), ["hospital", "vendor", "shares"]);
    assert_eq!(labels("owners hospital;\nentry e(x: fix from hospital) -> fix to ^"), ["hospital", "all", "shares"]);
    assert_eq!(body("reveal a to ^;"), ["hospital", "vendor", "all", "shares"]);
    assert_eq!(labels("owners hospital;\nentry e(x: fix ^"), ["from"]);
}

#[test]
fn arguments_by_name() {
    let found = body("add(a[0], ^)");
    has(&found, &["y =", "times =", "a", "net"], &["x ="]);
    let found = body("a[0] |> add(y = a[1], ^)");
    has(&found, &["times ="], &["x =", "y ="]);
    let found = body("a |> nn::max_pool(^)");
    has(&found, &["k =", "stride =", "pad ="], &["x ="]);
    has(&body("add(a[0], y = ^)"), &["a"], &["y =", "times ="]);
    let found = offers(&entry("add(a[0], ^)"));
    assert_eq!((&found[0]["insertText"], &found[0]["detail"]), (&"y = ".into(), &"y: fix[N]".into()));
    assert_eq!(found[1]["detail"], "times: nat = 1");
}

#[test]
fn types_and_words() {
    has(&labels(&format!("{HEAD}fn g[M](q: ^")), &["fix", "int", "bool", "nat", "Net", "Conv"], &["add", "let"]);
    has(&labels(&format!("{HEAD}fn g[M](q: fix[^]) -> fix[M] {{ q }}\n")), &["M"], &["add"]);
    has(&body("let w: ^ = a;"), &["fix", "Net", "N"], &["a", "let"]);
    assert_eq!(labels("^"), ["owners", "fixed", "use", "struct", "fn", "entry"]);
    assert_eq!(labels("owners a;\nfixed(^"), ["int", "frac", "ring"]);
    for nothing in ["// a ^", "let ^", "12^", "1.5^"] {
        assert_eq!(body(&format!("{nothing}\n")), [""; 0], "{nothing}");
    }
}
