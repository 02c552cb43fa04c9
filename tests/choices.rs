//! Programs that choose by public and by secret bits, run by three parties: results against what they mean.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use smlc::plan::{cost, lower, verify};
use smlc::run::lockstep;
use smlc::span::Sources;
use smlc::{graph, hir, pass};

type Data = BTreeMap<String, Vec<f64>>;

/// The results of the only entry, with counted bytes equal to the report's.
fn run(program: &str, data: &[(&str, &[f64])]) -> Data {
    let mut sources = Sources::default();
    let file = sources.add("choices.sml", program);
    let mut diags = Vec::new();
    let checked = hir::check(&mut sources, file, &mut diags);
    assert!(diags.is_empty(), "{}", smlc::diag::render::render(&diags, &sources, false));
    let checked = checked.unwrap();
    let graph = graph::lower::lower(&checked, &checked.entries[0].name, &BTreeMap::new(), &mut diags).unwrap();
    let graph = pass::unrolled(&graph, &[]).unwrap();
    let plan = lower::lower(&graph, &sources, lower::Options::default());
    verify::verify(&plan).unwrap();
    let data = data.iter().map(|(name, values)| ((*name).to_string(), values.to_vec())).collect();
    let outcome = lockstep::run(&plan, &data, &mut |_, _, _, _| {}).unwrap();
    assert_eq!(outcome.bytes_per_link, cost::cost(&plan).bytes_per_link);
    outcome.outputs
}

fn near(found: &[f64], expected: &[f64], error: f64) {
    let all = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= error);
    assert!(all && found.len() == expected.len(), "{found:?} instead of {expected:?}");
}

const X: [f64; 4] = [1.0, -2.0, 3.0, 0.5];
const W: [f64; 4] = [0.5, 4.0, -1.0, 2.0];

#[test]
fn public_bits_meet_shared_ones() {
    let program = "owners a, b;
entry f(x: fix[4] from a, w: fix[4] from b, m: public int, q: public bool[4])
    -> (fix[4] to a, fix[4] to a, fix[4] to a, bool[4] to b, bool[4] to b, bool[4] to a) {
    let c = if m == 1 { x > 0.0 } else { w > 0.0 };
    var d = x > w;
    if m == 1 { d = w > x; }
    (select(c, x, w), select(d, x, w), select(m > 0 || x > w, x, w), q && x > w, q || x > w, !(x > w))
}";
    for m in [0.0, 1.0] {
        let q = [1.0, 0.0, 1.0, 1.0];
        let out = run(program, &[("x", &X), ("w", &W), ("m", &[m]), ("q", &q)]);
        let choose =
            |bit: &dyn Fn(usize) -> bool| -> Vec<f64> { (0..4).map(|i| if bit(i) { X[i] } else { W[i] }).collect() };
        let bits = |bit: &dyn Fn(usize) -> bool| -> Vec<f64> { (0..4).map(|i| f64::from(bit(i))).collect() };
        near(&out["out.0"], &choose(&|i| if m == 1.0 { X[i] > 0.0 } else { W[i] > 0.0 }), 0.0);
        near(&out["out.1"], &choose(&|i| if m == 1.0 { W[i] > X[i] } else { X[i] > W[i] }), 0.0);
        near(&out["out.2"], &choose(&|i| m > 0.0 || X[i] > W[i]), 0.0);
        near(&out["out.3"], &bits(&|i| q[i] == 1.0 && X[i] > W[i]), 0.0);
        near(&out["out.4"], &bits(&|i| q[i] == 1.0 || X[i] > W[i]), 0.0);
        near(&out["out.5"], &bits(&|i| X[i] <= W[i]), 0.0);
    }
}

/// A difference that is chosen from may be twice as large as any number of the format, and this format leaves no bit to
/// spare in the ring.
#[test]
fn choices_at_the_edge_of_the_ring() {
    let program = "owners a, b; fixed(int = 31, frac = 16);
entry f(x: fix[256] from a, w: fix[256] from b, m: public int) -> (fix[256] to a, fix[256] to a) {
    let (plus, minus) = (x * w, (0.0 - x) * w);
    (if m > 0 { plus } else { minus }, select(x[0] + w[0] > 0.0, x * w, (0.0 - x) * w))
}";
    let big = [32000.0; 256];
    let out = run(program, &[("x", &big), ("w", &big), ("m", &[1.0])]);
    near(&out["out.0"], &[1.024e9; 256], 0.0);
    near(&out["out.1"], &[1.024e9; 256], 0.0);
}

#[test]
fn variables_of_a_branch_end_with_it() {
    let program = "owners a, b;
entry f(x: fix[4] from a, w: fix[4] from b, m: public int) -> fix[4] to a {
    var h = x * w;
    for i in 1..4 {
        if m == 1 { h = h + 1.0; } else { let u = w[0..i]; h = h - sum(u, axis = 0); }
    }
    h
}";
    let data = |m: f64| [("x", X.to_vec()), ("w", W.to_vec()), ("m", vec![m])];
    for (m, change) in [(1.0, 3.0), (0.0, -(0.5 + 4.5 + 3.5))] {
        let data = data(m);
        let data: Vec<(&str, &[f64])> = data.iter().map(|(n, v)| (*n, v.as_slice())).collect();
        let expected: Vec<f64> = (0..4).map(|i| X[i] * W[i] + change).collect();
        near(&run(program, &data)["out"], &expected, 2f64.powi(-15));
    }
}

/// A loop costs what its turns cost when they are written one after the other.
#[test]
fn loops_cost_what_their_turns_do() {
    let cost = |body: &str| {
        let program = format!(
            "owners a, b; use nn::relu; entry f(x: fix[4] from a, w: fix[4] from b) -> fix[4] to a {{ var h = x; var y = x; {body} h + y }}"
        );
        let mut sources = Sources::default();
        let file = sources.add("cost.sml", program);
        let checked = hir::check(&mut sources, file, &mut Vec::new()).unwrap();
        let graph = graph::lower::lower(&checked, "f", &BTreeMap::new(), &mut Vec::new()).unwrap();
        let graph = pass::unrolled(&graph, &[]).unwrap();
        let cost = cost::cost(&lower::lower(&graph, &sources, lower::Options::default()));
        (cost.bytes_total, cost.rounds)
    };
    for turn in ["h = h + x * w;", "h = h * relu(x * w);", "h = h * w; y = relu(h);", "y = h; h = h * h;"] {
        let rolled = cost(&format!("for _ in 0..4 {{ {turn} }}"));
        assert_eq!(rolled, cost(&turn.repeat(4)), "{turn}");
    }
}
