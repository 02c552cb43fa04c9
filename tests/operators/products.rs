//! Matrix products, convolutions and layers made of them. All sum products of 2K fraction bits and truncate once.

use crate::table::{Draw, FEW, Instance, Operator, at, count, positions};

pub const OPERATORS: &[Operator] = &[
    Operator::new("matmul", |d| matmul(d, &[], false)),
    Operator::new("matmul, long", long),
    Operator::new("matmul, batched", |d| {
        let batch = [d.pick(&[2, 1, 3]), d.pick(&[1, 3])];
        matmul(d, &batch, false)
    }),
    Operator::new("matmul by a public matrix", |d| matmul(d, &[], true)),
    Operator::new("matmul of a matrix by itself", squared),
    Operator::new("linear", |d| linear(d, true)),
    Operator::new("linear_no_bias", |d| linear(d, false)),
    Operator::new("linear_each", linear_each),
    Operator::new("conv2d", conv2d),
    Operator::new("conv2d_depthwise", depthwise),
    Operator::new("conv2d_rect", conv2d_rect),
    Operator::new("conv1d", conv1d),
    Operator::new("conv2d_transpose", conv2d_transpose),
    Operator::new("convolve with public filters", convolve_public),
];

/// Elements whose sums of `terms` products are within the format.
fn factors(d: &Draw, terms: usize) -> f64 {
    (d.format.limit() * 0.9 / terms as f64).sqrt()
}

/// One truncation.
fn one(d: &Draw) -> impl Fn(f64) -> f64 + use<> {
    let u = d.u();
    move |_| u
}

fn product(x: &[f64], y: &[f64], [batch, m, k, n]: [usize; 4]) -> Vec<f64> {
    let value = |p: &Vec<usize>| (0..k).map(|i| x[(p[0] * m + p[1]) * k + i] * y[(p[0] * k + i) * n + p[2]]).sum();
    positions(&[batch, m, n]).iter().map(value).collect()
}

/// As many products a result as make one product a party worth it.
fn long(d: &mut Draw) -> Instance {
    let sizes = [d.pick(&[1, 5]), d.pick(&[64, 67, 129]), d.pick(&[3, 1, 7])];
    matmul_of(d, &[], sizes, false)
}

fn matmul(d: &mut Draw, batch: &[usize], public: bool) -> Instance {
    let sizes = [d.pick(&[1, 3, 7, 13, 65]), d.pick(&[1, 2, 5, 31, 67]), d.pick(&[1, 2, 7, 17])];
    matmul_of(d, batch, sizes, public)
}

fn matmul_of(d: &mut Draw, batch: &[usize], [m, k, n]: [usize; 3], public: bool) -> Instance {
    let limit = factors(d, k);
    let b = count(batch);
    let (x, y) = (d.around(b * m * k, limit), d.around(b * k * n, limit));
    let of = |sizes: &[usize]| [batch, sizes].concat();
    let from = if public { ": public fix" } else { ": fix" };
    let owner = if public { "" } else { " from b" };
    let text = format!(
        "entry f(x: fix{:?} from a, y{from}{:?}{owner}) -> fix{:?} to a {{ matmul(x, y) }}",
        of(&[m, k]),
        of(&[k, n]),
        of(&[m, n])
    );
    Instance::new(d, text).near(product(&x, &y, [b, m, k, n]), one(d)).with("x", x).with("y", y)
}

/// x and y are two halves of a square matrix.
fn squared(d: &mut Draw) -> Instance {
    let n = d.pick(&[1, 2, 5, 13]);
    let limit = factors(d, n);
    let sums = d.around(n * n, limit);
    let [x, y] = d.split(&sums);
    let text = format!(
        "entry f(x: fix[{n}, {n}] from a, y: fix[{n}, {n}] from b) -> fix[{n}, {n}] to b {{ let s = x + y; \
         matmul(s, s) }}"
    );
    Instance::new(d, text).near(product(&sums, &sums, [1, n, n, n]), one(d)).with("x", x).with("y", y)
}

/// Rows of x by the rows of w, and a bias.
fn layer(x: &[f64], w: &[f64], bias: &[f64], inner: usize) -> Vec<f64> {
    let value = |row: &[f64], w: &[f64], b: f64| row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + b;
    let filters: Vec<(&[f64], f64)> = w.chunks(inner).zip(bias.iter().copied()).collect();
    x.chunks(inner).flat_map(|row| filters.iter().map(move |(w, b)| value(row, w, *b))).collect()
}

fn linear(d: &mut Draw, bias: bool) -> Instance {
    let (n, i, o) = (d.pick(&[1, 3, 7]), d.pick(&[1, 5, 63, 65]), d.pick(&[1, 3, 11]));
    let limit = factors(d, i + 1);
    let (x, w, b) = (d.around(n * i, limit), d.around(o * i, limit), d.around(o, limit));
    let (layer_name, given) = if bias { ("linear", b) } else { ("linear_no_bias", vec![0.0; o]) };
    let record = if bias { "Linear" } else { "LinearNoBias" };
    let text = format!(
        "entry f(x: fix[{n}, {i}] from a, p: {record}[{i}, {o}] from b) -> fix[{n}, {o}] to a {{ \
         nn::{layer_name}(x, p) }}"
    );
    let instance = Instance::new(d, text).near(layer(&x, &w, &given, i), one(d)).with("x", x).with("p.weight", w);
    if bias { instance.with("p.bias", given) } else { instance }
}

fn linear_each(d: &mut Draw) -> Instance {
    let (n, t, i, o) = (d.pick(&[1, 2]), d.pick(FEW), d.pick(FEW), d.pick(FEW));
    let limit = factors(d, i + 1);
    let (x, w, b) = (d.around(n * t * i, limit), d.around(o * i, limit), d.around(o, limit));
    let text = format!(
        "entry f(x: fix[{n}, {t}, {i}] from a, p: Linear[{i}, {o}] from b) -> fix[{n}, {t}, {o}] to a {{ \
         nn::linear_each(x, p) }}"
    );
    Instance::new(d, text).near(layer(&x, &w, &b, i), one(d)).with("x", x).with("p.weight", w).with("p.bias", b)
}

/// A window of a convolution; of rows and of columns.
#[derive(Clone, Copy, Debug)]
struct Window {
    stride: [usize; 2],
    pad: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

const PLAIN: Window = Window { stride: [1, 1], pad: [0, 0], dilation: [1, 1], groups: 1 };

/// Rows or columns of a result, at least one: the kernel is made to fit.
fn fit(size: &mut usize, kernel: usize, stride: usize, pad: usize, dilation: usize) -> usize {
    *size = (*size).max((dilation * (kernel - 1) + 1).saturating_sub(2 * pad)).max(1);
    (*size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1
}

/// torch.nn.functional.conv2d, from its definition.
fn convolution(x: (&[f64], [usize; 4]), w: (&[f64], [usize; 4]), bias: &[f64], c: Window, out: [usize; 2]) -> Vec<f64> {
    let ([n, _, height, width], [o, g, kh, kw]) = (x.1, w.1);
    let value = |p: &Vec<usize>| {
        let mut sum = bias[p[1]];
        for tap in positions(&[g, kh, kw]) {
            let y = (p[2] * c.stride[0] + tap[1] * c.dilation[0]).checked_sub(c.pad[0]).filter(|y| *y < height);
            let z = (p[3] * c.stride[1] + tap[2] * c.dilation[1]).checked_sub(c.pad[1]).filter(|z| *z < width);
            if let (Some(y), Some(z)) = (y, z) {
                let channel = p[1] / (o / c.groups) * g + tap[0];
                sum += x.0[at(&x.1, &[p[0], channel, y, z])] * w.0[at(&w.1, &[p[1], tap[0], tap[1], tap[2]])];
            }
        }
        sum
    };
    positions(&[n, o, out[0], out[1]]).iter().map(value).collect()
}

fn conv2d(d: &mut Draw) -> Instance {
    let (n, i, o, k) = (d.pick(&[1, 3]), d.pick(&[1, 2, 3]), d.pick(&[1, 2, 5]), d.pick(&[1, 2, 3]));
    let (stride, pad) = (d.pick(&[1, 2, 3]), d.pick(&[0, 1, 2]));
    let (mut h, mut w) = (d.pick(&[1, 5, 11]), d.pick(&[1, 7, 13]));
    let out = [fit(&mut h, k, stride, pad, 1), fit(&mut w, k, stride, pad, 1)];
    let limit = factors(d, i * k * k + 1);
    let (x, weight, bias) = (d.around(n * i * h * w, limit), d.around(o * i * k * k, limit), d.around(o, limit));
    let c = Window { stride: [stride; 2], pad: [pad; 2], ..PLAIN };
    let wanted = convolution((&x, [n, i, h, w]), (&weight, [o, i, k, k]), &bias, c, out);
    let [oh, ow] = out;
    let text = format!(
        "entry f(x: fix[{n}, {i}, {h}, {w}] from a, p: Conv[{i}, {o}, {k}] from b) -> fix[{n}, {o}, {oh}, {ow}] to \
         a {{ nn::conv2d(x, p, stride = {stride}, pad = {pad}) }}"
    );
    Instance::new(d, text).near(wanted, one(d)).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

fn depthwise(d: &mut Draw) -> Instance {
    let (n, ch, k) = (d.pick(&[1, 2]), d.pick(&[1, 3, 5]), d.pick(&[1, 2, 3]));
    let (stride, pad) = (d.pick(&[1, 2]), d.pick(&[0, 1]));
    let (mut h, mut w) = (d.pick(&[1, 5, 7]), d.pick(&[1, 6, 13]));
    let out = [fit(&mut h, k, stride, pad, 1), fit(&mut w, k, stride, pad, 1)];
    let limit = factors(d, k * k + 1);
    let (x, weight, bias) = (d.around(n * ch * h * w, limit), d.around(ch * k * k, limit), d.around(ch, limit));
    let c = Window { stride: [stride; 2], pad: [pad; 2], groups: ch, ..PLAIN };
    let wanted = convolution((&x, [n, ch, h, w]), (&weight, [ch, 1, k, k]), &bias, c, out);
    let [oh, ow] = out;
    let text = format!(
        "entry f(x: fix[{n}, {ch}, {h}, {w}] from a, p: DepthwiseConv[{ch}, {k}] from b) -> fix[{n}, {ch}, {oh}, \
         {ow}] to a {{ nn::conv2d_depthwise(x, p, stride = {stride}, pad = {pad}) }}"
    );
    Instance::new(d, text).near(wanted, one(d)).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

fn conv2d_rect(d: &mut Draw) -> Instance {
    let groups = d.pick(&[1, 2, 3]);
    let (n, g, o) = (d.pick(&[1, 2]), d.pick(&[1, 2, 3]), groups * d.pick(&[1, 2]));
    let kernel = [d.pick(&[1, 2, 3]), d.pick(&[1, 2, 3])];
    let c = Window {
        stride: [d.pick(&[1, 2, 3]), d.pick(&[1, 2])],
        pad: [d.pick(&[0, 1, 2]), d.pick(&[0, 1, 3])],
        dilation: [d.pick(&[1, 2, 3]), d.pick(&[1, 2])],
        groups,
    };
    let mut size = [d.pick(&[1, 5, 9]), d.pick(&[1, 3, 11])];
    let out = [0, 1].map(|i| fit(&mut size[i], kernel[i], c.stride[i], c.pad[i], c.dilation[i]));
    let shape = [n, groups * g, size[0], size[1]];
    let limit = factors(d, g * count(&kernel) + 1);
    let (x, weight) = (d.around(count(&shape), limit), d.around(o * g * count(&kernel), limit));
    let bias = d.around(o, limit);
    let wanted = convolution((&x, shape), (&weight, [o, g, kernel[0], kernel[1]]), &bias, c, out);
    let text = format!(
        "entry f(x: fix{shape:?} from a, p: ConvRect[{g}, {o}, {}, {}] from b) -> fix[{n}, {o}, {}, {}] to a {{ \
         nn::conv2d_rect(x, p, stride = {}, stride_w = {}, pad = {}, pad_w = {}, dilation = {}, dilation_w = {}, \
         groups = {groups}) }}",
        kernel[0],
        kernel[1],
        out[0],
        out[1],
        c.stride[0],
        c.stride[1],
        c.pad[0],
        c.pad[1],
        c.dilation[0],
        c.dilation[1]
    );
    Instance::new(d, text).near(wanted, one(d)).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

fn conv1d(d: &mut Draw) -> Instance {
    let groups = d.pick(&[1, 2]);
    let (n, g, o, k) = (d.pick(&[1, 3]), d.pick(&[1, 2]), groups * d.pick(&[1, 3]), d.pick(&[1, 2, 5]));
    let (stride, pad, dilation) = (d.pick(&[1, 2, 3]), d.pick(&[0, 1, 3]), d.pick(&[1, 2]));
    let mut l = d.pick(&[1, 7, 23, 67]);
    let out = fit(&mut l, k, stride, pad, dilation);
    let i = groups * g;
    let limit = factors(d, g * k + 1);
    let (x, weight, bias) = (d.around(n * i * l, limit), d.around(o * g * k, limit), d.around(o, limit));
    let c = Window { stride: [1, stride], pad: [0, pad], dilation: [1, dilation], groups };
    let wanted = convolution((&x, [n, i, 1, l]), (&weight, [o, g, 1, k]), &bias, c, [1, out]);
    let text = format!(
        "entry f(x: fix[{n}, {i}, {l}] from a, p: Conv1d[{g}, {o}, {k}] from b) -> fix[{n}, {o}, {out}] to a {{ \
         nn::conv1d(x, p, stride = {stride}, pad = {pad}, dilation = {dilation}, groups = {groups}) }}"
    );
    Instance::new(d, text).near(wanted, one(d)).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

/// Every element adds its filter, as torch.nn.functional.conv_transpose2d says.
fn conv2d_transpose(d: &mut Draw) -> Instance {
    let (n, i, o, k) = (d.pick(&[1, 2]), d.pick(&[1, 3]), d.pick(&[1, 2]), d.pick(&[1, 2, 3]));
    let (stride, dilation) = (d.pick(&[1, 2, 3]), d.pick(&[1, 2]));
    let (pad, extra) = (d.random.below(dilation * (k - 1) / 2 + 1), d.random.below(stride.max(dilation)));
    let shape = [n, i, d.pick(&[1, 3, 5]), d.pick(&[1, 2, 7])];
    let size = |n: usize| (n - 1) * stride + dilation * (k - 1) + extra + 1 - 2 * pad;
    let out = [n, o, size(shape[2]), size(shape[3])];
    let limit = factors(d, i * k * k + 1);
    let (x, weight, bias) = (d.around(count(&shape), limit), d.around(i * o * k * k, limit), d.around(o, limit));
    let mut wanted: Vec<f64> = positions(&out).iter().map(|p| bias[p[1]]).collect();
    for from in positions(&[n, i, shape[2], shape[3], o, k, k]) {
        let [b, c, y, z, to, ky, kx] = from[..] else { unreachable!() };
        let place = |at: usize, tap: usize, size| (at * stride + tap * dilation).checked_sub(pad).filter(|t| *t < size);
        if let (Some(ty), Some(tx)) = (place(y, ky, out[2]), place(z, kx, out[3])) {
            let product = x[at(&shape, &[b, c, y, z])] * weight[at(&[i, o, k, k], &[c, to, ky, kx])];
            wanted[at(&out, &[b, to, ty, tx])] += product;
        }
    }
    let text = format!(
        "entry f(x: fix{shape:?} from a, p: ConvTranspose[{i}, {o}, {k}] from b) -> fix{out:?} to a {{ \
         nn::conv2d_transpose(x, p, stride = {stride}, pad = {pad}, output_pad = {extra}, dilation = {dilation}) }}"
    );
    Instance::new(d, text).near(wanted, one(d)).with("x", x).with("p.weight", weight).with("p.bias", bias)
}

fn convolve_public(d: &mut Draw) -> Instance {
    let (i, o, k) = (d.pick(&[1, 2]), d.pick(&[1, 3]), d.pick(&[2, 3]));
    let (mut h, mut w) = (d.pick(&[3, 5]), d.pick(&[4, 7]));
    let out = [fit(&mut h, k, 1, 1, 1), fit(&mut w, k, 1, 1, 1)];
    let limit = factors(d, i * k * k);
    let sums = d.around(i * h * w, limit);
    let [x, y] = d.split(&sums);
    let weight = d.around(o * i * k * k, limit);
    let c = Window { pad: [1, 1], ..PLAIN };
    let wanted = convolution((&sums, [1, i, h, w]), (&weight, [o, i, k, k]), &vec![0.0; o], c, out);
    let image = format!("fix[1, {i}, {h}, {w}]");
    let text = format!(
        "entry f(x: {image} from a, y: {image} from b, w: public fix[{o}, {i}, {k}, {k}]) -> fix[1, {o}, {}, {}] to \
         b {{ nn::convolve(x + y, w, pad = 1) }}",
        out[0], out[1]
    );
    Instance::new(d, text).near(wanted, one(d)).with("x", x).with("y", y).with("w", weight)
}
