//! Programs and plans at the edges: very deep, very long, very large. Each is accepted, or refused with a clear error, in
//! little time, memory and stack; the tests run on the stack of a test thread, 2 MiB, without optimisation.

#![allow(clippy::print_stdout, reason = "says what took how long")]

use std::collections::BTreeMap;

use smlc::diag::{Diagnostic, render};
use smlc::graph::{self, Graph};
use smlc::hir::{self, Program};
use smlc::pass;
use smlc::plan;
use smlc::span::{FileId, Sources};
use smlc::syntax::{self, dump};

const HEADER: &str = "owners a, b;\nfixed(int = 16, frac = 16);\n";

/// `E0102 message` of each diagnostic.
fn lines(diags: &[Diagnostic]) -> Vec<String> {
    diags.iter().map(|d| format!("{} {}", d.code, d.message)).collect()
}

/// Checks the items with a header; diagnostics are rendered, which must take little, too.
fn check(items: &str) -> Result<Program, Vec<String>> {
    let mut sources = Sources::default();
    let file = sources.add("limits.sml", format!("{HEADER}{items}"));
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    assert!(render(&diags, &sources, false).len() < 100_000, "the messages are long");
    program.ok_or_else(|| lines(&diags))
}

/// The graph of the entry `main`.
fn lowered(items: &str, dims: &[(&str, usize)]) -> Result<Graph, Vec<String>> {
    let program = check(items)?;
    let dims: BTreeMap<String, usize> = dims.iter().map(|(name, n)| ((*name).to_string(), *n)).collect();
    let mut diags = Vec::new();
    let graph = graph::lower::lower(&program, "main", &dims, &mut diags);
    graph.ok_or_else(|| lines(&diags))
}

/// An entry that computes an expression of two scalars.
fn entry(body: &str) -> String {
    format!("entry main(x: fix from a, y: fix from b) -> fix to a {{ {body} }}\n")
}

/// What is said about a program that nests something `depth` times: nothing, or that it is too deep.
fn nested(open: &str, middle: &str, close: &str, depth: usize) -> bool {
    let text = format!(
        "{HEADER}fn f(x: fix, y: fix) -> fix {{ x - y }}\n{}",
        entry(&format!("{}{middle}{}", open.repeat(depth), close.repeat(depth)))
    );
    let mut diags = Vec::new();
    let tree = syntax::parse(FileId(0), &text, &mut diags);
    if diags.is_empty() {
        std::hint::black_box(dump::ast(&tree));
        let formatted = syntax::format(FileId(0), &text).expect("a text without errors is formatted");
        assert_eq!(syntax::format(FileId(0), &formatted), Ok(formatted.clone()));
        let mut graph = lowered(&text[HEADER.len()..], &[]).unwrap_or_else(|e| panic!("{open}: {e:?}"));
        pass::run(&mut graph, None, &[]).expect("the passes keep the graph's rules");
        return true;
    }
    assert_eq!(lines(&diags), ["E0102 an expression is too deeply nested here"], "{open}");
    false
}

#[test]
fn deep_programs() {
    for (open, middle, close) in [
        ("(", "x", ")"),
        ("-", "x", ""),
        ("x + ", "y", ""),
        ("x * y - ", "x", ""),
        ("f(x, ", "y", ")"),
        ("if 1 < 2 { ", "x", " } else { y }"),
        ("if 2 < 1 { x } else ", "{ y }", ""),
        ("{", "x", "}"),
        ("{ let z = ", "x", "; z }"),
        ("((x, ", "y", ").1)"),
        ("(x, ", "y", ").1"),
        ("[x, ", "y", "][1]"),
        ("y |> f(", "x", ")"),
        ("((((", "x", " + y + y + y) - x) - x) - x)"),
    ] {
        let is_accepted = |depth: &usize| nested(open, middle, close, *depth);
        // Steps of 1.3, then the last ones one by one.
        let steps = (0..).map(|n| 1.3_f64.powi(n) as usize);
        let near = steps.take_while(is_accepted).last().unwrap_or(0);
        let deepest = (near..).take_while(is_accepted).last().unwrap_or(0);
        println!("{open} {deepest}");
        assert!(deepest >= 15, "`{open}` nests {deepest} times");
        assert!(!nested(open, middle, close, 100_000));
    }
}

/// The only error's code and message.
fn only(result: Result<impl Sized, Vec<String>>) -> String {
    match result {
        Ok(_) => "accepted".to_string(),
        Err(errors) if errors.len() == 1 => errors[0].clone(),
        Err(errors) => format!("{} errors: {}", errors.len(), errors[..errors.len().min(3)].join("; ")),
    }
}

fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let result = run();
    println!("{:6.2} s {what}", start.elapsed().as_secs_f64());
    result
}

#[test]
fn large_sizes() {
    let shaped =
        |shape: &str| format!("entry main[N](x: fix{shape} from a, n: fix[N] from a) -> fix{shape} to a {{ -x }}\n");
    for (shape, expected) in [
        ("[4294967296]", "accepted"),
        ("[4294967297]", "E0308 a tensor of shape `[4294967297]` has more than 4294967296 elements"),
        ("[1000000000000]", "E0308 a tensor of shape `[1000000000000]` has more than 4294967296 elements"),
        ("[65536, 65537]", "E0308 a tensor of shape `[65536, 65537]` has more than 4294967296 elements"),
        (
            "[4294967296, 4294967296]",
            "E0308 a tensor of shape `[4294967296, 4294967296]` has more than 4294967296 elements",
        ),
        ("[9223372036854775807]", "E0308 a tensor of shape `[9223372036854775807]` has more than 4294967296 elements"),
        (
            "[9223372036854775807 + 1]",
            "2 errors: E0308 a size is too large here, or too long a formula; E0308 a size is too large here, or too long a formula",
        ),
        ("[9223372036854775807 * N]", "E0308 a size comes out too large for these sizes"),
        ("[N * N * N * N]", "E0308 a tensor of shape `[10000000000000000]` has more than 4294967296 elements"),
        ("[N * N * N * N * N]", "E0308 a size comes out too large for these sizes"),
    ] {
        assert_eq!(only(lowered(&shaped(shape), &[("N", 10_000)])), expected, "{shape}");
    }
    let too_large = "E0308 a size comes out too large for these sizes";
    assert_eq!(only(lowered(&shaped("[1]"), &[("N", usize::MAX)])), too_large);
    assert!(only(lowered(&shaped("[1]"), &[("N", 1 << 40)])).contains("more than 4294967296 elements"));
    let number = |body: &str| only(check(&format!("fn f(n: nat) -> int {{ {body} }}\n")));
    assert_eq!(number("9223372036854775807 + 1"), "E0308 a size is too large here, or too long a formula");
    assert_eq!(number("-9223372036854775807 - 2"), "E0308 a size is too large here, or too long a formula");
    assert_eq!(number("9223372036854775807 + n - n"), "accepted");
    let lines = check("entry main(x: [fix; 1000000000] from a) -> fix to a { x[5] }\n").err().unwrap_or_default();
    assert_eq!(lines, ["E0304 the length `1000000000` of an array in an input must be a number from 1 to 65536"]);
    let pool = |side: usize, k: &str| {
        let entry = format!("entry main(x: fix[1, 1, 8, 8] from a, y: fix from b) -> fix[1, 1, {side}, {side}] to a");
        only(lowered(&format!("use nn::max_pool;\n{entry} {{ max_pool(x * y, {k}) }}\n"), &[]))
    };
    let bad = "E0308 a window needs a size and a stride from 1 to 65536, and padding from 0";
    assert_eq!(pool(9, "2, stride = 1, pad = 1"), "accepted");
    assert_eq!(pool(10, "1, stride = 1, pad = 1"), bad);
    assert_eq!(pool(9, "2000000000, stride = 1, pad = 1000000000"), bad);
    assert_eq!(pool(1, "2, stride = 1000000000"), bad);
}

#[test]
fn long_files() {
    let long = timed("1 MB of + 1", || only(check(&entry(&format!("x{}", " + 1.0".repeat(150_000))))));
    assert_eq!(long, "E0102 an expression is too deeply nested here");
    let parens = timed("1 MB of (", || only(check(&entry(&"(".repeat(1_000_000)))));
    assert_eq!(parens, "E0102 an expression is too deeply nested here");
    let many = format!("var h = x; {} h", "h = h + y;\n".repeat(30_000));
    timed("300 kB of statements", || assert_eq!(only(check(&entry(&many))), "accepted"));
    timed("format them", || assert!(syntax::format(FileId(0), &format!("{HEADER}{}", entry(&many))).is_ok()));
    let typed = repeated(3_000, |i| format!("let v{i}: fix = x;\n"));
    timed("typed variables", || assert_eq!(only(check(&entry(&format!("{typed} y")))), "accepted"));
    let tuple = format!("let t = ({}); x", "x, ".repeat(100_000));
    let tuple = timed("a tuple of 100,000", || only(check(&entry(&tuple))));
    assert_eq!(tuple, "E0307 a value of more than 65536 tensors is not compiled");
    let array = format!("let t = [{}]; t[7]", "x, ".repeat(60_000));
    timed("an array of 60,000", || assert_eq!(only(check(&entry(&array))), "accepted"));
    let mixed = format!("let t = ({}); t", "x, ".repeat(60_000));
    let mixed = timed("a tuple of another type than the result", || only(check(&entry(&mixed))));
    assert!(mixed.starts_with("E0301 the result is `(fix, fix, ") && mixed.len() < 1000, "{mixed}");
    let structs = repeated(10_000, |i| format!("struct S{i} {{ a: fix }}\n"));
    timed("10,000 structs", || assert_eq!(only(check(&(structs + &entry("x")))), "accepted"));
    let fields = repeated(10_000, |i| format!("f{i}: fix, "));
    let missing = format!("struct S {{ {fields} }}\n{}", entry("let s = S { f0: x }; s.f0"));
    let missing = timed("10,000 fields, one given", || only(check(&missing)));
    assert!(missing.ends_with("and 9975 more") && missing.len() < 500, "{missing}");
    let functions = repeated(5_000, |i| format!("fn f{i}(x: fix) -> fix {{ x + {i}.0 }}\n"));
    timed("5,000 functions", || assert_eq!(only(check(&(functions + &entry("f7(x)")))), "accepted"));
    let name = "n".repeat(300_000);
    let unknown = timed("a name of 300,000 letters", || only(check(&entry(&format!("{name} + x")))));
    assert!(unknown.starts_with("E0201 there is no `nnn") && unknown.len() < 1000, "{unknown}");
    let mistaken = format!("let {name} = x; {name}m");
    timed("two of them", || assert!(only(check(&entry(&mistaken))).starts_with("E0201")));
}

#[test]
fn many_mistakes() {
    let unknown =
        timed("10,000 unknown names", || only(check(&entry(&format!("{} x", "let v = unknown;\n".repeat(10_000))))));
    assert!(unknown.starts_with("10000 errors: E0201"), "{unknown}");
    // One character is told once a line.
    let characters = timed("200 kB of characters", || only(check(&entry(&"# ".repeat(100_000)))));
    assert!(characters.starts_with("E0101"), "{characters}");
    let lines = timed("100,000 lines of one character", || only(check(&entry(&"#\n".repeat(100_000)))));
    assert!(lines.starts_with("100000 errors: E0101"), "{lines}");
    let syntax = timed("10,000 syntax errors", || only(check(&entry(&"let = 3;\n".repeat(10_000)))));
    assert!(syntax.contains("errors: E0102"), "{syntax}");
    let one_line = timed("10,000 in a line", || only(check(&entry(&"let = 3; ".repeat(10_000)))));
    assert!(one_line.contains("errors: E0102"), "{one_line}");
    let late = format!("{} {}", "h = h + y;\n".repeat(20_000), "let = 3;\n".repeat(200));
    let late = timed("errors at the end of a long file", || only(check(&entry(&format!("var h = x; {late} h")))));
    assert!(late.contains("errors: E0102"), "{late}");
    let line = format!("{HEADER}{}", entry(&"let v = x; ".repeat(50_000)));
    timed("tokens of a line", || assert!(dump::tokens(&line).contains("\n3:5500")));
    let open = timed("100,000 open brackets", || only(check(&"fn f(x: [".repeat(30_000))));
    assert!(open.contains("E0102"), "{open}");
}

#[test]
fn what_doubles() {
    let chain = |count: usize, line: &dyn Fn(usize) -> String| repeated(count, |i| line(i + 1));
    let tuples = format!("let t0 = (x, y);\n{} x", chain(60, &|i| format!("let t{i} = (t{0}, t{0});\n", i - 1)));
    let tuples = timed("tuples", || only(check(&entry(&tuples))));
    assert!(tuples.contains("E0307 a value of more than 65536 tensors is not compiled"), "{tuples}");
    let arrays = format!("let t0 = [x, y];\n{} x", chain(60, &|i| format!("let t{i} = [t{0}, t{0}];\n", i - 1)));
    let arrays = timed("arrays", || only(check(&entry(&arrays))));
    assert!(arrays.contains("E0307 a value of more than 65536 tensors is not compiled"), "{arrays}");
    let structs = chain(60, &|i| format!("struct S{i} {{ a: S{0}, b: S{0} }}\n", i - 1));
    let structs =
        format!("struct S0 {{ a: fix }}\n{structs}entry main(s: S60 from a, y: fix from b) -> fix to a {{ y }}\n");
    assert_eq!(timed("structs", || only(check(&structs))), "E0307 a value of more than 65536 tensors is not compiled");
    let calls = chain(60, &|i| format!("fn f{i}(x: fix) -> fix {{ f{0}(x) + f{0}(x) }}\n", i - 1));
    let calls = format!("fn f0(x: fix) -> fix {{ x }}\n{calls}{}", entry("f60(x)"));
    let calls = timed("calls", || only(check(&calls)));
    assert_eq!(calls, "E0307 the calls and loops of entry `main` are too many, or too deep in one another");
    let sizes = chain(60, &|i| format!("let n{i} = n{0} * n{0};\n", i - 1));
    let sizes = timed("sizes", || only(check(&format!("fn f(n0: nat) -> int {{ {sizes} n60 }}\n"))));
    assert!(sizes.contains("E0308 a size is too large here, or too long a formula"), "{sizes}");
    let sums = repeated(60, |i| format!("n{i} + "));
    let params = repeated(60, |i| format!("n{i}: nat, "));
    let sums = timed("sums", || only(check(&format!("fn f({params}) -> int {{ let s = {sums}1; s * s * s * s }}\n"))));
    assert!(sums.contains("E0308 a size is too large here, or too long a formula"), "{sums}");
    let squares =
        "fn f[N](x: fix[N]) -> fix[N * N] { reshape(matmul(reshape(x, [N, 1]), reshape(x, [1, N])), [N * N]) }\n";
    let squares = format!("{squares}fn g[N](x: fix[N]) -> fix {{ let y = x{}; y[0] }}\n", " |> f".repeat(60));
    let squares = timed("shapes", || only(check(&squares)));
    assert!(squares.contains("E0308 a size is too large here, or too long a formula"), "{squares}");
    let loops =
        repeated(30, |i| format!("for _ in 0..2 {{ v{i} = y; ",)) + &repeated(30, |i| format!("v{i} = x * y; }} "));
    let loops = format!("{}{loops} x", repeated(30, |i| format!("var v{i} = x;\n")));
    let loops = timed("loops", || only(lowered(&entry(&loops), &[])));
    assert!(loops.contains("E0307"), "{loops}");
}

#[test]
fn long_chains() {
    let chain = |count: usize, line: &dyn Fn(usize) -> String| repeated(count, |i| line(i + 1));
    let calls = |n: usize| {
        let calls = chain(n, &|i| format!("fn f{i}(x: fix) -> fix {{ f{}(x) }}\n", i - 1));
        format!("fn f0(x: fix) -> fix {{ x }}\n{calls}{}", entry(&format!("f{n}(x)")))
    };
    assert_eq!(timed("90 calls", || only(lowered(&calls(90), &[]))), "accepted");
    let deep = timed("5,000 calls", || only(check(&calls(5_000))));
    assert_eq!(deep, "E0307 the calls of `f100` go more than 100 functions deep");
    let structs = |n: usize| {
        let structs = chain(n, &|i| format!("struct S{i} {{ a: S{} }}\n", i - 1));
        format!("struct S0 {{ a: fix }}\n{structs}entry main(s: S{n} from a, y: fix from b) -> fix to a {{ y }}\n")
    };
    assert_eq!(timed("90 structs", || only(lowered(&structs(90), &[]))), "accepted");
    let deep = timed("5,000 structs", || only(check(&structs(5_000))));
    assert_eq!(deep, "E0307 the fields of `S100` go more than 100 structs deep");
    let round = timed("5,000 structs in a circle", || only(check(&structs(5_000).replace("a: fix }", "a: S5000 }"))));
    assert!(round.starts_with("5001 errors: E0307 struct `S0` contains itself"), "{round}");
    let turns = "var h = x; for _ in 0..20000 { h = h * y; } h";
    let mut graph = timed("a long graph", || lowered(&entry(turns), &[])).unwrap();
    timed("its passes", || pass::run(&mut graph, None, &[])).unwrap();
    let turns = "var h = x; for _ in 0..5000 { h = h + h * y; } h";
    let mut graph = timed("a long sum", || lowered(&entry(turns), &[])).unwrap();
    timed("its passes", || pass::run(&mut graph, None, &[])).unwrap();
    let turns = "var h = x; for _ in 0..1000 { for _ in 0..1000 { for _ in 0..1000 { } } } h";
    let turns = timed("a thousand million turns", || only(lowered(&entry(turns), &[])));
    assert_eq!(turns, "E0307 a program whose loops take more than 1000000 turns is not compiled in this version");
}

#[test]
fn strange_plans_and_graphs() {
    let refused = |body: &str| match plan::file::read(&format!("smlc plan 2\n{body}")) {
        Ok(_) => "accepted".to_string(),
        Err(error) => error.to_string(),
    };
    assert!(timed("1 MB of [", || refused(&"[".repeat(1_000_000))).starts_with("the plan is damaged: "));
    assert!(timed("1 MB of {", || refused(&"{\"entry\":".repeat(100_000))).starts_with("the plan is damaged: "));
    assert_eq!(
        plan::file::read("").err().map(|e| e.to_string()).as_deref(),
        Some("the file does not start with `smlc plan 2`")
    );
    let line = |i: usize| format!("%{i} = add %{0} %{0} : clear(a) [1]\n", i - 1);
    let head = "graph main\nformat ring=64 int=16 frac=16\nowners a\n%0 = input \"x\" : clear(a) [1]\n";
    let long = format!("{head}{}", repeated(20_000, |i| line(i + 1)));
    let long = timed("a chain of 20,000 nodes", || graph::text::parse(&long)).unwrap();
    assert_eq!(timed("verify it", || graph::verify::verify(&long)), Ok(()));
    assert_eq!(timed("print it", || graph::text::print(&long)).lines().count(), 20_004);
    let broad = format!("{head}%1 = concat axis=0{} : clear(a) [100000]\n", " %0".repeat(100_000));
    let broad = timed("100,000 operands", || graph::text::parse(&broad)).unwrap();
    assert_eq!(graph::verify::verify(&broad), Ok(()));
    for (node, rule) in [
        ("max_pool size=65536x65536 stride=1x1 pad=65535x65535 %1 : clear(a) [1, 1, 1, 1]", "of too many places"),
        ("sum_pool size=65537x1 stride=1x1 pad=65536x0 %1 : clear(a) [1, 1, 65536, 1]", "or too large"),
        ("broadcast %1 : clear(a) [65536, 65536, 65536, 1]", "more elements than a tensor may have"),
    ] {
        let text = format!("{head}%1 = reshape %0 : clear(a) [1, 1, 1, 1]\n%2 = {node}\n");
        let found = graph::verify::verify(&graph::text::parse(&text).unwrap()).unwrap_err().to_string();
        assert!(found.contains(rule), "{found}");
    }
}
