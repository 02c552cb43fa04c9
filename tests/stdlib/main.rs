//! The standard library's functions keep the error bounds that their comments state: over their whole domains in exact
//! fixed point, in real numbers, and in three-party runs, whose roundings are drawn by chance.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accuracy;

use std::collections::BTreeMap;

use smlc::fixed::{Format, pow2};
use smlc::graph::{self, Graph, eval};
use smlc::plan::lower;
use smlc::run::lockstep;
use smlc::span::Sources;
use smlc::{hir, pass};

const FORMATS: [Format; 3] = [
    Format { ring: 64, int: 16, frac: 16 },
    Format { ring: 64, int: 14, frac: 24 },
    Format { ring: 48, int: 15, frac: 16 },
];

type Data = BTreeMap<String, Vec<f64>>;

fn compile(format: Format, text: &str, dims: &[(&str, usize)]) -> (Graph, Sources) {
    let Format { ring, int, frac } = format;
    let mut sources = Sources::default();
    let head = format!("owners a, b;\nfixed(int = {int}, frac = {frac}, ring = {ring});\n");
    let file = sources.add("test.sml", head + text);
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    let dims = dims.iter().map(|(name, n)| ((*name).to_string(), *n)).collect();
    let graph = program.and_then(|p| graph::lower::lower(&p, "f", &dims, &mut diags));
    let mut graph = graph.unwrap_or_else(|| panic!("{}", smlc::diag::render::render(&diags, &sources, false)));
    assert!(diags.is_empty(), "{}", smlc::diag::render::render(&diags, &sources, false));
    pass::run(&mut graph, None, &[]).unwrap();
    (graph, sources)
}

/// The result in real numbers, in exact fixed point, or of three parties.
fn compute(arithmetic: &str, graph: &Graph, sources: &Sources, data: &Data) -> Vec<f64> {
    let mut results = match arithmetic {
        "real" => eval::results(graph, data, eval::Mode::Real).unwrap(),
        "fixed" => eval::results(graph, data, eval::Mode::Fixed).unwrap(),
        _ => {
            let plan = lower::lower(graph, sources, lower::Options::default());
            lockstep::run(&plan, data, &mut |_, _, _, _| {}).unwrap().outputs
        }
    };
    results.remove("out").unwrap()
}

/// Everything a function of one number promises.
struct Promise {
    call: &'static str,
    exact: fn(f64) -> f64,
    /// From where to where; the format's range cuts it off.
    domain: [f64; 2],
    /// Largest error at x for steps of u.
    bound: fn(u: f64, x: f64) -> f64,
}

/// Numbers of the format: both ends, neighbours of powers of two, and an even and a geometric sweep.
fn points(format: Format, [low, high]: [f64; 2], count: usize) -> Vec<f64> {
    let u = pow2(-(format.frac as i32));
    let (low, high) = (low.max(u - format.limit()), high.min(format.limit() - u));
    let mut all = vec![low, high];
    for e in -(format.frac as i32)..format.int as i32 {
        all.extend([pow2(e) - u, pow2(e), pow2(e) + u, u - pow2(e), -pow2(e), -pow2(e) - u]);
    }
    for i in 0..count {
        let part = (i as f64 + 0.5) / count as f64;
        all.push(low + (high - low) * part);
        // From the step of the format to the far end, on both sides.
        for end in [low, high] {
            all.push(u * (end / u).abs().max(1.0).powf(part) * end.signum());
        }
    }
    all.iter().map(|x| (x / u).round() * u).filter(|x| (low..=high).contains(x)).collect()
}

fn worst(promise: &Promise, u: f64, xs: &[f64], found: &[f64]) -> (f64, f64) {
    assert_eq!(xs.len(), found.len());
    let ratio = |(x, y): (&f64, &f64)| ((y - (promise.exact)(*x)).abs() / (promise.bound)(u, *x), *x);
    xs.iter().zip(found).map(ratio).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error function by its series, which converges everywhere.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.5 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

fn gelu_tanh(x: f64) -> f64 {
    x * sigmoid(1.595_769_121_605_730_8 * (x + 0.044_715 * x * x * x))
}

const PROMISES: &[Promise] = &[
    Promise {
        call: "math::reciprocal",
        exact: |x| 1.0 / x,
        domain: [0.0, 32768.0],
        bound: |u, x| (4.0 * u + 5e-7) / x + u,
    },
    Promise {
        call: "math::rsqrt",
        exact: |x| 1.0 / x.sqrt(),
        domain: [0.0, 32768.0],
        bound: |u, x| (4.0 * u + 5e-7) / x.sqrt() + u,
    },
    Promise {
        call: "math::sqrt",
        exact: f64::sqrt,
        domain: [0.0, 32768.0],
        bound: |u, x| (5.0 * u + 5e-7) * x.sqrt() + u,
    },
    Promise {
        call: "math::exp",
        exact: f64::exp,
        domain: [f64::MIN, 10.39],
        bound: |u, x| (u + pow2(-17)) * x.exp() + 2.0 * u,
    },
    Promise { call: "math::exp_neg", exact: f64::exp, domain: [f64::MIN, 0.0], bound: |u, _| 2.0 * u },
    Promise { call: "math::log", exact: f64::ln, domain: [0.0, 32768.0], bound: |u, _| 6.0 * u + 1e-6 },
    Promise { call: "math::sigmoid", exact: sigmoid, domain: [f64::MIN, f64::MAX], bound: |u, _| 3.0 * u + 4e-6 },
    Promise { call: "math::tanh", exact: f64::tanh, domain: [f64::MIN, f64::MAX], bound: |u, _| 3.0 * u + 4e-6 },
    Promise { call: "math::erf", exact: erf, domain: [f64::MIN, f64::MAX], bound: |u, _| 3.0 * u + 4e-6 },
    Promise {
        call: "math::sin",
        exact: f64::sin,
        domain: [-512.0, 512.0],
        bound: |u, x| 3.0 * u + 4e-7 * x.abs() + 1e-6,
    },
    Promise {
        call: "math::cos",
        exact: f64::cos,
        domain: [-512.0, 512.0],
        bound: |u, x| 3.0 * u + 4e-7 * x.abs() + 1e-6,
    },
    Promise {
        call: "nn::gelu",
        exact: |x| x * (0.5 + 0.5 * erf(x / f64::sqrt(2.0))),
        domain: [f64::MIN, f64::MAX],
        bound: |u, _| 4.0 * u + 2e-6,
    },
    Promise { call: "nn::gelu_tanh", exact: gelu_tanh, domain: [f64::MIN, f64::MAX], bound: |u, _| 4.0 * u + 2e-6 },
    Promise { call: "nn::silu", exact: |x| x * sigmoid(x), domain: [f64::MIN, f64::MAX], bound: |u, _| 4.0 * u + 8e-6 },
    Promise {
        call: "nn::elu",
        exact: |x| if x > 0.0 { x } else { x.exp_m1() },
        domain: [f64::MIN, f64::MAX],
        bound: |u, _| 4.0 * u,
    },
    Promise {
        call: "nn::leaky_relu",
        exact: |x| if x > 0.0 { x } else { 0.01 * x },
        domain: [f64::MIN, f64::MAX],
        bound: |u, x| 3.0 * u + 1e-5 * x.abs(),
    },
    Promise { call: "nn::relu6", exact: |x| x.clamp(0.0, 6.0), domain: [f64::MIN, f64::MAX], bound: |u, _| u * 0.5 },
];

/// Asserts the promise in every format and in every kind of arithmetic.
fn hold(promise: &Promise) {
    let mut broken = Vec::new();
    for format in FORMATS {
        let u = pow2(-(format.frac as i32));
        // `y` adds nothing, but after the addition nobody knows the number.
        let text =
            format!("entry f[N](x: fix[N] from a, y: fix[N] from b) -> fix[N] to a {{ {}(x + y) }}", promise.call);
        for (arithmetic, count) in [("real", 5_000), ("fixed", 20_000), ("run", 1_000)] {
            let xs = within(promise, format, count);
            assert!(xs.len() > count / 2);
            let (graph, sources) = compile(format, &text, &[("N", xs.len())]);
            let data = Data::from([("y".into(), vec![0.0; xs.len()]), ("x".into(), xs.clone())]);
            let found = compute(arithmetic, &graph, &sources, &data);
            // Real numbers err by the method alone, and by what is below a step.
            let u = if arithmetic == "real" { u / 2.0 } else { u };
            let (part, x) = worst(promise, u, &xs, &found);
            if part > 1.0 {
                broken.push(format!("{} {format:?} {arithmetic}: {part:.3} times the bound at {x}", promise.call));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The points of a promise's domain at which the result is within the format.
fn within(promise: &Promise, format: Format, count: usize) -> Vec<f64> {
    let mut xs = points(format, promise.domain, count);
    xs.retain(|x| (promise.exact)(*x).abs() < format.limit() * 0.999);
    xs
}

#[test]
fn reciprocals_and_roots() {
    PROMISES[..3].iter().for_each(hold);
}

#[test]
fn exponentials_and_logarithms() {
    PROMISES[3..6].iter().for_each(hold);
}

#[test]
fn saturating_functions() {
    PROMISES[6..9].iter().for_each(hold);
}

#[test]
fn circles() {
    PROMISES[9..11].iter().for_each(hold);
}

#[test]
fn activations() {
    PROMISES[11..].iter().for_each(hold);
}

/// A bound of 1 in the table would hold as well if the functions were wrong by a little: the bounds are no more than
/// ten times what is found.
#[test]
fn promises_are_not_idle() {
    let format = FORMATS[0];
    let u = pow2(-16);
    for promise in PROMISES.iter().filter(|p| !["nn::relu6", "nn::leaky_relu"].contains(&p.call)) {
        let text =
            format!("entry f[N](x: fix[N] from a, y: fix[N] from b) -> fix[N] to a {{ {}(x + y) }}", promise.call);
        let xs = within(promise, format, 5_000);
        let (graph, sources) = compile(format, &text, &[("N", xs.len())]);
        let data = Data::from([("y".into(), vec![0.0; xs.len()]), ("x".into(), xs.clone())]);
        let found = compute("fixed", &graph, &sources, &data);
        assert!(worst(promise, u, &xs, &found).0 > 0.1, "{}", promise.call);
    }
}

#[test]
fn formats_that_are_too_small_are_refused() {
    for (int, frac, call, code) in
        [(16, 14, "reciprocal", "E0502"), (16, 14, "rsqrt", "E0502"), (4, 16, "sigmoid", "E0503")]
    {
        let mut sources = Sources::default();
        let text = format!(
            "owners a, b;\nfixed(int = {int}, frac = {frac});\nentry f(x: fix from a, y: fix from b) -> fix to a {{ math::{call}(x * y) }}"
        );
        let file = sources.add("test.sml", text);
        let mut diags = Vec::new();
        let program = hir::check(&mut sources, file, &mut diags);
        program.map(|p| graph::lower::lower(&p, "f", &BTreeMap::new(), &mut diags));
        let codes: Vec<String> = diags.iter().map(|d| d.code.to_string()).collect();
        assert_eq!(codes, [code], "{call} at int = {int}, frac = {frac}");
    }
}

/// Rows of numbers of the format: equal ones, one that leads, and scattered ones of several sizes.
fn rows(u: f64, width: usize, limit: f64) -> Vec<Vec<f64>> {
    let mut state = 3u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31) * 2.0 - 1.0
    };
    let mut all = vec![vec![0.0; width]];
    all.push((0..width).map(|i| if i == 1 { limit } else { -limit }).collect());
    for i in 0..200 {
        let size = limit * 2f64.powf(-0.1 * f64::from(i));
        all.push((0..width).map(|_| (next() * size / u).round() * u).collect());
    }
    all
}

/// A function of rows, with the largest error of each result: width, u, exact row, that row's input.
type Rows = (&'static str, fn(&[f64]) -> Vec<f64>, f64, fn(f64, f64, f64, &[f64]) -> f64);

fn spread(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64
}

fn furthest(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean).abs()).fold(0.0, f64::max)
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::MIN, f64::max);
    let e: Vec<f64> = x.iter().map(|v| (v - top).exp()).collect();
    e.iter().map(|v| v / e.iter().sum::<f64>()).collect()
}

fn log_softmax(x: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = x.iter().map(|v| (v - top).exp()).sum();
    x.iter().map(|v| v - top - sum.ln()).collect()
}

fn standardise(x: &[f64]) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean) / (spread(x) + 1e-5).sqrt()).collect()
}

const ROWS: [Rows; 3] = [
    ("nn::softmax", softmax, 30.0, |width, u, _, _| (14.0 + 3.0 * width) * (u + 2e-7)),
    ("nn::log_softmax", log_softmax, 30.0, |width, u, _, _| (10.0 + 3.0 * width) * (u + 2e-7)),
    ("nn::standardise", standardise, 100.0, |_, u, y, x| {
        let s = spread(x).sqrt();
        u * (1.0 + y.abs()) * (10.0 + s + 4.0 / s + 2.0 / (s * s))
    }),
];

#[test]
fn functions_of_rows() {
    for (call, exact, limit, bound) in ROWS {
        for (format, width) in [(FORMATS[0], 3), (FORMATS[0], 10), (FORMATS[1], 10), (FORMATS[2], 7)] {
            let u = pow2(-(format.frac as i32));
            let mut xs = rows(u, width, limit);
            if call == "nn::standardise" {
                xs.retain(|x| spread(x) >= 1.0 / 4096.0 && furthest(x).powi(2) < format.limit());
            }
            let text = format!(
                "entry f[N](x: fix[N, 2, {width}] from a, y: fix[N, 2, {width}] from b) -> fix[N, 2, {width}] to a {{ {call}(x + y) }}"
            );
            xs.truncate(xs.len() / 2 * 2);
            let (graph, sources) = compile(format, &text, &[("N", xs.len() / 2)]);
            let data = Data::from([("y".into(), vec![0.0; xs.len() * width]), ("x".into(), xs.concat())]);
            for arithmetic in ["fixed", "run"] {
                let found = compute(arithmetic, &graph, &sources, &data);
                let mut worst = 0.0f64;
                for (x, found) in xs.iter().zip(found.chunks_exact(width)) {
                    for (y, wanted) in found.iter().zip(exact(x)) {
                        let part = (y - wanted).abs() / bound(width as f64, u, wanted, x);
                        assert!(part <= 1.0, "{call} {format:?} {arithmetic}: {y} instead of {wanted} for {x:?}");
                        worst = worst.max(part);
                    }
                }
                assert!(worst > 0.005, "{call}: the bound is idle");
            }
        }
    }
}

#[test]
fn losses() {
    let (n, c, format) = (40, 10, FORMATS[1]);
    let z = rows(pow2(-24), c, 12.0)[2..2 + n].to_vec();
    let t: Vec<f64> = (0..n * c).map(|i| f64::from(u8::from(i % c == i / c * 7 % c))).collect();
    let data = Data::from([("z".into(), z.concat()), ("t".into(), t.clone())]);
    let mean = |f: &dyn Fn(usize, usize) -> f64| -> f64 {
        (0..n).flat_map(|i| (0..c).map(move |j| (i, j))).map(|(i, j)| f(i, j)).sum::<f64>() / n as f64
    };
    let cross_entropy = mean(&|i, j| -t[i * c + j] * log_softmax(&z[i])[j]);
    let mse = mean(&|i, j| (z[i][j] - t[i * c + j]).powi(2)) / c as f64;
    for (call, exact, error) in [("cross_entropy", cross_entropy, 2e-5), ("mse", mse, 1e-5)] {
        let text =
            format!("entry f[N, C](z: fix[N, C] from a, t: fix[N, C] from b) -> fix to a {{ loss::{call}(z, t) }}");
        let (graph, sources) = compile(format, &text, &[("N", n), ("C", c)]);
        for arithmetic in ["real", "fixed", "run"] {
            let found = compute(arithmetic, &graph, &sources, &data);
            assert!(
                found.len() == 1 && (found[0] - exact).abs() < error,
                "{call} {arithmetic}: {found:?}, not {exact}"
            );
        }
    }
}
