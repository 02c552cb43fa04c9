//! Functions of rows: softmaxes, normalisations and attention.

use crate::table::{Draw, Instance, Operator, count, positions};

pub const OPERATORS: &[Operator] = &[
    Operator::fine("softmax", |d| softmaxes(d, "softmax", softmax, 14.0)),
    Operator::fine("log_softmax", |d| softmaxes(d, "log_softmax", log_softmax, 10.0)),
    Operator::fine("standardise", standardised),
    Operator::fine("layer_norm", layer_norm),
    Operator::fine("group_norm", group_norm),
    Operator::new("batch_norm", batch_norm),
    Operator::fine("attention", attention),
];

pub fn softmax(x: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::MIN, f64::max);
    let e: Vec<f64> = x.iter().map(|v| (v - top).exp()).collect();
    e.iter().map(|v| v / e.iter().sum::<f64>()).collect()
}

pub fn log_softmax(x: &[f64]) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = x.iter().map(|v| (v - top).exp()).sum();
    x.iter().map(|v| v - top - sum.ln()).collect()
}

fn softmaxes(d: &mut Draw, name: &str, f: fn(&[f64]) -> Vec<f64>, steps: f64) -> Instance {
    let (n, m, c) = (d.pick(&[1, 3]), d.pick(&[1, 2, 5]), d.pick(&[1, 2, 3, 7, 13]));
    let sums = d.around(n * m * c, 30.0);
    let [x, y] = d.split(&sums);
    let bound = (steps + 3.0 * c as f64) * (d.u() + 2e-7);
    let shape = [n, m, c];
    let text =
        format!("entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix{shape:?} to a {{ nn::{name}(x + y) }}");
    Instance::new(d, text).near(sums.chunks(c).flat_map(f).collect(), |_| bound).with("x", x).with("y", y)
}

/// A row of mean 0 and variance 1, and the error of each of its elements, as `standardise` documents both.
fn standardise(row: &[f64], u: f64) -> Vec<(f64, f64)> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / row.len() as f64;
    let s = variance.sqrt();
    let one = |v: &f64| {
        let y = (v - mean) / (variance + 1e-5).sqrt();
        (y, u * (1.0 + y.abs()) * (10.0 + s + 4.0 / s + 2.0 / (s * s)))
    };
    row.iter().map(one).collect()
}

/// Rows whose variance is in the documented range.
fn varied(d: &mut Draw, rows: usize, c: usize) -> Vec<f64> {
    let mut all = d.around(rows * c, 20.0);
    for row in all.chunks_mut(c) {
        row[0] = 3.0 + d.random.below(4) as f64;
        row[1] = -2.0 - d.random.below(3) as f64;
    }
    all
}

fn standardised(d: &mut Draw) -> Instance {
    let (n, c) = (d.pick(&[1, 3, 7]), d.pick(&[2, 3, 7, 13]));
    let sums = varied(d, n, c);
    let [x, y] = d.split(&sums);
    let u = d.u();
    let (wanted, bounds) = sums.chunks(c).flat_map(|row| standardise(row, u)).unzip();
    let text = format!(
        "entry f(x: fix[{n}, {c}] from a, y: fix[{n}, {c}] from b) -> fix[{n}, {c}] to a {{ nn::standardise(x + y) }}"
    );
    Instance::new(d, text).within(wanted, bounds).with("x", x).with("y", y)
}

/// A factor and a summand for each channel of standardised rows.
fn affine(
    rows: &[(f64, f64)],
    u: f64,
    channel: impl Fn(usize) -> usize,
    weight: &[f64],
    bias: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let one = |(i, (y, error)): (usize, &(f64, f64))| {
        let c = channel(i);
        (y * weight[c] + bias[c], error * weight[c].abs() + u)
    };
    rows.iter().enumerate().map(one).unzip()
}

fn layer_norm(d: &mut Draw) -> Instance {
    let (n, t, c) = (d.pick(&[1, 2]), d.pick(&[1, 3, 5]), d.pick(&[2, 3, 7, 13]));
    let x = varied(d, n * t, c);
    let (weight, bias, u) = (d.around(c, 3.0), d.around(c, 3.0), d.u());
    let rows: Vec<(f64, f64)> = x.chunks(c).flat_map(|row| standardise(row, u)).collect();
    let (wanted, bounds) = affine(&rows, u, |i| i % c, &weight, &bias);
    let text = format!(
        "entry f(x: fix[{n}, {t}, {c}] from a, p: LayerNorm[{c}] from b) -> fix[{n}, {t}, {c}] to a {{ \
         nn::layer_norm(x, p) }}"
    );
    Instance::new(d, text).within(wanted, bounds).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

fn group_norm(d: &mut Draw) -> Instance {
    let (n, groups, each) = (d.pick(&[1, 2]), d.pick(&[1, 2, 3]), d.pick(&[2, 1, 3]));
    let (h, w) = (d.pick(&[1, 3]), d.pick(&[2, 5]));
    let (c, size) = (groups * each, each * h * w);
    let x = varied(d, n * groups, size);
    let (weight, bias, u) = (d.around(c, 3.0), d.around(c, 3.0), d.u());
    let rows: Vec<(f64, f64)> = x.chunks(size).flat_map(|row| standardise(row, u)).collect();
    let (wanted, bounds) = affine(&rows, u, |i| i / (h * w) % c, &weight, &bias);
    let image = format!("fix[{n}, {c}, {h}, {w}]");
    let text = format!(
        "entry f(x: {image} from a, p: GroupNorm[{c}] from b) -> {image} to a {{ nn::group_norm(x, p, groups = \
         {groups}) }}"
    );
    Instance::new(d, text).within(wanted, bounds).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

/// The owner of the statistics rounds the factor and the summand of each channel to the format.
fn batch_norm(d: &mut Draw) -> Instance {
    let shape = [d.pick(&[1, 3]), d.pick(&[1, 3, 5]), d.pick(&[1, 5]), d.pick(&[1, 7])];
    let c = shape[1];
    let x = d.around(count(&shape), 100.0);
    let [weight, bias, mean] = [3.0, 5.0, 50.0].map(|limit| d.around(c, limit));
    let (var, u) = (d.numbers(c, 0.0625, 20.0), d.u());
    let one = |p: &Vec<usize>| {
        let (x, c) = (x[crate::table::at(&shape, p)], p[1]);
        let y = (x - mean[c]) / (var[c] + 1e-5).sqrt() * weight[c] + bias[c];
        (y, u * (1.5 + 0.5 * x.abs()))
    };
    let (wanted, bounds) = positions(&shape).iter().map(one).unzip();
    let text = format!(
        "entry f(x: fix{shape:?} from a, p: BatchNorm[{c}] from b) -> fix{shape:?} to a {{ nn::batch_norm(x, p) }}"
    );
    Instance::new(d, text)
        .within(wanted, bounds)
        .with("x", x)
        .with("p.weight", weight)
        .with("p.bias", bias)
        .with("p.running_mean", mean)
        .with("p.running_var", var)
}

/// torch.nn.MultiheadAttention, from its definition. Its error has no documented bound: the scores err by some steps, of
/// which softmax passes on at most half, and every product afterwards sums over few rows of small numbers.
fn attention(d: &mut Draw) -> Instance {
    let (n, t, heads, each) = (d.pick(&[1, 2]), d.pick(&[1, 3, 5]), d.pick(&[1, 2]), d.pick(&[1, 2, 3]));
    let e = heads * each;
    let (x, w, b) = (d.around(n * t * e, 2.0), d.around(3 * e * e, 1.0), d.around(3 * e, 1.0));
    let (ow, ob) = (d.around(e * e, 1.0), d.around(e, 1.0));
    let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
    let project = |row: &[f64], at: usize| dot(row, &w[at * e..(at + 1) * e]) + b[at];
    let mut wanted = Vec::new();
    for sequence in x.chunks(t * e) {
        let rows: Vec<&[f64]> = sequence.chunks(e).collect();
        let part = |which: usize, head: usize, row: &[f64]| -> Vec<f64> {
            (0..each).map(|i| project(row, which * e + head * each + i)).collect()
        };
        for row in &rows {
            let mut mixed = Vec::new();
            for head in 0..heads {
                let q = part(0, head, row);
                let scores: Vec<f64> = rows.iter().map(|r| dot(&q, &part(1, head, r)) / (each as f64).sqrt()).collect();
                let weights = softmax(&scores);
                let values: Vec<Vec<f64>> = rows.iter().map(|r| part(2, head, r)).collect();
                mixed.extend((0..each).map(|i| weights.iter().zip(&values).map(|(w, v)| w * v[i]).sum::<f64>()));
            }
            wanted.extend(ow.chunks(e).zip(&ob).map(|(w, b)| dot(&mixed, w) + b));
        }
    }
    let bound = d.u() * 1500.0;
    let text = format!(
        "entry f(x: fix[{n}, {t}, {e}] from a, p: MultiheadAttention[{e}] from b) -> fix[{n}, {t}, {e}] to a {{ \
         nn::attention(x, p, heads = {heads}) }}"
    );
    Instance::new(d, text)
        .near(wanted, |_| bound)
        .with("x", x)
        .with("p.in_proj_weight", w)
        .with("p.in_proj_bias", b)
        .with("p.out_proj.weight", ow)
        .with("p.out_proj.bias", ob)
}
