//! Losses, metrics and optimisers.

use crate::rows::log_softmax;
use crate::table::{Draw, Instance, Operator, map, zip};

pub const OPERATORS: &[Operator] = &[
    Operator::fine("cross_entropy", |d| {
        // Errors of `log_softmax` where t is 1, and a truncation each.
        let bound = |u: f64, c: f64, _: f64| (10.0 + 3.0 * c) * (u + 2e-7) + u * c;
        let rows = |z: &[f64], t: &[f64]| -zip(&log_softmax(z), t, |l, t| l * t).iter().sum::<f64>();
        loss(d, "cross_entropy", 12.0, rows, bound)
    }),
    Operator::new("mse", |d| {
        let rows = |z: &[f64], t: &[f64]| zip(z, t, |z, t| (z - t).powi(2)).iter().sum::<f64>() / z.len() as f64;
        loss(d, "mse", 12.0, rows, |u, _, _| u)
    }),
    Operator::new("nll", |d| {
        let rows = |z: &[f64], t: &[f64]| -zip(z, t, |z, t| z * t).iter().sum::<f64>();
        loss(d, "nll", 30.0, rows, |u, _, _| u)
    }),
    Operator::new("binary_cross_entropy", |d| {
        let one = |z: f64, t: f64| z.max(0.0) + (-z.abs()).exp().ln_1p() - z * t;
        let rows = move |z: &[f64], t: &[f64]| zip(z, t, one).iter().sum::<f64>() / z.len() as f64;
        loss(d, "binary_cross_entropy", 20.0, rows, |u, _, _| 5.0 * u + 8e-6)
    }),
    Operator::new("accuracy", accuracy),
    Operator::new("top_k_accuracy", top_k_accuracy),
    Operator::new("sgd", sgd),
    Operator::new("sgd_momentum", sgd_momentum),
];

/// The mean over rows of a function of a row and of its one-hot label; the bound, without that of the factors of means,
/// is of the step, the width and the result.
fn loss(
    d: &mut Draw,
    name: &str,
    limit: f64,
    rows: impl Fn(&[f64], &[f64]) -> f64,
    bound: impl Fn(f64, f64, f64) -> f64,
) -> Instance {
    let (n, c) = (d.pick(&[1, 3, 7, 13]), d.pick(&[1, 2, 5, 7]));
    let z = d.around(n * c, limit);
    let labels: Vec<usize> = (0..n).map(|_| d.random.below(c)).collect();
    let t = hot(&labels, c);
    let wanted = z.chunks(c).zip(t.chunks(c)).map(|(z, t)| rows(z, t)).sum::<f64>() / n as f64;
    let (u, rows, columns) = (d.u(), d.scaled(1.0 / n as f64), d.scaled(1.0 / c as f64));
    let bound = |y: f64| bound(u, c as f64, y) + rows(y) + columns(y);
    let text =
        format!("entry f(z: fix[{n}, {c}] from a, t: fix[{n}, {c}] from b) -> fix to a {{ loss::{name}(z, t) }}");
    Instance::new(d, text).near(vec![wanted], bound).with("z", z).with("t", t)
}

/// One-hot rows.
fn hot(labels: &[usize], c: usize) -> Vec<f64> {
    labels.iter().flat_map(|label| (0..c).map(move |i| f64::from(u8::from(i == *label)))).collect()
}

/// How many scores of each row are above that of its label.
fn above(scores: &[f64], labels: &[usize], c: usize) -> Vec<usize> {
    scores.chunks(c).zip(labels).map(|(row, label)| row.iter().filter(|s| **s > row[*label]).count()).collect()
}

/// Scores without equal ones in a row, and labels.
fn scores(d: &mut Draw, n: usize, c: usize) -> (Vec<f64>, Vec<usize>) {
    let mut scores = d.around(n * c, 100.0);
    for row in scores.chunks_mut(c) {
        let mut seen = std::collections::BTreeSet::new();
        for s in row.iter_mut() {
            while !seen.insert((*s * 65536.0) as i64) {
                *s += 1.0;
            }
        }
    }
    (scores, (0..n).map(|_| d.random.below(c)).collect())
}

fn accuracy(d: &mut Draw) -> Instance {
    let (n, c) = (d.pick(&[1, 3, 7, 31]), d.pick(&[1, 2, 5, 10]));
    let (scores, labels) = scores(d, n, c);
    let wanted = above(&scores, &labels, c).iter().filter(|above| **above == 0).count() as f64 / n as f64;
    let bound = d.scaled(1.0 / n as f64);
    let text =
        format!("entry f(s: fix[{n}, {c}] from a, l: int[{n}] from b) -> fix to b {{ metrics::accuracy(s, l) }}");
    let labels = labels.iter().map(|l| *l as f64).collect();
    Instance::new(d, text).near(vec![wanted], bound).with("s", scores).with("l", labels)
}

fn top_k_accuracy(d: &mut Draw) -> Instance {
    let (n, c) = (d.pick(&[1, 3, 7, 31]), d.pick(&[1, 2, 5]));
    let k = 1 + d.random.below(c);
    let (scores, labels) = scores(d, n, c);
    let wanted = above(&scores, &labels, c).iter().filter(|above| **above < k).count() as f64 / n as f64;
    let bound = d.scaled(1.0 / n as f64);
    let text = format!(
        "entry f(s: fix[{n}, {c}] from a, t: fix[{n}, {c}] from b) -> fix to b {{ metrics::top_k_accuracy(s, t, {k}) }}"
    );
    Instance::new(d, text).near(vec![wanted], bound).with("s", scores).with("t", hot(&labels, c))
}

/// The rate and its product with a gradient are rounded.
fn sgd(d: &mut Draw) -> Instance {
    let (i, o) = (d.pick(&[1, 3, 13]), d.pick(&[1, 5]));
    let [w, b, gw, gb] = [o * i, o, o * i, o].map(|n| d.around(n, 100.0));
    let error = d.scaled(0.3);
    let step = |p: &[f64], g: &[f64]| zip(p, g, |p, g| p - 0.3 * g);
    let (bw, bb) = (map(&gw, |g| error(0.3 * g)), map(&gb, |g| error(0.3 * g)));
    let text = format!(
        "entry f(p: Linear[{i}, {o}] from a, g: Linear[{i}, {o}] from b) -> (fix[{o}, {i}] to a, fix[{o}] to a) {{ \
         let q = optim::sgd(p, g, 0.3); (q.weight, q.bias) }}"
    );
    let mut instance = Instance::new(d, text);
    for (name, values, bounds) in [("out.0", step(&w, &gw), bw), ("out.1", step(&b, &gb), bb)] {
        instance.wanted.insert(name.into(), crate::table::Wanted::Near(values, bounds));
    }
    instance.with("p.weight", w).with("p.bias", b).with("g.weight", gw).with("g.bias", gb)
}

fn sgd_momentum(d: &mut Draw) -> Instance {
    let i = d.pick(&[1, 7, 65]);
    let [w, v, g] = [100.0; 3].map(|limit| d.around(i, limit));
    let (fade, rate, u) = (d.scaled(0.9), d.scaled(0.25), d.u());
    let velocity = zip(&v, &g, |v, g| 0.9 * v + g);
    let moved = zip(&w, &velocity, |w, v| w - 0.25 * v);
    let bounds = v.iter().zip(&velocity).map(|(v, new)| 0.25 * fade(0.9 * v) + rate(0.25 * new) + u).collect();
    let slower = map(&v, |v| fade(0.9 * v));
    let record = format!("LinearNoBias[{i}, 1]");
    let text = format!(
        "entry f(p: {record} from a, v: {record} from b, g: {record} from b) -> (fix[1, {i}] to a, fix[1, {i}] to \
         a) {{ let (q, w) = optim::sgd_momentum(p, v, g, 0.25); (q.weight, w.weight) }}"
    );
    let mut instance = Instance::new(d, text);
    for (name, values, bounds) in [("out.0", moved, bounds), ("out.1", velocity, slower)] {
        instance.wanted.insert(name.into(), crate::table::Wanted::Near(values, bounds));
    }
    instance.with("p.weight", w).with("v.weight", v).with("g.weight", g)
}
