//! Programs and the graphs they become.

use std::collections::BTreeMap;

use crate::graph::verify::verify;
use crate::graph::{Graph, Op, Repr, eval};
use crate::hir;
use crate::span::Sources;

const DIGITS: &str = "owners client, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};
struct Digits { conv1: Conv[1, 32, 3], conv2: Conv[32, 64, 3], fc1: Linear[3136, 128], fc2: Linear[128, 10] }
entry classify[N](image: fix[N, 1, 28, 28] from client, net: Digits from vendor) -> fix[N, 10] to client {
    image
        |> conv2d(net.conv1, pad = 1) |> relu |> max_pool(2)
        |> conv2d(net.conv2, pad = 1) |> relu |> max_pool(2)
        |> flatten
        |> linear(net.fc1) |> relu
        |> linear(net.fc2)
}";

/// The graph of the only entry, or the messages.
fn lower(text: &str, dims: &[(&str, usize)]) -> Result<(Graph, Sources), Vec<String>> {
    let mut sources = Sources::default();
    let file = sources.add("model.sml", text);
    let mut diags = Vec::new();
    let dims: BTreeMap<String, usize> = dims.iter().map(|(n, d)| ((*n).to_string(), *d)).collect();
    let program = hir::check(&mut sources, file, &mut diags);
    let graph = program.and_then(|p| super::lower(&p, &p.entries[0].name, &dims, &mut diags));
    let messages: Vec<String> = diags.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
    graph.map(|g| (g, sources)).ok_or(messages)
}

/// One line a node: `3 Relu { unread: 0 }(2) ring16[1, 10]`.
fn lines(graph: &Graph) -> Vec<String> {
    let line = |id| {
        let node = graph.node(id);
        let operands: Vec<String> = graph.operands(id).iter().map(|o| o.index().to_string()).collect();
        let name = match &node.op {
            Op::Const(crate::graph::Constant::Splat(value)) => value.to_string(),
            Op::Input { path } => path.clone(),
            Op::Reveal { name, .. } => format!("reveal {name}"),
            op => format!("{op:?}"),
        };
        let repr = match node.ty.repr {
            Repr::Clear(label) => label.describe(&graph.owners),
            Repr::Public { scale } => format!("public{scale}"),
            Repr::Ring { scale } => format!("ring{scale}"),
            Repr::Bit => "bit".to_string(),
        };
        let operands = if operands.is_empty() { String::new() } else { format!("({})", operands.join(", ")) };
        format!("{} {name}{operands} {repr}{:?}", id.index(), node.ty.shape)
    };
    graph.order().into_iter().map(line).collect()
}

/// Lowers the expression over `x` of `a`, `y` of `b`, and compares the nodes after the inputs.
fn check(expression: &str, expected: &[&str]) {
    let text = format!(
        "owners a, b; use nn::{{relu}};
entry e(x: fix[2, 3] from a, y: fix[2, 3] from b, p: public fix, z: fix[2, 3] from a) -> fix[2, 3] to a {{ {expression} }}"
    );
    let (graph, _) = lower(&text, &[]).unwrap_or_else(|e| panic!("{expression}: {e:?}"));
    let mut found = lines(&graph);
    found
        .retain(|l| !["x", "y", "p", "z"].contains(&l.split(' ').nth(1).unwrap_or("").split('(').next().unwrap_or("")));
    assert_eq!(found, expected, "{expression}");
}

fn count(graph: &Graph, wanted: fn(&Op) -> bool) -> usize {
    graph.order().into_iter().filter(|n| wanted(&graph.node(*n).op)).count()
}

#[test]
fn digits_lowers() {
    let (graph, sources) = lower(DIGITS, &[("N", 2)]).unwrap();
    assert_eq!(count(&graph, |op| matches!(op, Op::Conv2d { .. })), 2);
    assert_eq!(count(&graph, |op| matches!(op, Op::MatMul)), 2);
    assert_eq!(count(&graph, |op| matches!(op, Op::Relu { .. })), 3);
    assert_eq!(count(&graph, |op| matches!(op, Op::MaxPool { .. })), 2);
    assert_eq!(count(&graph, |op| matches!(op, Op::Trunc { bits: 16 })), 4);
    assert_eq!(count(&graph, |op| matches!(op, Op::Share { .. })), 9);
    let result = graph.results().next().unwrap();
    assert_eq!(graph.node(result).ty.shape, [2, 10]);
    assert_eq!(graph.node(result).ty.repr, Repr::Ring { scale: 16 });
    // Every node names a line of the model, also those of the library's functions.
    for node in graph.order() {
        let span = graph.node(node).span.unwrap();
        assert_eq!(sources.file(span.file).name, "model.sml");
        if let Op::Conv2d { window, groups: 1 } = &graph.node(node).op {
            assert_eq!((window.size, window.stride, window.pad), ([3, 3], [1, 1], [1, 1]));
            assert!(sources.text(span).starts_with("conv2d(net.conv"), "{}", sources.text(span));
        }
    }
}

#[test]
fn lenet_lowers() {
    let (graph, _) = lower(include_str!("../../../tests/golden/parse/lenet.sml"), &[("N", 1)]).unwrap();
    let text = lines(&graph).join("\n");
    // The hospital scales its image before sharing it.
    assert!(text.contains("Div"), "{text}");
    assert!(text.contains("hospital[1, 1, 28, 28]"), "{text}");
    assert!(text.contains("ring16[1, 16, 5, 5]"), "{text}");
    assert_eq!(count(&graph, |op| matches!(op, Op::Share { .. })), 11);
}

#[test]
fn sums_and_products() {
    check(
        "x + y",
        &[
            "4 Share { scale: 16 }(0) ring16[2, 3]",
            "5 Share { scale: 16 }(1) ring16[2, 3]",
            "6 Add(4, 5) ring16[2, 3]",
            "7 reveal out(6) ring16[2, 3]",
        ],
    );
    check(
        "x * y * 3.0",
        &[
            "4 Share { scale: 16 }(0) ring16[2, 3]",
            "5 Share { scale: 16 }(1) ring16[2, 3]",
            "6 Mul(4, 5) ring32[2, 3]",
            "7 Trunc { bits: 16 }(6) ring16[2, 3]",
            "8 3 public[2, 3]",
            "9 Encode { scale: 0 }(8) public0[2, 3]",
            "10 Mul(7, 9) ring16[2, 3]",
            "11 reveal out(10) ring16[2, 3]",
        ],
    );
}

#[test]
fn what_one_owner_knows_stays_in_the_clear() {
    check(
        "(x * z + 1.0) / 255.0 + y",
        &[
            "4 Mul(0, 3) a[2, 3]",
            "5 1 public[2, 3]",
            "6 Add(4, 5) a[2, 3]",
            "7 255 public[2, 3]",
            "8 Div(6, 7) a[2, 3]",
            "9 Share { scale: 16 }(8) ring16[2, 3]",
            "10 Share { scale: 16 }(1) ring16[2, 3]",
            "11 Add(9, 10) ring16[2, 3]",
            "12 reveal out(11) ring16[2, 3]",
        ],
    );
    // Broadcasting comes after sharing, and the reciprocal is the owner's own work.
    check(
        "y / sum(x, axis = 1)",
        &[
            "4 Sum { axis: 1 }(0) a[2, 1]",
            "5 1 public[2, 1]",
            "6 Div(5, 4) a[2, 1]",
            "7 Broadcast(6) a[2, 3]",
            "8 Share { scale: 16 }(1) ring16[2, 3]",
            "9 Share { scale: 16 }(6) ring16[2, 1]",
            "10 Broadcast(9) ring16[2, 3]",
            "11 Mul(8, 10) ring32[2, 3]",
            "12 Trunc { bits: 16 }(11) ring16[2, 3]",
            "13 reveal out(12) ring16[2, 3]",
        ],
    );
}

#[test]
fn comparisons_and_choices() {
    check(
        "select(x >= y, x, y)",
        &[
            "4 Share { scale: 16 }(0) ring16[2, 3]",
            "5 Share { scale: 16 }(1) ring16[2, 3]",
            "6 Sub(4, 5) ring16[2, 3]",
            "7 IsNegative { unread: 0 }(6) bit[2, 3]",
            "8 1 public[2, 3]",
            "9 Encode { scale: 0 }(8) public0[2, 3]",
            "10 Xor(7, 9) bit[2, 3]",
            "11 Select(10, 4, 5) ring16[2, 3]",
            "12 reveal out(11) ring16[2, 3]",
        ],
    );
    check("if 1 + 1 == 2 { x } else { y }", &["4 Share { scale: 16 }(0) ring16[2, 3]", "5 reveal out(4) ring16[2, 3]"]);
    check(
        "select(x > 0.0, y, 0.0)",
        &[
            "4 0 public[2, 3]",
            "5 Sub(4, 0) a[2, 3]",
            "6 IsNegative { unread: 0 }(5) a[2, 3]",
            "7 0 public[2, 3]",
            "8 Sub(1, 7) b[2, 3]",
            "9 Share { scale: 0 }(6) ring0[2, 3]",
            "10 Share { scale: 16 }(8) ring16[2, 3]",
            "11 Mul(9, 10) ring16[2, 3]",
            "12 Encode { scale: 16 }(7) public16[2, 3]",
            "13 Add(11, 12) ring16[2, 3]",
            "14 reveal out(13) ring16[2, 3]",
        ],
    );
}

#[test]
fn loops_records_and_slices() {
    check(
        "var h = x; for i in 0..2 { h = h + z[i..i + 1, 0..3]; } h + y",
        &[
            "4 Slice { axis: 0, start: 0, step: 1 }(3) a[1, 3]",
            "5 Broadcast(4) a[2, 3]",
            "6 Add(0, 5) a[2, 3]",
            "7 Slice { axis: 0, start: 1, step: 1 }(3) a[1, 3]",
            "8 Broadcast(7) a[2, 3]",
            "9 Add(6, 8) a[2, 3]",
            "10 Share { scale: 16 }(9) ring16[2, 3]",
            "11 Share { scale: 16 }(1) ring16[2, 3]",
            "12 Add(10, 11) ring16[2, 3]",
            "13 reveal out(12) ring16[2, 3]",
        ],
    );
    check(
        "let (s, t) = (x, y) ; var h = s; for q in [s, t] { h = h - q; } h",
        &[
            "4 Sub(0, 0) a[2, 3]",
            "5 Share { scale: 16 }(4) ring16[2, 3]",
            "6 Share { scale: 16 }(1) ring16[2, 3]",
            "7 Sub(5, 6) ring16[2, 3]",
            "8 reveal out(7) ring16[2, 3]",
        ],
    );
}

#[test]
fn residual_networks_lower() {
    let text = "owners a, b;
use nn::{BatchNorm, ConvNoBias, Linear, avg_pool, batch_norm, conv2d_no_bias, flatten, global_avg_pool, linear, relu};
struct Block[C] { conv1: ConvNoBias[C, C, 3], bn1: BatchNorm[C], conv2: ConvNoBias[C, C, 3], bn2: BatchNorm[C] }
struct Net { layers: [Block[8]; 2], fc: Linear[8, 5] }
fn block[N, C, H, W](x: fix[N, C, H, W], p: Block[C]) -> fix[N, C, H, W] {
    let y = x
        |> conv2d_no_bias(p.conv1, pad = 1) |> batch_norm(p.bn1) |> relu
        |> conv2d_no_bias(p.conv2, pad = 1) |> batch_norm(p.bn2);
    relu(x + y)
}
fn stage[N, C, H, W, D](x: fix[N, C, H, W], blocks: [Block[C]; D]) -> fix[N, C, H, W] {
    var h = x;
    for p in blocks { h = block(h, p); }
    h
}
entry e[N, S](x: fix[N, 8, S, S] from a, net: Net from b) -> (int[N] to a, fix[N, 5] to all) {
    let scores = x |> stage(net.layers) |> avg_pool(2) |> global_avg_pool |> flatten |> linear(net.fc);
    (argmax(scores), scores)
}";
    let (graph, _) = lower(text, &[("N", 3), ("S", 9)]).unwrap_or_else(|e| panic!("{e:?}"));
    let inputs: Vec<String> = graph.inputs().map(|(_, p)| p.to_string()).collect();
    assert_eq!(inputs[1], "net.layers.0.conv1.weight");
    assert_eq!(count(&graph, |op| matches!(op, Op::Conv2d { .. })), 4);
    let results: Vec<Vec<usize>> = graph.results().map(|r| graph.node(r).ty.shape.clone()).collect();
    assert_eq!(results, [vec![3], vec![3, 5]]);
    assert_eq!(lower(text, &[("N", 3)]).unwrap_err(), ["E0304 nothing determines the size `S`"]);
    assert_eq!(
        lower(text, &[("N", 3), ("S", 1)]).unwrap_err(),
        ["E0308 a shape comes out as `[3, 8, 0, 0]` for these sizes"]
    );
}

#[test]
fn constants_that_sizes_determine_are_checked() {
    let text = "owners a, b;
entry e[N](x: fix[N, 2] from a, y: fix[N, 2] from b) -> fix[1, 2] to a { mean(x + y, axis = 0) }";
    assert!(lower(text, &[("N", 100)]).is_ok());
    assert!(lower(text, &[("N", 200_000)]).is_ok(), "the ring has room for a finer constant");
    let narrow = text.replace("owners a, b;", "owners a, b; fixed(int = 16, frac = 16, ring = 49);");
    assert_eq!(lower(&narrow, &[("N", 200_000)]).unwrap_err(), ["E0502 the constant 5e-6 rounds to zero"]);
    let text = "owners a, b; use nn::{Linear};
entry e(p: Linear[2, 1] from a, q: Linear[2, 1] from b, rate: public fix) -> Linear[2, 1] to a { p - q * rate * 0.5 }";
    let names: Vec<String> = lower(text, &[]).unwrap().0.results().map(|_| String::new()).collect();
    assert_eq!(names.len(), 2);
    let text = "owners a; entry e(x: fix from shares) -> (fix to shares, fix to a) { (grad(x * x, x), x) }";
    let graph = lower(text, &[]).unwrap().0;
    let printed = crate::graph::text::print(&graph);
    for line in ["stored \"x\" : ring(16) []", "gradient %2 %0 : ring(16) []", "keep \"out.0\" %3 : ring(16) []"] {
        assert!(printed.contains(line), "{line}:\n{printed}");
    }
}

#[test]
fn a_public_value_of_the_run_decides_a_branch() {
    let text = "owners a, b; entry e(x: fix[3] from a, w: fix[3] from b, p: public fix, q: bool[3] from b) -> (fix[3] to a, bool[3] to a) {
        var h = x * w;
        var k = 1.0;
        if p > 0.5 { h = h + w; k = 2.0; } else { let t = x; h = t * k; }
        (h * k, if p > 0.5 { q } else { x > w })
    }";
    let (graph, _) = lower(text, &[]).unwrap();
    verify(&graph).unwrap();
    for (p, first, second) in [(1.0, [4.0, -8.0, 5.0], [1.0, 0.0, 1.0]), (0.0, [1.0, 3.0, 0.5], [0.0, 1.0, 0.0])] {
        let inputs =
            [("x", vec![1.0, 3.0, 0.5]), ("w", vec![1.0, -1.0, 5.0 / 3.0]), ("p", vec![p]), ("q", vec![1.0, 0.0, 1.0])];
        let inputs = inputs.into_iter().map(|(n, v)| (n.to_string(), v)).collect();
        let results = eval::results(&graph, &inputs, eval::Mode::Real).unwrap();
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(&results["out.0"], &first), "{results:?}");
        assert!(near(&results["out.1"], &second), "{results:?}");
    }
}
