//! Functions of single numbers, with the bounds that the library documents.

use crate::table::{Draw, Instance, Operator, SHAPES, count, map, tensor, zip};
use smlc::fixed::pow2;

pub const OPERATORS: &[Operator] = &[
    Operator::fine("reciprocal", |d| {
        let least = 1.0 / d.format.limit() * 1.001;
        unary(d, "math::reciprocal", [least, f64::MAX], |x| 1.0 / x, |x, u| (4.0 * u + 5e-7) / x + u)
    }),
    Operator::fine("divide", divide),
    Operator::fine("rsqrt", |d| {
        unary(d, "math::rsqrt", [0.0, f64::MAX], |x| 1.0 / x.sqrt(), |x, u| (4.0 * u + 5e-7) / x.sqrt() + u)
    }),
    Operator::fine("sqrt", |d| {
        unary(d, "math::sqrt", [0.0, f64::MAX], f64::sqrt, |x, u| (5.0 * u + 5e-7) * x.sqrt() + u)
    }),
    Operator::new("exp", |d| {
        let high = (d.format.limit() * 0.999).ln();
        unary(d, "math::exp", [f64::MIN, high], f64::exp, |x, u| (u + pow2(-17)) * x.exp() + 2.0 * u)
    }),
    Operator::new("exp_neg", |d| unary(d, "math::exp_neg", [f64::MIN, 0.0], f64::exp, |_, u| 2.0 * u)),
    Operator::new("exp_between", |d| {
        let f = |x: f64| x.exp();
        unary_call(d, "math::exp_between(x + y, -2.5, 3.25)", [-2.5, 3.25], f, |x, u| pow2(-17) * x.exp() + 1.5 * u)
    }),
    Operator::fine("log", |d| unary(d, "math::log", [0.0, f64::MAX], f64::ln, |_, u| 6.0 * u + 1e-6)),
    Operator::fine("pow", pow),
    Operator::new("sigmoid", |d| unary(d, "math::sigmoid", ALL, sigmoid, |_, u| 3.0 * u + 4e-6)),
    Operator::new("tanh", |d| unary(d, "math::tanh", ALL, f64::tanh, |_, u| 3.0 * u + 4e-6)),
    Operator::new("erf", |d| unary(d, "math::erf", ALL, erf, |_, u| 3.0 * u + 4e-6)),
    Operator::new("sin", |d| {
        let limit = d.format.limit() / 64.0;
        unary(d, "math::sin", [-limit, limit], f64::sin, |x, u| 3.0 * u + 4e-7 * x.abs() + 1e-6)
    }),
    Operator::new("cos", |d| {
        let limit = d.format.limit() / 64.0;
        unary(d, "math::cos", [-limit, limit], f64::cos, |x, u| 3.0 * u + 4e-7 * x.abs() + 1e-6)
    }),
    Operator::new("piecewise", |d| {
        let call = "math::piecewise(x + y, 1.0, 0.5, math::nodes(1.0, 0.5, pieces = 8, degree = 3) * 0.25)";
        unary_call(d, call, [1.0, 4.5], |x| 0.25 * x, |_, u| 3.0 * u)
    }),
    Operator::fine("normaliser", |d| leading(d, "normaliser", |e| pow2(-e))),
    Operator::fine("even_normaliser", |d| leading(d, "even_normaliser", |e| pow2(-2 * even(e)))),
    Operator::fine("root_normaliser", |d| leading(d, "root_normaliser", |e| pow2(-even(e)))),
    Operator::fine("root_exponent", |d| leading(d, "root_exponent", |e| pow2(even(e)))),
    Operator::new("exponent", |d| leading(d, "exponent", f64::from)),
    Operator::new("gelu", |d| {
        unary(d, "nn::gelu", ALL, |x| x * (0.5 + 0.5 * erf(x / f64::sqrt(2.0))), |_, u| 4.0 * u + 2e-6)
    }),
    Operator::new("gelu_tanh", |d| {
        let f = |x: f64| x * sigmoid(1.595_769_121_605_730_8 * (x + 0.044_715 * x * x * x));
        unary(d, "nn::gelu_tanh", ALL, f, |_, u| 4.0 * u + 2e-6)
    }),
    Operator::new("silu", |d| unary(d, "nn::silu", ALL, |x| x * sigmoid(x), |_, u| 4.0 * u + 8e-6)),
    Operator::new("softplus", |d| {
        unary(d, "nn::softplus", ALL, |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p(), |_, u| 4.0 * u + 8e-6)
    }),
    Operator::new("elu", |d| {
        unary(d, "nn::elu", [f64::MIN, f64::MAX], |x| if x > 0.0 { x } else { x.exp_m1() }, |_, u| 4.0 * u)
    }),
];

const ALL: [f64; 2] = [f64::MIN, f64::MAX];

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

/// Half of what is from -20 to 20 and half of the domain, without its open end at 0.
fn arguments(d: &mut Draw, n: usize, [low, high]: [f64; 2]) -> Vec<f64> {
    let u = d.u();
    // Sums and differences with the table's ends are within the format.
    let largest = d.largest() - 64.0;
    let up = |x: f64| (x / u).ceil() * u;
    let (low, high) = (up(low.max(-largest)), (high.min(largest) / u).floor() * u);
    let low = if low == 0.0 { u } else { low };
    let far = d.numbers(n, low, high);
    let near = d.numbers(n, low.max(-20.0), high.min(20.0));
    far.into_iter().zip(near).map(|(far, near)| if d.random.below(2) == 0 { far } else { near }).collect()
}

fn unary(
    d: &mut Draw,
    function: &str,
    domain: [f64; 2],
    f: impl Fn(f64) -> f64,
    bound: impl Fn(f64, f64) -> f64,
) -> Instance {
    unary_call(d, &format!("{function}(x + y)"), domain, f, bound)
}

fn unary_call(
    d: &mut Draw,
    call: &str,
    domain: [f64; 2],
    f: impl Fn(f64) -> f64,
    bound: impl Fn(f64, f64) -> f64,
) -> Instance {
    let shape = d.pick(SHAPES);
    let sums = arguments(d, count(shape), domain);
    let [x, y] = d.split(&sums);
    let (t, u) = (tensor("fix", shape), d.u());
    let bounds = map(&sums, |s| bound(s, u));
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to a {{ {call} }}"))
        .within(map(&sums, f), bounds)
        .with("x", x)
        .with("y", y)
}

/// What follows from the highest bit: a function of the e for which 2^(e-1) <= x < 2^e.
fn leading(d: &mut Draw, name: &str, f: impl Fn(i32) -> f64) -> Instance {
    let exponent = |x: f64| if x > 0.0 { f(x.log2().floor() as i32 + 1) } else { 0.0 };
    let shape = d.pick(SHAPES);
    let high = d.largest();
    let sums = d.numbers(count(shape), 0.0, high);
    let [x, y] = d.split(&sums);
    let t = tensor("fix", shape);
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to a {{ math::{name}(x + y) }}"))
        .exactly(map(&sums, exponent))
        .with("x", x)
        .with("y", y)
}

/// Half of the exponent of the least power of four above 2^(e-1).
fn even(e: i32) -> i32 {
    (e + 1).div_euclid(2)
}

/// Quotients that are within the format.
fn divide(d: &mut Draw) -> Instance {
    let shape = d.pick(SHAPES);
    let b = d.numbers(count(shape), pow2(-8), d.format.limit() / 2.0);
    let limit = d.format.limit();
    let a: Vec<f64> = d.around(count(shape), limit * 0.9).iter().zip(&b).map(|(a, b)| a * b.min(1.0) * 0.9).collect();
    let u = d.u();
    let a = map(&a, |a| (a / u).round() * u);
    let bounds = zip(&a, &b, |a, b| ((4.0 * u + 5e-7) / b + u) * a.abs() + u);
    let t = tensor("fix", shape);
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to a {{ math::divide(x, y) }}"))
        .within(zip(&a, &b, |a, b| a / b), bounds)
        .with("x", a)
        .with("y", b)
}

fn pow(d: &mut Draw) -> Instance {
    let shape = d.pick(SHAPES);
    let (x, y) = (d.numbers(count(shape), 0.0625, 9.0), d.around(count(shape), 3.0));
    let u = d.u();
    let bounds = zip(&x, &y, |x, y| (6.0 * u * y.abs() + u + pow2(-17) + 1e-6 * y.abs()) * x.powf(y) + 2.0 * u);
    let t = tensor("fix", shape);
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to a {{ math::pow(x, y) }}"))
        .within(zip(&x, &y, f64::powf), bounds)
        .with("x", x)
        .with("y", y)
}
