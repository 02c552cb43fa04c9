//! Pools: sums, means and maxima of windows.

use crate::table::{Draw, Instance, Operator, at, count, positions};

pub const OPERATORS: &[Operator] = &[
    Operator::new("avg_pool", |d| pool(d, "avg_pool", true)),
    Operator::new("sum_pool", |d| pool(d, "sum_pool", true)),
    Operator::new("max_pool", |d| pool(d, "max_pool", true)),
    Operator::new("max_pool of relu", max_pool_of_relu),
    Operator::new("max_pool of a product", max_pool_of_product),
    Operator::new("max_pool_winner", max_pool_winner),
    Operator::new("patches", |d| pool(d, "patches", false)),
    Operator::new("global_avg_pool", |d| global(d, "global_avg_pool")),
    Operator::new("global_max_pool", |d| global(d, "global_max_pool")),
    Operator::new("adaptive_avg_pool", adaptive_avg_pool),
];

/// The elements of each window, in order; none where there is padding.
fn windows(x: &[f64], shape: [usize; 4], k: usize, stride: usize, pad: usize, out: [usize; 2]) -> Vec<Vec<f64>> {
    let [n, c, h, w] = shape;
    let window = |p: &Vec<usize>| {
        let inside = positions(&[k, k]).into_iter().filter_map(|i| {
            let y = (p[2] * stride + i[0]).checked_sub(pad).filter(|y| *y < h)?;
            let z = (p[3] * stride + i[1]).checked_sub(pad).filter(|z| *z < w)?;
            Some(x[at(&shape, &[p[0], p[1], y, z])])
        });
        inside.collect()
    };
    positions(&[n, c, out[0], out[1]]).iter().map(window).collect()
}

/// Sizes of a pool: images, window, stride, padding and rows and columns of the result.
fn sizes(d: &mut Draw, padded: bool) -> ([usize; 4], usize, usize, usize, [usize; 2]) {
    let k = d.pick(&[1, 2, 3]);
    let pad = if padded && k > 1 { d.pick(&[0, 1]) } else { 0 };
    let stride = d.pick(&[1, 2, 3]);
    let shape = [d.pick(&[1, 2]), d.pick(&[1, 3]), d.pick(&[1, 5, 7]).max(k), d.pick(&[1, 6, 11]).max(k)];
    let size = |n: usize| (n + 2 * pad - k) / stride + 1;
    (shape, k, stride, pad, [size(shape[2]), size(shape[3])])
}

fn largest(row: &[f64]) -> f64 {
    row.iter().copied().fold(f64::MIN, f64::max)
}

fn pool(d: &mut Draw, call: &str, padded: bool) -> Instance {
    let (shape, k, stride, pad, [oh, ow]) = sizes(d, padded);
    let limit = d.largest() / if call.starts_with("max") { 2.0 } else { (k * k) as f64 };
    let sums = d.around(count(&shape), limit);
    let [x, y] = d.split(&sums);
    let windows = windows(&sums, shape, k, stride, pad, [oh, ow]);
    let k2 = (k * k) as f64;
    let wanted = match call {
        "sum_pool" => windows.iter().map(|w| w.iter().sum()).collect(),
        "avg_pool" => windows.iter().map(|w| w.iter().sum::<f64>() / k2).collect(),
        "max_pool" => windows.iter().map(|w| largest(w)).collect(),
        _ => windows.concat(),
    };
    let error = d.scaled(1.0 / k2);
    let bound = |y: f64| if call == "avg_pool" && k > 1 { error(y) } else { 0.0 };
    let [n, c, ..] = shape;
    let mut out = vec![n, c, oh, ow];
    let mut options = format!("stride = {stride}");
    if call == "patches" {
        out.push(k * k);
    } else {
        options += &format!(", pad = {pad}");
    }
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix{out:?} to b {{ nn::{call}(x + y, {k}, \
         {options}) }}"
    );
    Instance::new(d, text).near(wanted, bound).with("x", x).with("y", y)
}

/// The first comparisons are of untruncated numbers: either of two that differ by one unit may win.
fn max_pool_of_product(d: &mut Draw) -> Instance {
    let (shape, k, stride, pad, [oh, ow]) = sizes(d, true);
    let limit = d.largest().sqrt() / 2.0;
    let (x, y) = (d.around(count(&shape), limit), d.around(count(&shape), limit));
    let products: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x * y).collect();
    let windows = windows(&products, shape, k, stride, pad, [oh, ow]);
    let u = d.u();
    let wanted = windows.iter().map(|w| largest(w)).collect();
    let [n, c, ..] = shape;
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix[{n}, {c}, {oh}, {ow}] to b {{ \
         nn::max_pool(x * y, {k}, stride = {stride}, pad = {pad}) }}"
    );
    Instance::new(d, text).near(wanted, move |_| 2.0 * u).with("x", x).with("y", y)
}

/// A pass swaps the two.
fn max_pool_of_relu(d: &mut Draw) -> Instance {
    let (shape, k, stride, pad, [oh, ow]) = sizes(d, true);
    let limit = d.largest() / 2.0;
    let sums = d.around(count(&shape), limit);
    let [x, y] = d.split(&sums);
    let windows = windows(&sums, shape, k, stride, pad, [oh, ow]);
    let wanted = windows.iter().map(|w| largest(w).max(0.0)).collect();
    let [n, c, ..] = shape;
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix[{n}, {c}, {oh}, {ow}] to b {{ \
         nn::max_pool(nn::relu(x + y), {k}, stride = {stride}, pad = {pad}) }}"
    );
    Instance::new(d, text).exactly(wanted).with("x", x).with("y", y)
}

/// The first of equal ones wins; every third element is one of few numbers.
fn max_pool_winner(d: &mut Draw) -> Instance {
    let (shape, k, stride, _, [oh, ow]) = sizes(d, false);
    let limit = d.largest() / 2.0;
    let mut sums = d.around(count(&shape), limit);
    for i in (0..sums.len()).step_by(3) {
        sums[i] = sums[i].signum() * 5.0;
    }
    let [x, y] = d.split(&sums);
    let windows = windows(&sums, shape, k, stride, 0, [oh, ow]);
    let top: Vec<f64> = windows.iter().map(|w| largest(w)).collect();
    let first = |(w, top): (&Vec<f64>, &f64)| w.iter().position(|v| v == top).unwrap() as f64;
    let winners = windows.iter().zip(&top).map(first).collect();
    let [n, c, ..] = shape;
    let out = format!("[{n}, {c}, {oh}, {ow}]");
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> (fix{out}, int{out}) to b {{ \
         nn::max_pool_winner(x + y, {k}, stride = {stride}) }}"
    );
    Instance::new(d, text).result("out.0", top, |_| 0.0).result("out.1", winners, |_| 0.0).with("x", x).with("y", y)
}

fn global(d: &mut Draw, call: &str) -> Instance {
    let shape = [d.pick(&[1, 2]), d.pick(&[1, 3, 5]), d.pick(&[1, 2, 7]), d.pick(&[1, 3, 5])];
    let plane = shape[2] * shape[3];
    let mean = call == "global_avg_pool";
    let limit = d.largest() / if mean { plane as f64 } else { 2.0 };
    let sums = d.around(count(&shape), limit);
    let [x, y] = d.split(&sums);
    let of = |w: &[f64]| if mean { w.iter().sum::<f64>() / plane as f64 } else { largest(w) };
    let wanted = sums.chunks(plane).map(of).collect();
    let error = d.scaled(1.0 / plane as f64);
    let bound = |y: f64| if mean && plane > 1 { error(y) } else { 0.0 };
    let [n, c, ..] = shape;
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix[{n}, {c}, 1, 1] to a {{ nn::{call}(x + y) }}"
    );
    Instance::new(d, text).near(wanted, bound).with("x", x).with("y", y)
}

/// torch.nn.functional.adaptive_avg_pool2d, from its definition.
fn adaptive_avg_pool(d: &mut Draw) -> Instance {
    let shape = [d.pick(&[1, 2]), d.pick(&[1, 3]), d.pick(&[1, 5, 13]), d.pick(&[1, 4, 7])];
    let (h, w) = (d.pick(&[1, 2, 3, 7]), d.pick(&[1, 2, 5]));
    let window = |i: usize, size: usize, count: usize| i * size / count..((i + 1) * size).div_ceil(count);
    let limit = d.largest() / (shape[2] * shape[3]) as f64;
    let sums = d.around(count(&shape), limit);
    let [x, y] = d.split(&sums);
    let [n, c, ..] = shape;
    let inside = |p: &Vec<usize>| -> Vec<f64> {
        let (rows, cols) = (window(p[2], shape[2], h), window(p[3], shape[3], w));
        rows.flat_map(|y| cols.clone().map(move |z| (y, z)))
            .map(|(y, z)| sums[at(&shape, &[p[0], p[1], y, z])])
            .collect()
    };
    let all: Vec<Vec<f64>> = positions(&[n, c, h, w]).iter().map(inside).collect();
    let wanted = all.iter().map(|w| w.iter().sum::<f64>() / w.len() as f64).collect();
    let u = d.u();
    let bounds = all.iter().map(|w| u * (1.0 + 4.0 * w.iter().fold(0.0f64, |m, v| m.max(v.abs())))).collect();
    let text = format!(
        "entry f(x: fix{shape:?} from a, y: fix{shape:?} from b) -> fix[{n}, {c}, {h}, {w}] to b {{ \
         nn::adaptive_avg_pool(x + y, {h}, {w}) }}"
    );
    Instance::new(d, text).within(wanted, bounds).with("x", x).with("y", y)
}
