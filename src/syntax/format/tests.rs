//! Formatting twice changes nothing more, and formatting changes nothing that the parser sees.

use proptest::prelude::*;

use super::format;
use crate::diag::render;
use crate::span::{FileId, Sources};
use crate::syntax::{dump, parse};

/// The tree as text, which has no places; `None` with errors.
fn tree(text: &str) -> Option<String> {
    let mut diags = Vec::new();
    let file = parse(FileId(0), text, &mut diags);
    diags.is_empty().then(|| dump::ast(&file))
}

/// The comments, sorted: one inside of an expression may move behind a later one.
fn comments(text: &str) -> Vec<String> {
    let lines = dump::tokens(text);
    let comments = lines.lines().filter_map(|line| line.split_once(" Comment(").map(|(_, comment)| comment.to_owned()));
    let mut comments: Vec<String> = comments.collect();
    comments.sort();
    comments
}

fn check(input: &str, expected: &str) {
    let once = format(FileId(0), input).unwrap();
    assert_eq!(once, expected);
    check_laws(input);
}

fn check_laws(input: &str) {
    let once = format(FileId(0), input).unwrap();
    assert_eq!(tree(&once), tree(input), "formatted:\n{once}");
    assert_eq!(comments(&once), comments(input), "formatted:\n{once}");
    assert_eq!(format(FileId(0), &once).unwrap(), once, "first pass:\n{once}");
}

#[test]
fn the_example_programs_are_formatted() {
    for text in [
        include_str!("../../../tests/golden/parse/lenet.sml"),
        include_str!("../../../tests/golden/parse/residual.sml"),
        include_str!("../../../tests/golden/parse/softmax.sml"),
        include_str!("../../../tests/golden/parse/training.sml"),
    ] {
        check(text, text);
    }
}

#[test]
fn lines_break_where_they_must() {
    check(
        "use nn::{relu,};\nfn f(a:fix,b : fix=0.5)->fix{a+b}",
        "use nn::relu;\n\nfn f(a: fix, b: fix = 0.5) -> fix {\n    a + b\n}\n",
    );
    check(
        "struct S { a: (fix[N, 1000], (), fix[N, 1000], (), fix[N, 1000], (), fix[N, 1000], (), fix[N, 1000], fix[N, 1000]),\n b: (fix,\n (fix, int), int, bool) }",
        "struct S {\n    a: (\n        fix[N, 1000], (), fix[N, 1000], (), fix[N, 1000], (), fix[N, 1000], (), fix[N, 1000],\n        fix[N, 1000],\n    ),\n    b: (\n        fix,\n        (fix, int), int, bool,\n    ),\n}\n",
    );
    check(
        "fn a_function_with_a_long_name(first_parameter: fix[N, 10], second_parameter: fix[N, 10]) -> fix[N, 10, 3] { 1 }",
        "fn a_function_with_a_long_name(\n    first_parameter: fix[N, 10],\n    second_parameter: fix[N, 10],\n) -> fix[N, 10, 3] {\n    1\n}\n",
    );
    check(
        "fn f() -> fix { let something = some_function(argument_one, argument_two) + another_function(argument_three) * 2; if a { 1 } else if b { 2 } else { 3 } }",
        "fn f() -> fix {
    let something = some_function(argument_one, argument_two)
        + another_function(argument_three) * 2;
    if a { 1 } else if b { 2 } else { 3 }
}
",
    );
    check(
        "fn f() -> fix { x |> convolution(parameters.first, pad = 1) |> relu |> convolution(parameters.second, pad = 1) |> relu }",
        "fn f() -> fix {
    x
        |> convolution(parameters.first, pad = 1)
        |> relu
        |> convolution(parameters.second, pad = 1)
        |> relu
}
",
    );
}

#[test]
fn tuples_that_go_on_ranges_and_records() {
    check(
        "fn f[N,..S,P:record](p:P,layer:(First,..[Block;3]))->P{let(first,..rest)=layer;let (a, .._)=layer;p}\nentry e(x:fix[4]in-1.5..2.5 from a,// one\ny:public int in 0..255)->fix to a{x|>approx(f(1),error=0.1)}",
        "fn f[N, ..S, P: record](p: P, layer: (First, ..[Block; 3])) -> P {
    let (first, ..rest) = layer;
    let (a, .._) = layer;
    p
}

entry e(
    x: fix[4] in -1.5..2.5 from a, // one
    y: public int in 0..255,
) -> fix to a {
    x |> approx(f(1), error = 0.1)
}
",
    );
}

#[test]
fn comments_stay() {
    check(
        "// top\n\n\n// file\nstruct A { // open\n/// The weight.\n w : fix, // behind\n// last\n}\n// between\nfn f(a: fix, // first\n b: fix) -> fix { // body\n\n// above\nlet x = /* */ 1; // one\n\n\nlet y = 2; x\n// end\n} // f\n// eof"
            .replace("/* */ ", "")
            .as_str(),
        "// top

// file
struct A {
    // open
    /// The weight.
    w: fix, // behind
    // last
}

// between
fn f(
    a: fix, // first
    b: fix,
) -> fix { // body
    // above
    let x = 1; // one

    let y = 2;
    x
    // end
} // f
// eof
",
    );
    check(
        "fn f() -> fix {\n    let y = x // start\n        // first\n        |> g // second\n        |> h(1); // third\n    let z = 1 + // inside\n        2;\n    y\n}\n",
        "fn f() -> fix {\n    let y = x // start\n        // first\n        |> g // second\n        |> h(1); // third\n    // inside\n    let z = 1 + 2;\n    y\n}\n",
    );
}

/// Texts that are likely to be programs: a frame around tokens and comments of any layout.
fn programs() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("x".to_owned()),
        Just("0.5".to_owned()),
        Just("x.0.w".to_owned()),
        Just("nn::f(1, k = 2)".to_owned()),
        Just("t[0, 1..N, ..]".to_owned()),
        Just("a_rather_long_name_of_a_function(with_an_argument, and_another)".to_owned()),
    ];
    let space = prop_oneof![
        4 => Just(" ".to_owned()),
        2 => Just("\n".to_owned()),
        1 => Just("\n\n\n".to_owned()),
        1 => Just(" // c1\n".to_owned()),
        1 => Just("\n\n  // c2\n// c3\n".to_owned()),
    ];
    // Boxed: strategies and their values in one another overflow the stack of a test without optimisation.
    let (atom, space) = (atom.boxed(), space.boxed());
    let expr = atom.prop_recursive(5, 24, 4, move |inner| {
        let two = (inner.clone(), space.clone(), inner.clone(), space.clone()).boxed();
        prop_oneof![
            two.clone().prop_map(|(a, s, b, t)| format!("{a}{s}+{t}{b}")).boxed(),
            two.clone().prop_map(|(a, s, b, t)| format!("({a}{s}*{t}{b})")).boxed(),
            two.clone().prop_map(|(a, s, b, t)| format!("({a}{s}|>{t}g({b}){s}|> approx(h, bits = 8))")).boxed(),
            two.clone().prop_map(|(a, s, b, t)| format!("f({s}{a},{t}{b}{s})")).boxed(),
            two.clone().prop_map(|(a, s, b, t)| format!("[{s}{a},{t}({b}, {a}){s}]")).boxed(),
            two.clone().prop_map(|(a, s, b, t)| format!("P {{{s}a: {a},{t}b: {b}{s}}}")).boxed(),
            two.clone().prop_map(|(a, s, b, t)| format!("(if {a}{s}{{ {b} }} else {{{t}{a}{s}}})")).boxed(),
            two.prop_map(|(a, s, b, t)| format!(
                "({{ var y = {a};{s}for i in 0..{b} {{{t}y = y;{s}}} reveal y to o }})"
            ))
            .boxed(),
        ]
    });
    (expr.clone(), expr, prop::collection::vec(prop_oneof![Just(" "), Just("\n"), Just(" // s\n"), Just("\n\n// t\n")], 8))
        .prop_map(|(a, b, s)| {
            format!(
                "owners a,{} b;{}/// Doc.\nfn f[N](x: fix[N],{} y: nat = {a}) ->{} fix {{{} let (u, _): fix ={} {b};{} {a} |> f }}{}",
                s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
            )
        })
}

/// Runs on a stack as large as a program's own; a test's thread has a quarter of that, too little for the nested
/// strategies without optimisation.
#[test]
fn formatting_keeps_the_program() {
    let check = || {
        let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
        let laws = |text: String| {
            check_laws(&text);
            Ok(())
        };
        prop::test_runner::TestRunner::new(config).run(&programs(), laws).unwrap();
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(check).unwrap().join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parser_never_panics(
        text in "([a-z]{1,3}|fn|let|for|if|else|struct|entry|[0-9.]{1,4}|[{}()\\[\\],;:=|>.!*+-]|\n| ){0,60}",
        cut in 0..700_usize,
        length in 0..40_usize,
    ) {
        let program = include_str!("../../../tests/golden/parse/training.sml");
        let (start, end) = (cut.min(program.len()), (cut + length).min(program.len()));
        let damaged = [&program[..start], &program[end..]].concat();
        let mixed = [&program[..start], &text, &program[end..]].concat();
        for text in [text, damaged, mixed] {
            let mut sources = Sources::default();
            let file = sources.add("m.sml", text.as_str());
            let mut diags = Vec::new();
            parse(file, &text, &mut diags);
            prop_assert_eq!(render(&diags, &sources, false).is_empty(), diags.is_empty());
        }
    }
}
