//! Programs and what the checker says about them.

use crate::diag::Diagnostic;
use crate::hir::{self, Program};
use crate::span::Sources;

const HEADER: &str = "owners hospital, vendor; fixed(int = 16, frac = 16); use nn::{Conv, Linear, conv2d, relu};\n";

fn run(text: &str) -> (Option<Program>, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let file = sources.add("model.sml", format!("{HEADER}{text}"));
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    (program, diags, sources)
}

/// Each message as `E0302 2:5 message | help`.
fn messages(text: &str) -> Vec<String> {
    let (_, diags, sources) = run(text);
    let line = |d: &Diagnostic| {
        let place = d.labels.first().map(|l| sources.line_col(l.span)).unwrap_or_default();
        let help = d.help.as_ref().map(|h| format!(" | {h}")).unwrap_or_default();
        format!("{} {}:{} {}{help}", d.code, place.0, place.1, d.message)
    };
    diags.iter().map(line).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(messages(text), expected, "{text}");
}

/// Wraps statements in a function over some usual parameters.
fn body(statements: &str, expected: &[&str]) {
    check(
        &format!(
            "fn f[N, ..S](x: fix[N, 4], v: fix[4], i: int[N], s: fix[..S], k: nat) -> fix[N, 4] {{\n{statements} }}"
        ),
        expected,
    );
}

/// The same in an entry, where labels are followed.
fn entry(statements: &str, expected: &[&str]) {
    check(
        &format!(
            "entry f[N](x: fix[N, 4] from hospital, w: fix[N, 4] from vendor, n: int from vendor, p: public fix) -> fix[N, 4] to hospital {{\n{statements} }}"
        ),
        expected,
    );
}

fn program(text: &str) -> Program {
    let (program, diags, sources) = run(text);
    program.unwrap_or_else(|| {
        let all: Vec<String> = diags
            .iter()
            .map(|d| {
                let place = d.labels.first().map(|l| sources.place(l.span)).unwrap_or_default();
                format!("{} {place} {} {:?}", d.code, d.message, d.help)
            })
            .collect();
        panic!("{}", all.join("\n"))
    })
}

#[test]
fn the_library_is_clean() {
    check("", &[]);
}

#[test]
fn lenet_is_checked() {
    let text = include_str!("../../tests/golden/parse/lenet.sml");
    let mut sources = Sources::default();
    let file = sources.add("lenet.sml", text);
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    assert_eq!(diags, []);
    let program = program.unwrap();
    let entry = program.entry(None).unwrap();
    let leaves: Vec<String> = program
        .leaves(entry)
        .iter()
        .map(|l| format!("{}: {}{:?}", l.path, l.kind, l.shape.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        leaves[..3],
        [
            r#"image: fix["N", "1", "28", "28"]"#,
            r#"net.conv1.weight: fix["6", "1", "5", "5"]"#,
            r#"net.conv1.bias: fix["6"]"#,
        ]
    );
    assert_eq!(leaves.len(), 11);
    assert_eq!(
        program.learns(entry),
        ["hospital learns `out: fix[N, 10]`, computed from the inputs of hospital and vendor"]
    );
    let text = hir::text::print(&program);
    assert!(text.contains("fix[N, 6, 28, 28] {hospital and vendor} = conv2d[H = 28,"), "{text}");
    assert!(text.contains("fix[N, 1, 28, 28] {hospital} = image / 255.0"), "{text}");
}

#[test]
fn well_formed_bodies() {
    body("x", &[]);
    body("x + reshape(v, [1, 4])", &[]);
    body("x * 2.0 - 1.0 / 3.0", &[]);
    body("x * N / (k * 4)", &[]);
    body("let (a, b) = (x, x); a - b", &[]);
    body("var y = x; for j in 0..k { y = y * j; } y", &[]);
    body("var y = x; for z in [x, x] { y = y + z; } y", &[]);
    body("if N > 3 { x } else { x + 1.0 }", &[]);
    body("select(x > 0.0, x, 0.0)", &[]);
    body("x + sum(x, axis = -1)", &[]);
    body("let m: fix[N, 1] = mean(x, axis = 1); x - m", &[]);
    body("let j = argmax(x); x * 0.5", &[]);
    body("transpose(concat(x, x, axis = 0), [1, 0])[0..4, 0..N] |> transpose([1, 0])", &[]);
    body("x[0..N, 0..4]", &[]);
    body("x |> relu |> at_least(0.5) |> maximum(x)", &[]);
    body("let y = abs(s); x", &[]);
}

#[test]
fn names() {
    body("y", &["E0201 3:1 there is no `y` in scope"]);
    body("let scores = x; score + 1.0", &["E0201 3:17 there is no `score` in scope | did you mean `scores`?"]);
    body("rellu(x)", &["E0201 3:1 there is no function `rellu` in scope | did you mean `relu`?"]);
    body("max_pool(x, 2)", &["E0201 3:1 there is no function `max_pool` in scope | bring it in: `use nn::max_pool;`"]);
    check("use nm::{relu};", &["E0203 2:5 there is no module `nm` | did you mean `nn`?"]);
    check(
        "use lozz::{mse};\nfn f(x: fix) -> fix { mse(x) + mse(y) }",
        &[
            "E0203 2:5 there is no module `lozz` | the library has `nn`, `math`, `loss`, `metrics`, `optim`; a module of your own is a file `lozz.sml` beside the program",
            "E0201 3:36 there is no `y` in scope",
        ],
    );
    check("use nn::{linaer};", &["E0203 2:10 module `nn` has no `linaer` | did you mean `linear`?"]);
    check("fn f(x: fix) -> fix { x }\nfn f(x: fix) -> fix { x }", &["E0204 3:4 `f` is defined twice"]);
    check("fn f(x: fix, x: fix) -> fix { x }", &["E0204 2:14 `x` is defined twice"]);
    check("struct A { a: fixx }", &["E0205 2:15 there is no type `fixx` | did you mean `fix`?"]);
    check(
        "fn f(p: Conv[1, 2, 3]) -> fix { p.wieght }",
        &["E0202 2:35 `Conv` has no field `wieght` | did you mean `weight`?"],
    );
    check(
        "fn f(p: Conv[1, 2]) -> fix[2] { p.bias }",
        &["E0303 2:9 `Conv` takes 3 sizes, and 2 are given | write `Conv[I, O, K]`"],
    );
    check(
        "struct A { a: B }\nstruct B { a: A }",
        &[
            "E0307 2:8 struct `A` contains itself | use an array `[T; D]`",
            "E0307 3:8 struct `B` contains itself | use an array `[T; D]`",
        ],
    );
    check(
        "fn f(x: fix) -> fix { g(x) }\nfn g(x: fix) -> fix { f(x) }",
        &[
            "E0307 2:4 function `f` calls itself | use a `for` loop",
            "E0307 3:4 function `g` calls itself | use a `for` loop",
        ],
    );
}

#[test]
fn types() {
    body("x * 2", &["E0301 3:5 the right side is `int`, and `fix` is needed | write `2.0` for a fixed-point constant"]);
    body("x + i", &["E0301 3:1 `+` does not go between `fix` and `int`"]);
    body("x > 0.0", &["E0301 3:1 the result is `bool[N, 4]`, and `fix[N, 4]` is needed"]);
    body("v", &["E0302 3:1 the result is `fix[4]`, and `fix[N, 4]` is needed"]);
    body(
        "x + v",
        &[
            "E0302 3:1 the shapes `[N, 4]` and `[4]` of `+` do not agree | leading axes are not added silently: `reshape(..., [1, 4])`",
        ],
    );
    body(
        "let y = x;",
        &["E0301 3:12 the body gives nothing back, and `fix[N, 4]` is declared | end the body in the value: `y`"],
    );
    body(
        "x + 1.0; x",
        &[
            "E0305 3:1 the value of this statement is lost | bind it with `let`, or drop the `;` to make it the block's value",
        ],
    );
    body("let y = x; y = x; x", &["E0305 3:12 `y` may not be reassigned | declare it with `var y`"]);
    body(
        "var y = x; y = v; x",
        &[
            "E0302 3:16 the new value is `fix[4]`, and `fix[N, 4]` is needed | a `var` keeps its type; `let y = ...;` binds the name anew",
        ],
    );
    body("if true { x } else { v }", &["E0302 3:22 the value of `else` is `fix[4]`, and `fix[N, 4]` is needed"]);
    body("x.0", &["E0305 3:3 `fix[N, 4]` has no fields"]);
    body(
        "sum(x, axis = 2)",
        &["E0306 3:1 axis 2 does not exist in shape `[N, 4]` | axes go from 0 to 1, or from -2 to -1"],
    );
    body(
        "sum(x, axis = k)",
        &["E0306 3:1 the axis `k` of `sum` is no number here | axes are counted: 0 is the first, -1 the last"],
    );
    body("reshape(x, [N, 5])", &["E0302 3:1 `[N, 4]` has 4*N elements and `[N, 5]` has 5*N"]);
    body("x[0..5]", &["E0302 3:1 the result is `fix[5, 4]`, and `fix[N, 4]` is needed"]);
    body("x[0..N, 0..5]", &["E0308 3:1 `0..5` does not lie in an axis of 4"]);
    body("x[k, 3] + x", &[]);
}

#[test]
fn calls() {
    body("relu()", &["E0303 3:1 `relu` also needs `x` | write `relu(x)`"]);
    body("relu(x, x)", &["E0303 3:1 `relu` takes 1 argument, and 2 are given | write `relu(x)`"]);
    body("at_least(x, bond = 1.0)", &["E0303 3:13 `at_least` has no parameter `bond` | did you mean `bound`?"]);
    body(
        "at_least(x, 1)",
        &["E0301 3:13 `bound` of `at_least` is `int`, and `fix` is needed | write `1.0` for a fixed-point constant"],
    );
    body("matmul(x, x)", &["E0302 3:11 `b` of `matmul` is `fix[N, 4]`, and `fix[4, 4]` is needed"]);
    body(
        "conv2d(x, x)",
        &[
            "E0302 3:8 `x` of `conv2d` is `fix[N, 4]`, and `fix[N, I, H, W]` is needed | it has 2 axes, and 4 are needed; `reshape` adds axes of size 1, and joins axes",
            "E0301 3:11 `p` of `conv2d` is `fix[N, 4]`, and `Conv[I, O, K]` is needed",
        ],
    );
    body(
        "grad(x, x)",
        &["E0309 3:6 `grad` differentiates a single `fix`, and this is `fix[N, 4]` | sum or average it first"],
    );
    check(
        "fn f[N](x: fix[N, 1, 4, 4], p: Conv[1, 2, 7]) -> fix[N, 2, 1, 1] { conv2d(x, p) }",
        &[
            "E0308 2:68 `conv2d` gives `fix[N, 2, -2, -2]` here, and a size cannot be -2 | the window is larger than the padded input; check kernel, stride and padding",
        ],
    );
    check(
        "fn f[N](x: fix) -> fix { x }\nfn g(x: fix) -> fix { f(x) }",
        &["E0304 3:23 size `N` of `f` does not follow from the arguments | make it a parameter: `N: nat`"],
    );
    // A size that is a known multiple follows; the caller's `D` is not the callee's.
    check(
        "fn f[D](x: fix[h * D], h: nat) -> fix[h, D] { reshape(x, [h, D]) }\nfn g[D](x: fix[6 * D]) -> fix[3, 2 * D] { f(x, h = 3) }\nfn k[D](x: fix[6 * D]) -> fix[5, D] { f(x, h = 5) }",
        &["E0302 4:41 `x` of `f` is `fix[6*D]`, and `fix[D*h]` is needed"],
    );
    body(
        "reveal x to vendor",
        &["E0404 3:1 a function cannot open a value | give the value back, and open it in the `entry` that calls"],
    );
}

#[test]
fn secrets() {
    entry(
        "if sum(x, axis = 1)[0, 0] > 0.5 { x } else { w }",
        &[
            "E0401 3:4 a secret decides a branch | compute both and choose: `select(sum(x, axis = 1)[0, 0] > 0.5, x, w)`",
        ],
    );
    entry("if p > 0.5 { x } else { w }", &[]);
    entry(
        "if p > 0.5 { reveal x to vendor; } x",
        &[
            "E0305 3:14 `reveal` in a branch that is decided while running | choose the value in the branch, and reveal it behind",
        ],
    );
    entry(
        "var y = x; for j in 0..n { y = y + w; } y",
        &[
            "E0402 3:24 a loop bound is a secret, and it must be public | loop as often as any case needs, and `select` the turns that count",
        ],
    );
    entry(
        "x + sum(x, axis = n) * w",
        &["E0402 3:19 this argument is a secret, and it must be public | use a number, or a size from the shapes"],
    );
    entry(
        "x + x[n, 0]",
        &[
            "E0402 3:7 an index is a secret, and it must be public | to look up by a secret, multiply by a row that is 1 at the place and 0 elsewhere",
        ],
    );
    entry("x / w", &[]);
    entry(
        "x / (x + w)",
        &[
            "E0307 3:5 division by a value that no single owner knows | multiply by `reciprocal(..)`, or by one that a single owner computes",
        ],
    );
    entry("(x + w) * 0.0000001", &["E0502 3:11 `0.0000001` rounds to zero | raise `frac`, or scale the computation"]);
    entry("x * 0.0000001 + w", &[]);
    entry("(x + w) / 1000000.0", &["E0502 3:11 1/1000000 rounds to zero | raise `frac`, or scale the computation"]);
    entry(
        "(x + w) * 32768.0",
        &["E0503 3:11 `32768` lies outside of the number format | raise `int`, or scale the computation"],
    );
    entry("reveal x to vendor; x", &[]);
}

#[test]
fn a_secret_branch_shows_its_path() {
    let (_, diags, sources) = run(
        "fn pick(a: fix, b: fix) -> fix {\n    if a > b { a } else { b }\n}\nentry e(x: fix from hospital, w: fix from vendor) -> fix to all {\n    pick(x, w)\n}",
    );
    let labels: Vec<String> =
        diags[0].labels.iter().map(|l| format!("{} {}", sources.line_col(l.span).0, l.text)).collect();
    assert_eq!(
        labels,
        [
            "3 depends on hospital and vendor",
            "5 hospital's part enters here",
            "5 vendor's part enters here",
            "6 called here",
        ]
    );
    assert_eq!(diags[0].help.as_deref(), Some("compute both and choose: `select(a > b, a, b)`"));
}

#[test]
fn entries_and_headers() {
    check(
        "entry e(x: fix) -> fix { x }",
        &[
            "E0602 2:9 nobody gives the input `x` | write `x: T from hospital`, `x: public T` or `x: T from shares`",
            "E0603 2:20 nobody learns this result | say who does: `hospital`, `vendor`, `all`, `shares`",
        ],
    );
    check(
        "entry e(x: fix from hospitol) -> fix to bank { x }",
        &[
            "E0601 2:21 the header names no owner `hospitol` | did you mean `hospital`?",
            "E0601 2:41 the header names no owner `bank` | owners are `hospital`, `vendor`; `to all` means every owner",
        ],
    );
    check(
        "entry e[D](p: [fix; D] from vendor) -> fix to vendor { p[0] }",
        &[
            "E0304 2:15 the length `D` of an array in an input must be a number from 1 to 65536 | write it out: it decides which tensors are read",
        ],
    );
    check(
        "fn g(x: public fix) -> fix { x }\nentry e(x: fix from vendor) -> fix to vendor { g(x) }",
        &["E0402 3:50 `x` of `g` must be public | without `public` at `x`, the function takes secrets too"],
    );
    let mut sources = Sources::default();
    let file = sources.add("m.sml", "owners a;\nfixed(int = 40, frac = 16);");
    let mut diags = Vec::new();
    assert!(hir::check(&mut sources, file, &mut diags).is_none());
    assert_eq!(diags[0].code.to_string(), "E0501");
    assert!(program("").entry(None).is_err());
}

#[test]
fn state_and_records() {
    let p = program(
        "entry step[B](net: Linear[4, 2] from shares, x: fix[B, 4] from hospital, rate: public fix) -> (Linear[4, 2] to shares, fix[B, 4] to all) {
            (net - net * rate, x)
        }",
    );
    assert_eq!(
        p.learns(&p.entries[0]),
        [
            "nobody learns `out.0: Linear[4, 2]`, which stays shared, computed from the inputs of hospital and vendor",
            "every owner learns `out.1: fix[B, 4]`, computed from the inputs of hospital",
        ]
    );
}

/// Every program with a word missing or doubled is answered with messages, never with a panic.
#[test]
fn damaged_programs_are_survived() {
    let sources = [
        include_str!("../../tests/golden/parse/lenet.sml"),
        include_str!("../../tests/golden/parse/training.sml"),
        include_str!("../../stdlib/nn.sml"),
        "owners a, b;\nentry e[N](x: fix[N, 4] from a, y: (int[N], [fix[N]; 3]) from b) -> (fix[N] to all, int to b) {
            var h = x[0..N, 1]; for (i, v) in [(1, h), (2, y.1.0)] { h = h + v; }
            for j in 0..N { h = select(h > 0.5 && !(v < j), h, -h) / 2.0; }
            let (s, _) = (sum(h, axis = 0), { true }); reveal s to a; if N >= 2 { (h, y.0[0]) } else { (h * s, 3) }
        }",
    ];
    for text in sources {
        let words: Vec<&str> = text.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
        for skip in (0..words.len()).step_by(5) {
            for copies in [0, 2] {
                let mut damaged = words.clone();
                damaged.splice(skip..=skip, std::iter::repeat_n(words[skip], copies));
                let mut sources = Sources::default();
                let file = sources.add("model.sml", damaged.concat());
                let mut diags = Vec::new();
                if let Some(program) = hir::check(&mut sources, file, &mut diags) {
                    program.entries.iter().for_each(|e| assert!(program.learns(e).len() >= e.results.len()));
                    assert!(!hir::text::print(&program).is_empty());
                }
            }
        }
    }
}

#[test]
fn a_secret_branch_reads_as_in_the_manual() {
    let text = "owners hospital, vendor;
entry pick(
    s: fix[4] from hospital,
    w: fix[4] from vendor,
    a: public fix,
    b: public fix,
) -> fix to hospital {
    if max_over(s * w, axis = 0) > 0.5 { a } else { b }
}
";
    let mut sources = Sources::default();
    let file = sources.add("model.sml", text);
    let mut diags = Vec::new();
    hir::check(&mut sources, file, &mut diags);
    let shown = crate::diag::render::render(&diags, &sources, false);
    for line in [
        "error[E0401]: a secret decides a branch",
        "[ model.sml:8:8 ]",
        "depends on hospital and vendor",
        "hospital's part enters here",
        "Help: compute both and choose: `select(max_over(s * w, axis = 0) > 0.5, a, b)`",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}
