//! Arithmetic, comparisons, choices and reductions.

use crate::table::{Draw, FEW, Instance, Operator, SHAPES, SIZES, at, count, map, positions, tensor, zip};

pub const OPERATORS: &[Operator] = &[
    Operator::new("add", |d| two(d, "x + y", |x, y| x + y, 0.5, |_, _, _| 0.0)),
    Operator::new("subtract", |d| two(d, "x - y", |x, y| x - y, 0.5, |_, _, _| 0.0)),
    Operator::new("negate", |d| two(d, "-(x - y)", |x, y| y - x, 0.5, |_, _, _| 0.0)),
    Operator::new("multiply", |d| roots(d, "x * y", |x, y| x * y, |_, _, u| u)),
    Operator::new("multiply and add", |d| roots(d, "x * y + x - y", |x, y| x * y + x - y, |_, _, u| u)),
    Operator::new("square", |d| {
        let limit = d.format.limit().sqrt() * 0.9;
        sum(d, "(x + y) * (x + y)", limit, |s| s * s, |_, u| u)
    }),
    // The second truncation is of a product that was truncated.
    Operator::new("truncate twice", |d| {
        let limit = d.format.limit().cbrt() * 0.9;
        // If the owner of y computes y * y, it is shared with more digits than the format has.
        pair(d, "(x * y) * y", limit, |x, y| x * y * y, |_, y, u| u * (1.0 + y.abs()))
    }),
    Operator::new("truncate to the format's bottom", |d| pair(d, "x * y", 0.03, |x, y| x * y, |_, _, u| u)),
    Operator::new("scale by a constant", |d| scaled(d, 0.3)),
    Operator::new("scale by a large constant", |d| scaled(d, -7.7)),
    Operator::new("scale by a small constant", |d| scaled(d, 0.004)),
    Operator::new("scale by an integer", |d| scaled(d, -3.0)),
    Operator::new("multiply by public numbers", public),
    Operator::new("divide by public numbers", divided),
    Operator::new("broadcast", broadcast),
    Operator::new("less", |d| compared(d, "<", |x, y| x < y)),
    Operator::new("less or equal", |d| compared(d, "<=", |x, y| x <= y)),
    Operator::new("greater", |d| compared(d, ">", |x, y| x > y)),
    Operator::new("greater or equal", |d| compared(d, ">=", |x, y| x >= y)),
    Operator::new("equal", |d| compared(d, "==", |x, y| x == y)),
    Operator::new("unequal", |d| compared(d, "!=", |x, y| x != y)),
    Operator::new("less, of integers", |d| integers(d, "<", |x, y| x < y)),
    Operator::new("equal, of integers", |d| integers(d, "==", |x, y| x == y)),
    Operator::new("sign of a product", product_sign),
    Operator::new("not", |d| logic(d, "!p", |p, _| !p)),
    Operator::new("and", |d| logic(d, "p && q", |p, q| p && q)),
    Operator::new("or", |d| logic(d, "p || q", |p, q| p || q)),
    Operator::new("logic with public bits", |d| logic(d, "(p && m) || !(q || m)", |p, q| p && !q)),
    Operator::new("select", |d| {
        two(d, "select(x < y, x, 2.0 * y)", |x, y| if x < y { x } else { 2.0 * y }, 0.24, exact)
    }),
    Operator::new("a bit that chooses and is combined", |d| {
        let f = |x: f64, y: f64| (if x < y { x } else { y }) + if x < y && y > 0.0 { y } else { x };
        two(d, "select(x < y, x, y) + select(x < y && y > 0.0, y, x)", f, 0.24, exact)
    }),
    Operator::new("select of a product", |d| {
        roots(d, "select(x < y, x * y, y)", |x, y| if x < y { x * y } else { y }, |_, _, u| u)
    }),
    Operator::new("select by logic", |d| {
        let wanted = |x, y| if x > 0.0 || y < 1.0 { y } else { x };
        two(d, "select(x > 0.0 || y < 1.0, y, x)", wanted, 0.24, exact)
    }),
    Operator::new("if", public_if),
    Operator::new("for", |d| {
        let wanted = |x: f64, y: f64| (0..3).fold(x, |h, _| (h + y).max(0.0));
        pair(d, "var h = x; for _ in 0..3 { h = nn::relu(h + y); } h", 1000.0, wanted, exact)
    }),
    Operator::new("maximum", |d| two(d, "maximum(x, y)", f64::max, 0.24, exact)),
    Operator::new("minimum", |d| two(d, "minimum(x, y)", f64::min, 0.24, exact)),
    Operator::new("at_least", |d| half(d, "at_least(x + y, 1.5)", |s| s.max(1.5))),
    Operator::new("at_most", |d| half(d, "at_most(x + y, -2.25)", |s| s.min(-2.25))),
    Operator::new("clamp", |d| half(d, "clamp(x + y, -1.0, 5.5)", |s| s.clamp(-1.0, 5.5))),
    Operator::new("abs", |d| half(d, "abs(x + y)", f64::abs)),
    Operator::new("sign", |d| half(d, "sign(x + y)", |s| if s == 0.0 { 0.0 } else { s.signum() })),
    // What a bit becomes is multiplied, so that all of its shares are read.
    Operator::new("multiply by a sign", |d| {
        let wanted = |x: f64, y: f64| {
            if x < y {
                -x
            } else if x > y {
                x
            } else {
                0.0
            }
        };
        two(d, "sign(x - y) * x", wanted, 0.4, exact)
    }),
    Operator::new("multiply by a scaled sum", |d| {
        let limit = d.format.limit().sqrt() * 0.45;
        pair(d, "(-2.0 * (x - y)) * nn::relu(y)", limit, |x, y| 2.0 * (y - x) * y.max(0.0), |_, _, u| u)
    }),
    Operator::new("relu", |d| half(d, "nn::relu(x + y)", |s| s.max(0.0))),
    // The sign is read before the truncation.
    Operator::new("relu of a product", |d| roots(d, "nn::relu(x * y)", |x, y| (x * y).max(0.0), |_, _, u| u)),
    Operator::new("relu6", |d| half(d, "nn::relu6(x + y)", |s| s.clamp(0.0, 6.0))),
    Operator::new("residual", |d| two(d, "nn::residual(x, y)", |x, y| (x + y).max(0.0), 0.5, exact)),
    Operator::new("leaky_relu", |d| {
        let error = d.scaled(0.01);
        sum(d, "nn::leaky_relu(x + y)", d.largest(), |s| s.max(0.01 * s), move |s, _| error(0.01 * s))
    }),
    // What is below the error may pass for what is not negative.
    Operator::new("approx", |d| {
        sum(
            d,
            "approx(nn::relu(x + y), error = 0.01)",
            d.largest(),
            |s| s.max(0.0),
            |s, _| {
                if s < 0.0 && s > -0.01 { 0.01 } else { 0.0 }
            },
        )
    }),
    Operator::new("sum", |d| reduced(d, "sum", |column| column.iter().sum())),
    Operator::new("mean", |d| reduced(d, "mean", |column| column.iter().sum::<f64>() / column.len() as f64)),
    Operator::new("max_over", |d| reduced(d, "max_over", |column| column.iter().copied().fold(f64::MIN, f64::max))),
    Operator::new("argmax", argmax),
    Operator::new("argmax of integers", argmax_of_integers),
    Operator::new("top_k", top_k),
];

fn exact(_: f64, _: f64, _: f64) -> f64 {
    0.0
}

/// A function of two owners' tensors, with an error bound that depends on the elements and the step.
fn pair(
    d: &mut Draw,
    body: &str,
    limit: f64,
    f: impl Fn(f64, f64) -> f64,
    bound: impl Fn(f64, f64, f64) -> f64,
) -> Instance {
    let shape = d.pick(SHAPES);
    let (x, mut y) = (d.around(count(shape), limit), d.around(count(shape), limit));
    // Equal elements among them.
    for i in (0..y.len()).step_by(5) {
        y[i] = x[i];
    }
    let t = tensor("fix", shape);
    let u = d.u();
    let bounds = zip(&x, &y, |x, y| bound(x, y, u));
    let wanted = zip(&x, &y, f);
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to a {{ {body} }}"))
        .within(wanted, bounds)
        .with("x", x)
        .with("y", y)
}

/// Elements up to a part of the format's limit.
fn two(
    d: &mut Draw,
    body: &str,
    f: impl Fn(f64, f64) -> f64,
    part: f64,
    bound: impl Fn(f64, f64, f64) -> f64,
) -> Instance {
    let limit = d.largest() * part;
    pair(d, body, limit, f, bound)
}

/// Elements whose products are within the format.
fn roots(d: &mut Draw, body: &str, f: impl Fn(f64, f64) -> f64, bound: impl Fn(f64, f64, f64) -> f64) -> Instance {
    let limit = d.format.limit().sqrt() * 0.9;
    pair(d, body, limit, f, bound)
}

/// A function of the sum of x and y.
fn sum(d: &mut Draw, body: &str, limit: f64, f: impl Fn(f64) -> f64, bound: impl Fn(f64, f64) -> f64) -> Instance {
    let shape = d.pick(SHAPES);
    let sums = d.around(count(shape), limit);
    let [x, y] = d.split(&sums);
    let (t, u) = (tensor("fix", shape), d.u());
    let bounds = map(&sums, |s| bound(s, u));
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {t} to b {{ {body} }}"))
        .within(map(&sums, f), bounds)
        .with("x", x)
        .with("y", y)
}

/// An exact function of sums up to half of the limit, so that differences from small numbers are within the format.
fn half(d: &mut Draw, body: &str, f: impl Fn(f64) -> f64) -> Instance {
    let limit = d.largest() / 2.0;
    sum(d, body, limit, f, |_, _| 0.0)
}

fn scaled(d: &mut Draw, c: f64) -> Instance {
    let limit = d.largest() / c.abs().max(1.0);
    let error = d.scaled(c);
    sum(d, &format!("{c:?} * (x + y)"), limit, |s| c * s, move |s, _| error(c * s))
}

fn public(d: &mut Draw) -> Instance {
    let shape = d.pick(SHAPES);
    let limit = d.format.limit().sqrt() * 0.9;
    let (x, p) = (d.around(count(shape), limit), d.around(count(shape), limit));
    let (t, u) = (tensor("fix", shape), d.u());
    Instance::new(d, format!("entry f(x: {t} from a, p: public {t}) -> {t} to all {{ x * p - p }}"))
        .near(zip(&x, &p, |x, p| x * p - p), |_| u)
        .with("x", x)
        .with("p", p)
}

/// The reciprocal of a public number is encoded in steps of the format.
fn divided(d: &mut Draw) -> Instance {
    let shape = d.pick(SHAPES);
    let sums = d.around(count(shape), 100.0);
    let [x, y] = d.split(&sums);
    let p = d.numbers(count(shape), 0.25, 8.0);
    let (t, u) = (tensor("fix", shape), d.u());
    let bounds = map(&sums, |s| u * (1.0 + s.abs()));
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b, p: public {t}) -> {t} to a {{ (x + y) / p }}"))
        .within(zip(&sums, &p, |s, p| s / p), bounds)
        .with("x", x)
        .with("y", y)
        .with("p", p)
}

fn broadcast(d: &mut Draw) -> Instance {
    let (n, c, w) = (d.pick(FEW), d.pick(FEW), d.pick(&[1, 13, 65]));
    let limit = d.format.limit().sqrt() * 0.9;
    let (x, y, z) = (d.around(n * w, limit), d.around(c, limit), d.around(1, limit));
    let u = d.u();
    let wanted = positions(&[n, c, w]).iter().map(|p| x[p[0] * w + p[2]] * y[p[1]] + z[0]).collect();
    let types = format!("x: fix[{n}, 1, {w}] from a, y: fix[{c}] from b, z: fix from b");
    Instance::new(d, format!("entry f({types}) -> fix[{n}, {c}, {w}] to a {{ x * reshape(y, [1, {c}, 1]) + z }}"))
        .near(wanted, |_| u)
        .with("x", x)
        .with("y", y)
        .with("z", z)
}

fn bit(b: bool) -> f64 {
    f64::from(u8::from(b))
}

/// Some are equal, some differ by a step.
fn compared(d: &mut Draw, operator: &str, f: impl Fn(f64, f64) -> bool) -> Instance {
    let shape = d.pick(SHAPES);
    let limit = d.largest() / 2.0 - 1.0;
    let (x, mut y) = (d.around(count(shape), limit), d.around(count(shape), limit));
    for i in 0..y.len() {
        let near = d.random.below(8) as f64;
        if near < 3.0 {
            y[i] = x[i] + (near - 1.0) * d.u();
        }
    }
    let t = tensor("fix", shape);
    let bits = tensor("bool", shape);
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {bits} to a {{ x {operator} y }}"))
        .exactly(zip(&x, &y, |x, y| bit(f(x, y))))
        .with("x", x)
        .with("y", y)
}

fn integers(d: &mut Draw, operator: &str, f: impl Fn(f64, f64) -> bool) -> Instance {
    let shape = d.pick(SHAPES);
    let limit = [2, 1000, d.format.limit() as i64 / 2 - 1][d.random.below(3)];
    let (x, y) = (d.whole(count(shape), -limit, limit), d.whole(count(shape), -limit, limit));
    let t = tensor("int", shape);
    let bits = tensor("bool", shape);
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {bits} to a {{ x {operator} y }}"))
        .exactly(zip(&x, &y, |x, y| bit(f(x, y))))
        .with("x", x)
        .with("y", y)
}

/// A product that a truncation may round across zero is left out: all are 0 or two steps away from it.
fn product_sign(d: &mut Draw) -> Instance {
    let shape = d.pick(SHAPES);
    let (limit, least) = (d.format.limit().sqrt() * 0.9, 2.0 * d.u().sqrt());
    let away = |x: f64| if x == 0.0 || x.abs() >= least { x } else { x.signum() };
    let (x, y) = (map(&d.around(count(shape), limit), away), map(&d.around(count(shape), limit), away));
    let (t, bits) = (tensor("fix", shape), tensor("bool", shape));
    Instance::new(d, format!("entry f(x: {t} from a, y: {t} from b) -> {bits} to a {{ x * y < 0.0 }}"))
        .exactly(zip(&x, &y, |x, y| bit(x * y < 0.0)))
        .with("x", x)
        .with("y", y)
}

/// `p` and `q` are shared bits; `m` is public, and set at every other element.
fn logic(d: &mut Draw, body: &str, f: impl Fn(bool, bool) -> bool) -> Instance {
    let shape = d.pick(SHAPES);
    let n = count(shape);
    let (x, y) = (d.around(n, 2.0), d.around(n, 2.0));
    let m: Vec<f64> = (0..n).map(|i| bit(i % 2 == 0)).collect();
    let public = body.contains('m');
    let wanted = (0..n)
        .map(|i| {
            let (p, q) = (x[i] + y[i] > 0.0, x[i] - y[i] > 0.0);
            bit(if public { (p && m[i] == 1.0) || !(q || m[i] == 1.0) } else { f(p, q) })
        })
        .collect();
    let (t, bits) = (tensor("fix", shape), tensor("bool", shape));
    Instance::new(
        d,
        format!(
            "entry f(x: {t} from a, y: {t} from b, m: public {bits}) -> {bits} to a {{ let p = x + y > 0.0; let q = \
             x - y > 0.0; {body} }}"
        ),
    )
    .exactly(wanted)
    .with("x", x)
    .with("y", y)
    .with("m", m)
}

fn public_if(d: &mut Draw) -> Instance {
    let shape = d.pick(SHAPES);
    let m = d.random.below(3) as f64;
    let limit = d.format.limit().sqrt() * 0.9;
    let (x, y) = (d.around(count(shape), limit), d.around(count(shape), limit));
    let (t, u) = (tensor("fix", shape), d.u());
    let wanted = zip(&x, &y, |x, y| {
        if m == 1.0 {
            x * y
        } else if m > 1.0 {
            x.max(0.0)
        } else {
            x - y
        }
    });
    Instance::new(
        d,
        format!(
            "entry f(x: {t} from a, y: {t} from b, m: public int) -> {t} to b {{ if m == 1 {{ x * y }} else if m > \
             1 {{ nn::relu(x) }} else {{ x - y }} }}"
        ),
    )
    .near(wanted, |_| u)
    .with("x", x)
    .with("y", y)
    .with("m", vec![m])
}

/// A reduction along each axis of a shared tensor.
fn reduced(d: &mut Draw, call: &str, f: impl Fn(&[f64]) -> f64) -> Instance {
    let shape = d.pick(&[[1, 1, 1], [2, 5, 3], [1, 7, 13], [3, 1, 67], [2, 131, 1], [5, 2, 2]]);
    let axis = d.pick(&[0, 1, 2]);
    let n = shape[axis];
    let limit = d.largest() / if call == "max_over" { 2.0 } else { n as f64 };
    let sums = d.around(count(&shape), limit);
    let [x, y] = d.split(&sums);
    let mut out = shape;
    out[axis] = 1;
    let column = |p: &Vec<usize>| -> Vec<f64> {
        let index = |i| {
            if axis == 0 {
                [i, p[1], p[2]]
            } else if axis == 1 {
                [p[0], i, p[2]]
            } else {
                [p[0], p[1], i]
            }
        };
        (0..n).map(|i| sums[at(&shape, &index(i))]).collect()
    };
    let wanted: Vec<f64> = positions(&out).iter().map(|p| f(&column(p))).collect();
    let error = d.scaled(1.0 / n as f64);
    let bound = |y: f64| if call == "mean" && n > 1 { error(y) } else { 0.0 };
    Instance::new(
        d,
        format!(
            "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix{out:?} to a {{ {call}(x + y, axis = \
         {axis}) }}"
        ),
    )
    .near(wanted, bound)
    .with("x", x)
    .with("y", y)
}

/// The first of the largest.
fn first(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// Rows with equal elements, a few of them the largest.
fn tied(d: &mut Draw, n: usize, c: usize, limit: f64) -> Vec<f64> {
    let mut rows = d.around(n * c, limit);
    for row in rows.chunks_mut(c) {
        let (from, to) = (first(row), d.random.below(2 * c));
        if to < c {
            row[to] = row[from];
        }
    }
    rows
}

fn argmax(d: &mut Draw) -> Instance {
    let (n, c) = (d.pick(&[1, 3, 7, 65]), d.pick(&[1, 2, 3, 5, 11]));
    let limit = d.largest() / 2.0;
    let sums = tied(d, n, c, limit);
    let [x, y] = d.split(&sums);
    let wanted = sums.chunks(c).map(|row| first(row) as f64).collect();
    Instance::new(
        d,
        format!("entry f(x: fix[{n}, {c}] from a, y: fix[{n}, {c}] from b) -> int[{n}] to a {{ argmax(x + y) }}"),
    )
    .exactly(wanted)
    .with("x", x)
    .with("y", y)
}

fn argmax_of_integers(d: &mut Draw) -> Instance {
    let (c, n) = (d.pick(&[1, 2, 7]), d.pick(SIZES));
    let sums = d.whole(n * c, -3, 3);
    let [x, y] = d.split(&sums);
    let column = |j: usize| (0..c).map(|i| sums[i * n + j]).collect::<Vec<f64>>();
    let wanted = (0..n).map(|j| first(&column(j)) as f64).collect();
    Instance::new(
        d,
        format!(
            "entry f(x: int[{c}, {n}] from a, y: int[{c}, {n}] from b) -> int[{n}] to b {{ argmax(x + y, axis = 0) }}"
        ),
    )
    .exactly(wanted)
    .with("x", x)
    .with("y", y)
}

fn top_k(d: &mut Draw) -> Instance {
    let (n, c) = (d.pick(&[1, 3, 7]), d.pick(&[1, 2, 3, 5, 7]));
    let k = 1 + d.random.below(c.min(3));
    let limit = d.largest() / 2.0;
    let sums = tied(d, n, c, limit);
    let [x, y] = d.split(&sums);
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for row in sums.chunks(c) {
        let mut order: Vec<usize> = (0..c).collect();
        order.sort_by(|i, j| row[*j].total_cmp(&row[*i]).then(i.cmp(j)));
        values.extend(order[..k].iter().map(|i| row[*i]));
        places.extend(order[..k].iter().map(|i| *i as f64));
    }
    Instance::new(
        d,
        format!(
            "entry f(x: fix[{n}, {c}] from a, y: fix[{n}, {c}] from b) -> (fix[{n}, {k}] to a, int[{n}, {k}] to b) \
             {{ top_k(x + y, {k}) }}"
        ),
    )
    .result("out.0", values, |_| 0.0)
    .result("out.1", places, |_| 0.0)
    .with("x", x)
    .with("y", y)
}
