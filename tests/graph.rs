//! The graph: its text form both ways, the verifier's refusals, and passes that keep what a graph computes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use smlc::graph::{Graph, eval, text, verify};
use smlc::pass;

const HEAD: &str = "graph test\nformat ring=64 int=16 frac=16\nowners a b\n";

fn graph(body: &str) -> Graph {
    let graph = text::parse(&format!("{HEAD}{body}")).unwrap();
    verify::verify(&graph).unwrap();
    graph
}

/// Every operation with every attribute.
const EVERYTHING: &str = "\
%0 = input \"x.weight\" : clear(a) [2, 4, 6, 6]
%1 = input \"w\" : clear(b) [6, 2, 3, 2]
%2 = input \"p\" : clear [2, 4, 6, 6]
%3 = const 0.5 : clear [2, 4, 6, 6]
%4 = const dense=1.0,-2.5,3e-5,0.0 : clear [4]
%5 = mul %0 %3 : clear(a) [2, 4, 6, 6]
%6 = div %5 %2 : clear(a) [2, 4, 6, 6]
%7 = share scale=16 %6 : ring(16) [2, 4, 6, 6]
%8 = share scale=16 %1 : ring(16) [6, 2, 3, 2]
%9 = encode scale=16 %2 : public(16) [2, 4, 6, 6]
%10 = conv2d size=3x2 stride=1x2 pad=1x0 groups=2 %7 %8 : ring(32) [2, 6, 6, 3]
%11 = trunc bits=16 %10 : ring(16) [2, 6, 6, 3]
%12 = add %7 %9 : ring(16) [2, 4, 6, 6]
%13 = sub %12 %7 : ring(16) [2, 4, 6, 6]
%14 = neg %13 : ring(16) [2, 4, 6, 6]
%15 = mul %14 %7 : ring(32) [2, 4, 6, 6]
%16 = trunc bits=16 %15 : ring(16) [2, 4, 6, 6]
%17 = matmul %7 %16 : ring(32) [2, 4, 6, 6]
%18 = trunc bits=16 %17 : ring(16) [2, 4, 6, 6]
%19 = reshape %18 : ring(16) [8, 36]
%20 = transpose perm=1,0 %19 : ring(16) [36, 8]
%21 = slice axis=0 start=3 step=5 %20 : ring(16) [4, 8]
%22 = concat axis=0 %21 %21 : ring(16) [8, 8]
%23 = sum axis=1 %22 : ring(16) [8, 1]
%24 = broadcast %23 : ring(16) [8, 8]
%25 = max axis=0 %24 : ring(16) [1, 8]
%26 = argmax axis=1 %22 : ring(0) [8]
%27 = sum_pool size=2x2 stride=2x2 pad=0x0 %16 : ring(16) [2, 4, 3, 3]
%28 = max_pool size=3x3 stride=2x2 pad=1x1 %16 : ring(16) [2, 4, 3, 3]
%29 = relu %28 : ring(16) [2, 4, 3, 3]
%30 = is_negative %27 : bit [2, 4, 3, 3]
%31 = is_negative %28 : bit [2, 4, 3, 3]
%32 = xor %30 %31 : bit [2, 4, 3, 3]
%33 = and %32 %30 : bit [2, 4, 3, 3]
%34 = select %33 %29 %27 : ring(16) [2, 4, 3, 3]
%35 = up bits=8 %34 : ring(24) [2, 4, 3, 3]
%36 = reveal \"out.0\" to=all %35 : ring(24) [2, 4, 3, 3]
%37 = reveal \"out.1\" to=b %26 : ring(0) [8]
%38 = reveal \"out.2\" to=a %11 : ring(16) [2, 6, 6, 3]
%39 = reveal \"out.3\" to=a %25 : ring(16) [1, 8]
";

#[test]
fn text_parses_back() {
    let graph = graph(EVERYTHING);
    let printed = text::print(&graph);
    assert_eq!(printed, format!("{HEAD}{EVERYTHING}"));
    assert_eq!(text::print(&text::parse(&printed).unwrap()), printed);
}

#[test]
fn damaged_text_is_refused_with_its_line() {
    for (line, damaged) in [
        (4, "%1 = input \"x\" : clear(a) [2]"),
        (4, "%0 = input x : clear(a) [2]"),
        (4, "%0 = input \"x\" : clear(c) [2]"),
        (4, "%0 = frobnicate : clear(a) [2]"),
        (4, "%0 = relu %0 : clear(a) [2]"),
        (4, "%0 = input \"x\" axis=3 : clear(a) [2]"),
        (4, "%0 = const : clear [2]"),
        (4, "%0 = input \"x\" : ring(x) [2]"),
        (4, "%0 = input \"x\" : clear(a) [2"),
        (4, "format ring=64 int=60 frac=16"),
        (4, "nonsense"),
        (4, "owners a all"),
        (4, "owners a b(c)"),
        (5, "%0 = input \"x\" : clear(a) [2]\nowners b"),
    ] {
        let error = text::parse(&format!("{HEAD}{damaged}\n")).unwrap_err();
        assert_eq!(error.line, line, "{damaged}: {error}");
    }
}

#[test]
fn the_verifier_refuses() {
    for (rule, body) in [
        ("takes 2 operands", "%0 = input \"x\" : clear(a) [2]\n%1 = add %0 : clear(a) [2]\n"),
        ("other shapes", "%0 = input \"x\" : clear(a) [2]\n%1 = add %0 %0 : clear(a) [3]\n"),
        ("label", "%0 = input \"x\" : clear(a) [2]\n%1 = relu %0 : clear(b) [2]\n"),
        (
            "mixes",
            "%0 = input \"x\" : clear(a) [2]\n%1 = share scale=16 %0 : ring(16) [2]\n%2 = add %0 %1 : ring(16) [2]\n",
        ),
        (
            "unequal scales",
            "%0 = input \"x\" : clear(a) [2]\n%1 = share scale=16 %0 : ring(16) [2]\n%2 = share scale=8 %0 : ring(8) [2]\n%3 = add %1 %2 : ring(16) [2]\n",
        ),
        (
            "does not fit the ring",
            "%0 = input \"x\" : clear(a) [2]\n%1 = share scale=32 %0 : ring(32) [2]\n%2 = mul %1 %1 : ring(64) [2]\n",
        ),
        ("no permutation", "%0 = input \"x\" : clear(a) [2, 3]\n%1 = transpose perm=0,0 %0 : clear(a) [2, 2]\n"),
        ("beyond the axis", "%0 = input \"x\" : clear(a) [5]\n%1 = slice axis=0 start=1 step=2 %0 : clear(a) [3]\n"),
        (
            "in the clear only",
            "%0 = input \"x\" : clear(a) [2]\n%1 = share scale=16 %0 : ring(16) [2]\n%2 = div %1 %1 : ring(16) [2]\n",
        ),
        (
            "two results of one name",
            "%0 = input \"x\" : clear(a) [2]\n%1 = share scale=16 %0 : ring(16) [2]\n%2 = reveal \"y\" to=a %1 : ring(16) [2]\n%3 = keep \"y\" %1 : ring(16) [2]\n",
        ),
        ("an owner's clear data", "%0 = const 1.0 : clear [2]\n%1 = share scale=16 %0 : ring(16) [2]\n"),
        ("public clear data", "%0 = input \"x\" : clear(a) [2]\n%1 = encode scale=16 %0 : public(16) [2]\n"),
        ("more elements", "%0 = input \"x\" : clear(a) [4294967296, 4294967296, 2]\n"),
        ("two owners", "owners a a\n%0 = input \"x\" : clear(a) [2]\n"),
        (
            "too large",
            "%0 = input \"x\" : clear(a) [1, 1, 4, 4]\n%1 = sum_pool size=2x2 stride=0x1 pad=0x0 %0 : clear(a) [1, 1, 3, 3]\n",
        ),
        (
            "as large as the window",
            "%0 = input \"x\" : clear(a) [1, 1, 4, 4]\n%1 = max_pool size=2x2 stride=2x2 pad=2x2 %0 : clear(a) [1, 1, 4, 4]\n",
        ),
    ] {
        let graph = text::parse(&format!("{HEAD}{body}")).unwrap();
        let error = verify::verify(&graph).unwrap_err();
        assert!(error.to_string().contains(rule), "{rule}: {error}");
    }
}

/// Deterministic data in `(-limit, limit)` for every input.
fn data(graph: &Graph, limit: f64) -> BTreeMap<String, Vec<f64>> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as f64 / f64::from(1u32 << 31) * 2.0 - 1.0) * limit
    };
    graph
        .inputs()
        .map(|(id, path)| (path.to_string(), (0..graph.node(id).ty.len()).map(|_| next()).collect()))
        .collect()
}

/// Each pass alone, and all of them, keep the results: exactly in f64, up to some units in the last place in fixed point.
#[test]
fn passes_keep_what_the_graph_computes() {
    let residual = "\
%0 = input \"x\" : clear(a) [2, 3, 4, 4]
%1 = input \"w\" : clear(b) [3, 3, 3, 3]
%2 = input \"c\" : clear(b) [1, 3, 1, 1]
%3 = share scale=16 %0 : ring(16) [2, 3, 4, 4]
%4 = share scale=16 %1 : ring(16) [3, 3, 3, 3]
%5 = share scale=16 %2 : ring(16) [1, 3, 1, 1]
%6 = conv2d size=3x3 stride=1x1 pad=1x1 groups=1 %3 %4 : ring(32) [2, 3, 4, 4]
%7 = trunc bits=16 %6 : ring(16) [2, 3, 4, 4]
%8 = broadcast %5 : ring(16) [2, 3, 4, 4]
%9 = add %7 %8 : ring(16) [2, 3, 4, 4]
%10 = relu %9 : ring(16) [2, 3, 4, 4]
%11 = relu %9 : ring(16) [2, 3, 4, 4]
%12 = conv2d size=3x3 stride=1x1 pad=1x1 groups=1 %10 %4 : ring(32) [2, 3, 4, 4]
%13 = trunc bits=16 %12 : ring(16) [2, 3, 4, 4]
%14 = sub %11 %13 : ring(16) [2, 3, 4, 4]
%15 = conv2d size=3x3 stride=1x1 pad=1x1 groups=1 %11 %4 : ring(32) [2, 3, 4, 4]
%16 = trunc bits=16 %15 : ring(16) [2, 3, 4, 4]
%17 = add %14 %16 : ring(16) [2, 3, 4, 4]
%18 = relu %17 : ring(16) [2, 3, 4, 4]
%19 = max_pool size=3x3 stride=1x1 pad=1x1 %18 : ring(16) [2, 3, 4, 4]
%20 = const 0.25 : clear [2, 3, 4, 4]
%21 = encode scale=16 %20 : public(16) [2, 3, 4, 4]
%22 = add %19 %21 : ring(16) [2, 3, 4, 4]
%23 = reveal \"out\" to=a %22 : ring(16) [2, 3, 4, 4]
";
    for body in [residual, EVERYTHING] {
        let before = graph(body);
        let data = data(&before, 1.5);
        let real = eval::results(&before, &data, eval::Mode::Real).unwrap();
        let fixed = eval::results(&before, &data, eval::Mode::Fixed).unwrap();
        for only in pass::PASSES.iter().map(|p| Some(p.name)).chain([None]) {
            let without: Vec<String> = pass::PASSES
                .iter()
                .map(|p| p.name)
                .filter(|n| only.is_some_and(|o| o != *n))
                .map(str::to_string)
                .collect();
            let mut after = before.clone();
            pass::run(&mut after, None, &without).unwrap();
            for (mode, wanted, unit) in [(eval::Mode::Real, &real, 0.0), (eval::Mode::Fixed, &fixed, 2f64.powi(-16))] {
                let found = eval::results(&after, &data, mode).unwrap();
                for (name, values) in wanted {
                    for (a, b) in values.iter().zip(&found[name]) {
                        // A truncation moved behind an addition rounds once instead of twice; errors pass through layers.
                        assert!((a - b).abs() <= 200.0 * unit, "{only:?} {name}: {a} became {b}");
                    }
                }
            }
        }
    }
}

#[test]
fn fusion_leaves_one_truncation_and_pooling_comes_before_relu() {
    let mut graph = graph(
        "%0 = input \"x\" : clear(a) [1, 1, 4, 4]\n%1 = input \"y\" : clear(b) [1, 1, 4, 4]\n%2 = share scale=16 %0 : ring(16) [1, 1, 4, 4]\n\
         %3 = share scale=16 %1 : ring(16) [1, 1, 4, 4]\n%4 = mul %2 %3 : ring(32) [1, 1, 4, 4]\n%5 = trunc bits=16 %4 : ring(16) [1, 1, 4, 4]\n\
         %6 = mul %2 %2 : ring(32) [1, 1, 4, 4]\n%7 = trunc bits=16 %6 : ring(16) [1, 1, 4, 4]\n%8 = add %5 %7 : ring(16) [1, 1, 4, 4]\n\
         %9 = relu %8 : ring(16) [1, 1, 4, 4]\n%10 = max_pool size=2x2 stride=2x2 pad=0x0 %9 : ring(16) [1, 1, 2, 2]\n\
         %11 = reveal \"out\" to=a %10 : ring(16) [1, 1, 2, 2]\n",
    );
    pass::run(&mut graph, None, &[]).unwrap();
    let printed = text::print(&graph);
    assert_eq!(printed.matches("= trunc").count(), 1, "{printed}");
    assert!(printed.find("= max_pool") < printed.find("= relu"), "{printed}");
}

#[test]
fn data_out_of_the_format_names_input_and_element() {
    let graph = graph(
        "%0 = input \"x\" : clear(a) [2]\n%1 = share scale=16 %0 : ring(16) [2]\n%2 = reveal \"o\" to=a %1 : ring(16) [2]\n",
    );
    let data = BTreeMap::from([("x".to_string(), vec![1.0, 40000.0])]);
    let error = eval::results(&graph, &data, eval::Mode::Fixed).unwrap_err().to_string();
    assert!(error.contains("element 1 of `x` is 40000"), "{error}");
}

const LOOPS: &str = "\
%0 = input \"x\" : clear(a) [2]
%1 = input \"w.0\" : clear(b) [2]
%2 = input \"w.1\" : clear(b) [2]
%3 = input \"w.2\" : clear(b) [2]
%4 = share scale=16 %0 : ring(16) [2]
%5 = loop turns=3 carried=1 scanned=1 %4 %4 %1 %2 %3 {
    %0 = arg 0 : ring(16) [2]
    %1 = arg 1 : ring(16) [2]
    %2 = arg 2 : clear(b) [2]
    %3 = loop turns=2 carried=1 scanned=0 %2 {
        %0 = arg 0 : clear(b) [2]
        %1 = mul %0 %0 : clear(b) [2]
        %2 = yield 0 %1 : clear(b) [2]
    }
    %4 = final 0 %3 : clear(b) [2]
    %5 = share scale=16 %4 : ring(16) [2]
    %6 = mul %0 %5 : ring(32) [2]
    %7 = trunc bits=16 %6 : ring(16) [2]
    %8 = add %1 %7 : ring(16) [2]
    %9 = yield 0 %8 : ring(16) [2]
    %10 = yield 1 %5 : ring(16) [2]
}
%6 = final 0 %5 : ring(16) [2]
%7 = final 1 %5 : ring(16) [2]
%8 = add %6 %7 : ring(16) [2]
%9 = reveal \"out\" to=a %8 : ring(16) [2]
";

#[test]
fn loops_are_text_and_mean_their_turns() {
    let graph = graph(LOOPS);
    assert_eq!(text::print(&graph), format!("{HEAD}{LOOPS}"));
    let data = [("x", [1.5, -2.0]), ("w.0", [1.0, 0.5]), ("w.1", [-1.5, 1.0]), ("w.2", [0.5, 2.0])];
    let inputs = data.iter().map(|(name, x)| ((*name).to_string(), x.to_vec())).collect();
    let result = |graph: &Graph| eval::results(graph, &inputs, eval::Mode::Real).unwrap()["out"].clone();
    let expected: Vec<f64> = (0..2)
        .map(|i| {
            let x = data[0].1[i];
            let last = data[3].1[i].powi(4);
            data[1..].iter().fold(x, |h, (_, w)| x + h * w[i].powi(4)) + last
        })
        .collect();
    assert_eq!(result(&graph), expected);
    let flat = smlc::graph::unroll::unroll(&graph);
    verify::verify(&flat).unwrap();
    assert!(flat.dag.node_weights().all(|node| !matches!(node.op, smlc::graph::Op::Loop(_))));
    assert_eq!(result(&flat), expected);
    let mut optimised = graph.clone();
    pass::run(&mut optimised, None, &[]).unwrap();
    assert_eq!(result(&optimised), expected);
    // One truncation takes the addition in, inside of the turn.
    assert!(
        text::print(&optimised).contains("    %10 = trunc bits=16 %9 : ring(16) [2]"),
        "{}",
        text::print(&optimised)
    );
}

#[test]
fn damaged_loops_are_refused() {
    for (rule, from, to) in [
        ("other type", "%1 %2 %3 {", "%1 %4 %3 {"),
        ("number of operands", "turns=3", "turns=4"),
        ("too many turns", "turns=3", "turns=18446744073709551615"),
        ("without turns", "turns=2 carried=1 scanned=0 %2", "turns=0 carried=1 scanned=0 %2"),
        ("gives fewer values", "final 1", "final 2"),
        ("another type than the loop gives", "%7 = final 1 %5 : ring(16)", "%7 = final 1 %5 : ring(8)"),
        ("another type than it takes", "%9 = yield 0 %8 : ring(16) [2]", "%9 = yield 0 %6 : ring(32) [2]"),
        ("positions", "yield 1", "yield 2"),
        ("too few arguments", "carried=1 scanned=1", "carried=1 scanned=3"),
        ("values are its", "%8 = add %6 %7", "%8 = add %6 %5"),
        ("do not belong in a loop", "%1 = arg 1 : ring(16) [2]", "%1 = input \"y\" : clear(a) [2]"),
        ("belongs in the turn", "%0 = input \"x\" : clear(a) [2]", "%0 = arg 0 : clear(a) [2]"),
    ] {
        assert!(LOOPS.contains(from), "{from}");
        let broken = LOOPS.replacen(from, to, 1);
        let error = match text::parse(&format!("{HEAD}{broken}")) {
            Ok(graph) => verify::verify(&graph).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(rule), "{to}: {error}");
    }
    for text in
        [format!("{LOOPS}}}\n"), LOOPS.replacen("}\n", "", 1), LOOPS.replacen("loop turns=3", "relu turns=3", 1)]
    {
        assert!(text::parse(&format!("{HEAD}{text}")).is_err(), "{text}");
    }
    let deep: String = (0..100).map(|_| "%0 = loop turns=1 carried=0 scanned=0 {\n").collect();
    assert!(text::parse(&format!("{HEAD}{deep}")).unwrap_err().what.contains("nested"));
}

#[test]
fn indices_and_gaps_are_attributes() {
    let body = "\
%0 = input \"x\" : clear(a) [1, 2, 7, 9]
%1 = input \"w\" : clear(b) [4, 2, 3, 2]
%2 = share scale=16 %0 : ring(16) [1, 2, 7, 9]
%3 = share scale=16 %1 : ring(16) [4, 2, 3, 2]
%4 = conv2d size=3x2 stride=1x2 pad=1x0 dilation=2x3 groups=1 %2 %3 : ring(32) [1, 4, 5, 3]
%5 = trunc bits=16 %4 : ring(16) [1, 4, 5, 3]
%6 = gather axis=3 index=2,_,0,0 %5 : ring(16) [1, 4, 5, 4]
%7 = gather axis=2 index=6 %0 : clear(a) [1, 2, 1, 9]
%8 = share scale=16 %7 : ring(16) [1, 2, 1, 9]
%9 = reveal \"out.0\" to=a %6 : ring(16) [1, 4, 5, 4]
%10 = reveal \"out.1\" to=a %8 : ring(16) [1, 2, 1, 9]
";
    let whole = graph(body);
    assert_eq!(text::print(&whole), format!("{HEAD}{body}"));
    for (from, to, why) in [
        ("index=2,_,0,0", "index=3,_,0,0", "indices reach"),
        ("index=2,_,0,0", "index=2,_,0", "indices reach"),
        ("gather axis=3", "gather axis=4", "no such axis"),
        ("dilation=2x3", "dilation=4x3", "with kernel"),
        ("dilation=2x3", "dilation=0x3", "a window without"),
    ] {
        let damaged = text::parse(&format!("{HEAD}{}", body.replace(from, to))).unwrap();
        let error = verify::verify(&damaged).unwrap_err().to_string();
        assert!(error.contains(why), "{to}: {error}");
    }
    let pool = "%0 = input \"x\" : clear(a) [1, 2, 7, 9]\n\
        %1 = sum_pool size=2x2 stride=1x1 pad=0x0 dilation=2x2 %0 : clear(a) [1, 2, 5, 7]\n";
    let pool = text::parse(&format!("{HEAD}{pool}")).unwrap();
    assert!(verify::verify(&pool).unwrap_err().to_string().contains("gaps"));
    for (from, to) in [("index=2,_,0,0", "index=2,x"), ("dilation=2x3", "dilation=2")] {
        assert!(text::parse(&format!("{HEAD}{}", body.replace(from, to))).is_err());
    }
}
