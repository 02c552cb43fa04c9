//! Moves, layers, losses and metrics of the standard library compute what plain floating-point code computes, over random
//! shapes, in exact fixed point and in three-party runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use smlc::fixed::{Format, pow2};
use smlc::graph::{self, Graph, Op, eval};
use smlc::plan::{cost, lower, verify};
use smlc::run::lockstep;
use smlc::span::Sources;
use smlc::{hir, pass};

type Data = BTreeMap<String, Vec<f64>>;

const FORMAT: Format = Format { ring: 64, int: 16, frac: 16 };
/// The step of the format.
const U: f64 = 1.0 / 65536.0;

/// The messages of a program, or the graph of its only entry.
fn try_compile(text: &str, dims: &[(&str, usize)]) -> Result<(Graph, Sources), String> {
    let Format { ring, int, frac } = FORMAT;
    let mut sources = Sources::default();
    let head = format!(
        "owners a, b;\nfixed(int = {int}, frac = {frac}, ring = {ring});\nuse nn::{{Conv, Conv1d, ConvRect, ConvTranspose, Embedding, GroupNorm}};\n"
    );
    let file = sources.add("test.sml", head + text);
    let mut diags = Vec::new();
    let program = hir::check(&mut sources, file, &mut diags);
    let dims = dims.iter().map(|(name, n)| ((*name).to_string(), *n)).collect();
    let graph = program.and_then(|p| graph::lower::lower(&p, "f", &dims, &mut diags));
    let messages = smlc::diag::render::render(&diags, &sources, false);
    let mut graph = graph.filter(|_| diags.is_empty()).ok_or(messages)?;
    pass::run(&mut graph, None, &[]).unwrap();
    Ok((graph, sources))
}

/// The graph as the passes leave it, which its text gives back.
fn compile(text: &str, dims: &[(&str, usize)]) -> (Graph, Sources) {
    let (graph, sources) = try_compile(text, dims).unwrap_or_else(|messages| panic!("{text}\n{messages}"));
    let printed = graph::text::print(&graph);
    let read = graph::text::parse(&printed).unwrap();
    graph::verify::verify(&read).unwrap();
    assert_eq!(graph::text::print(&read), printed);
    (graph, sources)
}

/// The results of an entry in exact fixed point and of three parties.
fn results(text: &str, dims: &[(&str, usize)], data: &Data) -> [Data; 2] {
    let (graph, sources) = compile(text, dims);
    let fixed = eval::results(&graph, data, eval::Mode::Fixed).unwrap();
    let plan = lower::lower(&graph, &sources, lower::Options::default());
    verify::verify(&plan).unwrap();
    let outcome = lockstep::run(&plan, data, &mut |_, _, _, _| {}).unwrap();
    assert_eq!(outcome.rounds, cost::cost(&plan).rounds);
    [fixed, outcome.outputs]
}

/// Holds a result against what plain code computes, with an error bound for each element.
fn close(text: &str, dims: &[(&str, usize)], data: &Data, wanted: &[f64], bound: impl Fn(usize) -> f64) {
    for found in results(text, dims, data) {
        let found = &found["out"];
        assert_eq!(found.len(), wanted.len(), "{text} {dims:?}");
        for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!(
                (found - wanted).abs() <= bound(i),
                "{text} {dims:?}\nelement {i}: {found} instead of {wanted} within {}",
                bound(i)
            );
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `low..=high`.
    fn among(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    /// Numbers of the format between -limit and limit.
    fn numbers(&mut self, count: usize, limit: f64) -> Vec<f64> {
        let one = |bits: u64| ((bits >> 11) as f64 / pow2(53) * 2.0 - 1.0) * limit;
        (0..count).map(|_| (one(self.next()) / U).round() * U).collect()
    }
}

/// Row-major positions of a shape, as their indices.
fn positions(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |all, n| {
        all.iter().flat_map(|at| (0..*n).map(move |i| at.iter().copied().chain([i]).collect())).collect()
    })
}

fn at(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |at, (n, i)| at * n + i)
}

fn data(items: &[(&str, &[f64])]) -> Data {
    items.iter().map(|(k, v)| ((*k).to_string(), v.to_vec())).collect()
}

#[test]
fn elements_of_an_axis_go_elsewhere() {
    let mut random = Random(1);
    for shape in [[1, 1, 1], [2, 5, 3], [1, 7, 64], [3, 13, 1], [2, 2, 67]] {
        let x = random.numbers(shape.iter().product(), 100.0);
        let [n, c, w] = shape;
        let size = c;
        let (first, last) = (0, size - 1);
        let spread: Vec<_> = (0..(size - 1) * 3 + 1).map(|i| (i % 3 == 0).then_some(i / 3)).collect();
        let padded = [None].into_iter().chain((0..size).map(Some)).chain([None, None]).collect();
        let moves: [(String, Vec<Option<usize>>); 7] = [
            ("reverse(V, axis = 1)".into(), (0..size).rev().map(Some).collect()),
            ("every(V, 2, axis = 1)".into(), (0..size).step_by(2).map(Some).collect()),
            (format!("every(V, 3, axis = -2, start = {last})"), vec![Some(last)]),
            ("zero_pad(V, 1, 2, axis = 1)".into(), padded),
            ("zero_pad(V, 3, 1 - C, axis = 1)".replace('C', &c.to_string()), vec![None, None, None, Some(0)]),
            ("spread(V, 3, axis = 1)".into(), spread),
            (
                format!("gather(V, [{last}, {first}, {last}, {last}], axis = 1)"),
                vec![Some(last), Some(first), Some(last), Some(last)],
            ),
        ];
        for (call, index) in moves {
            let out = [n, index.len(), w];
            let of = |x: &[f64]| -> Vec<f64> {
                let value = |p: Vec<usize>| index[p[1]].map_or(0.0, |i| x[at(&shape, &[p[0], i, p[2]])]);
                positions(&out).into_iter().map(value).collect()
            };
            let wanted = of(&x);
            let signs: Vec<f64> = of(&x.iter().map(|v| f64::from(u8::from(*v > 0.0))).collect::<Vec<_>>());
            let whole: Vec<f64> = x.iter().map(|v| v.round()).collect();
            let types = |elem: &str, from: &str| {
                format!("entry f(x: {elem}[{n}, {c}, {w}] from {from}) -> {elem}[{n}, {}, {w}] to b", index.len())
            };
            // Shared, in the clear at its owner, of integers, and of bits.
            let shared = call.replace('V', "(x + x)");
            let doubled: Vec<f64> = wanted.iter().map(|v| 2.0 * v).collect();
            close(&format!("{} {{ {shared} }}", types("fix", "a")), &[], &data(&[("x", &x)]), &doubled, |_| 0.0);
            let text = format!("{} {{ {} }}", types("fix", "a"), call.replace('V', "x"));
            close(&text, &[], &data(&[("x", &x)]), &wanted, |_| 0.0);
            let text = format!("{} {{ {} }}", types("int", "a"), call.replace('V', "x"));
            close(&text, &[], &data(&[("x", &whole)]), &of(&whole), |_| 0.0);
            let text = types("fix", "a").replace("-> fix", "-> bool");
            let text = format!("{text} {{ let s = x > 0.0; {} }}", call.replace('V', "s"));
            close(&text, &[], &data(&[("x", &x)]), &signs, |_| 0.0);
            // What everybody knows stays public.
            let mixed = format!(
                "entry f(x: fix[{n}, {c}, {w}] from a, p: public fix[{n}, {c}, {w}]) -> fix[{n}, {}, {w}] to b {{ {} * {} }}",
                index.len(),
                call.replace('V', "x"),
                call.replace('V', "p")
            );
            let p = random.numbers(x.len(), 3.0);
            let product: Vec<f64> = of(&x.iter().zip(&p).map(|(x, p)| x * p).collect::<Vec<_>>());
            close(&mixed, &[], &data(&[("x", &x), ("p", &p)]), &product, |_| U);
        }
    }
}

/// A move sends nothing: rounds and bytes are those of the comparison alone.
#[test]
fn moves_cost_nothing() {
    let bytes = |body: &str, out: usize| {
        let text = format!("entry f(x: fix[4, 8] from a) -> fix[4, {out}] to b {{ {body} }}");
        let (graph, sources) = compile(&text, &[]);
        let cost = cost::cost(&lower::lower(&graph, &sources, lower::Options::default()));
        (cost.bytes_total, cost.rounds)
    };
    let alone = bytes("nn::relu(x)", 8);
    assert_eq!(
        bytes("zero_pad(reverse(nn::relu(spread(every(x, 2, axis = 1), 1, axis = 0)), axis = 1), 3, 1, axis = 1)", 8).1,
        alone.1
    );
    assert_eq!(bytes("reverse(nn::relu(reverse(x, axis = 0)), axis = 1)", 8), alone);
}

#[test]
fn regular_indices_are_slices() {
    let ops = |body: &str| {
        let text = format!("entry f(x: fix[4, 8] from a, y: fix from b) -> fix[4, 3] to b {{ {body} }}");
        let (graph, _) = compile(&text, &[]);
        let is = |wanted: fn(&Op) -> bool| graph.order().into_iter().filter(|n| wanted(&graph.node(*n).op)).count();
        (is(|op| matches!(op, Op::Slice { .. })), is(|op| matches!(op, Op::Gather { .. })))
    };
    assert_eq!(ops("gather(x * y, [1, 4, 7], axis = 1)"), (1, 0));
    assert_eq!(ops("every(x * y, 3, axis = 1)"), (1, 0));
    assert_eq!(ops("gather(x * y, [1, 4, 6], axis = 1)"), (0, 1));
    assert_eq!(ops("gather(x * y, [4, 1, 1], axis = 1)"), (0, 1));
    assert_eq!(ops("gather(gather(x * y, [0, 1, 2, 3, 4, 5, 6, 7], axis = 1), [0, 1, 2], axis = 1)"), (1, 0));
}

/// Sizes of a convolution as torch takes them.
#[derive(Clone, Copy, Debug)]
struct Conv {
    stride: [usize; 2],
    pad: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

/// Rows or columns of a result, if there are any.
fn reach(size: usize, kernel: usize, stride: usize, pad: usize, dilation: usize) -> Option<usize> {
    Some((size + 2 * pad).checked_sub(dilation * (kernel - 1) + 1)? / stride + 1)
}

/// torch.nn.functional.conv2d, from its definition.
fn conv2d(x: (&[f64], [usize; 4]), w: (&[f64], [usize; 4]), bias: &[f64], c: Conv) -> Option<(Vec<f64>, [usize; 4])> {
    let ([n, i, height, width], [o, g, kh, kw]) = (x.1, w.1);
    let oh = reach(height, kh, c.stride[0], c.pad[0], c.dilation[0])?;
    let ow = reach(width, kw, c.stride[1], c.pad[1], c.dilation[1])?;
    let shape = [n, o, oh, ow];
    let value = |p: Vec<usize>| {
        let mut sum = bias[p[1]];
        for (gc, ky, kx) in (0..g).flat_map(|gc| (0..kh).flat_map(move |ky| (0..kw).map(move |kx| (gc, ky, kx)))) {
            let y = (p[2] * c.stride[0] + ky * c.dilation[0]) as i64 - c.pad[0] as i64;
            let z = (p[3] * c.stride[1] + kx * c.dilation[1]) as i64 - c.pad[1] as i64;
            if (0..height as i64).contains(&y) && (0..width as i64).contains(&z) {
                let channel = p[1] / (o / c.groups) * g + gc;
                let from = at(&[n, i, height, width], &[p[0], channel, y as usize, z as usize]);
                sum += x.0[from] * w.0[at(&w.1, &[p[1], gc, ky, kx])];
            }
        }
        sum
    };
    Some((positions(&shape).into_iter().map(value).collect(), shape))
}

/// A convolution is exact but for its one truncation.
const ONE: f64 = 1.001 * U;

#[test]
fn convolutions_of_any_window() {
    let mut random = Random(2);
    let mut tried = 0;
    while tried < 30 {
        let groups = random.among(1, 3);
        let (n, g, o) = (random.among(1, 3), random.among(1, 3), groups * random.among(1, 3));
        let (h, w) = (random.among(1, 11), random.among(1, 11));
        let kernel = [o, g, random.among(1, 4), random.among(1, 4)];
        let mut pair = |low, high| [random.among(low, high), random.among(low, high)];
        let c = Conv { stride: pair(1, 3), pad: pair(0, 3), dilation: pair(1, 3), groups };
        let shape = [n, groups * g, h, w];
        let x = random.numbers(shape.iter().product(), 8.0);
        let (weight, bias) = (random.numbers(kernel.iter().product(), 2.0), random.numbers(o, 2.0));
        let Some((wanted, out)) = conv2d((&x, shape), (&weight, kernel), &bias, c) else { continue };
        tried += 1;
        let text = format!(
            "entry f(x: fix{shape:?} from a, p: ConvRect[{g}, {o}, {}, {}] from b) -> fix{out:?} to a {{
    nn::conv2d_rect(x, p, stride = {}, stride_w = {}, pad = {}, pad_w = {}, dilation = {}, dilation_w = {}, groups = {groups})
}}",
            kernel[2], kernel[3], c.stride[0], c.stride[1], c.pad[0], c.pad[1], c.dilation[0], c.dilation[1]
        );
        close(&text, &[], &data(&[("x", &x), ("p.weight", &weight), ("p.bias", &bias)]), &wanted, |_| ONE);
    }
}

#[test]
fn convolutions_of_sequences() {
    let mut random = Random(3);
    let mut tried = 0;
    while tried < 12 {
        let groups = random.among(1, 2);
        let (n, g, o) = (random.among(1, 3), random.among(1, 3), groups * random.among(1, 3));
        let (l, k) = (random.among(1, 23), random.among(1, 5));
        let (stride, pad, dilation) = (random.among(1, 3), random.among(0, 3), random.among(1, 3));
        let c = Conv { stride: [1, stride], pad: [0, pad], dilation: [1, dilation], groups };
        let x = random.numbers(n * groups * g * l, 8.0);
        let (weight, bias) = (random.numbers(o * g * k, 2.0), random.numbers(o, 2.0));
        let Some((wanted, out)) = conv2d((&x, [n, groups * g, 1, l]), (&weight, [o, g, 1, k]), &bias, c) else {
            continue;
        };
        tried += 1;
        let text = format!(
            "entry f[N, L](x: fix[N, {}, L] from a, p: Conv1d[{g}, {o}, {k}] from b) -> fix[N, {o}, {}] to a {{
    nn::conv1d(x, p, stride = {stride}, pad = {pad}, dilation = {dilation}, groups = {groups})[.., .., 0..{}]
}}",
            groups * g,
            out[3],
            out[3]
        );
        let data = data(&[("x", &x), ("p.weight", &weight), ("p.bias", &bias)]);
        close(&text, &[("N", n), ("L", l)], &data, &wanted, |_| ONE);
    }
}

/// Every element adds its filter, as torch.nn.functional.conv_transpose2d says.
#[test]
fn transposed_convolutions_add_filters() {
    let mut random = Random(4);
    let mut tried = 0;
    while tried < 20 {
        let (n, i, o, k) = (random.among(1, 2), random.among(1, 3), random.among(1, 3), random.among(1, 4));
        let (h, w) = (random.among(1, 6), random.among(1, 7));
        let (stride, dilation) = (random.among(1, 3), random.among(1, 2));
        let (pad, extra) = (random.among(0, dilation * k), random.among(0, stride.max(dilation) - 1));
        let size = |n: usize| ((n - 1) * stride + dilation * (k - 1) + extra + 1).checked_sub(2 * pad);
        let (Some(oh @ 1..), Some(ow @ 1..)) = (size(h), size(w)) else { continue };
        tried += 1;
        let (shape, out) = ([n, i, h, w], [n, o, oh, ow]);
        let x = random.numbers(shape.iter().product(), 8.0);
        let (weight, bias) = (random.numbers(i * o * k * k, 2.0), random.numbers(o, 2.0));
        let mut wanted: Vec<f64> = positions(&out).into_iter().map(|p| bias[p[1]]).collect();
        for from in positions(&[n, i, h, w, o, k, k]) {
            let [b, c, y, z, to, ky, kx] = from[..] else { unreachable!() };
            let place = |at: usize, tap: usize| (at * stride + tap * dilation).checked_sub(pad);
            if let (Some(ty), Some(tx)) = (place(y, ky), place(z, kx))
                && ty < oh
                && tx < ow
            {
                let product = x[at(&shape, &[b, c, y, z])] * weight[at(&[i, o, k, k], &[c, to, ky, kx])];
                wanted[at(&out, &[b, to, ty, tx])] += product;
            }
        }
        let text = format!(
            "entry f[H](x: fix[{n}, {i}, H, {w}] from a, p: ConvTranspose[{i}, {o}, {k}] from b) -> fix{out:?} to a {{
    nn::conv2d_transpose(x, p, stride = {stride}, pad = {pad}, output_pad = {extra}, dilation = {dilation})[.., .., 0..{oh}]
}}"
        );
        let data = data(&[("x", &x), ("p.weight", &weight), ("p.bias", &bias)]);
        close(&text, &[("H", h)], &data, &wanted, |_| ONE);
    }
}

/// One truncation: a transposed convolution sends what a convolution with as many results sends.
#[test]
fn a_transposed_convolution_costs_one_truncation() {
    let bytes = |text: &str| {
        let (graph, sources) = compile(text, &[]);
        let cost = cost::cost(&lower::lower(&graph, &sources, lower::Options::default()));
        (cost.bytes_total, cost.rounds)
    };
    let up = bytes(
        "entry f(x: fix[1, 2, 4, 4] from a, p: ConvTranspose[2, 3, 2] from b) -> fix[1, 3, 8, 8] to a {
    nn::conv2d_transpose(x, p, stride = 2)
}",
    );
    let flat = bytes(
        "entry f(x: fix[1, 2, 8, 8] from a, p: Conv[2, 3, 3] from b) -> fix[1, 3, 8, 8] to a { nn::conv2d(x, p, pad = 1) }",
    );
    assert_eq!(up, flat);
}

/// torch.nn.functional.adaptive_avg_pool2d, from its definition.
fn adaptive_avg_pool(x: &[f64], shape: [usize; 4], out: [usize; 2]) -> Vec<f64> {
    let window = |i: usize, size: usize, count: usize| {
        let start = (i as f64 * size as f64 / count as f64).floor() as usize;
        start..((i + 1) as f64 * size as f64 / count as f64).ceil() as usize
    };
    let mean = |p: Vec<usize>| {
        let (rows, cols) = (window(p[2], shape[2], out[0]), window(p[3], shape[3], out[1]));
        let count = (rows.len() * cols.len()) as f64;
        let places = rows.flat_map(|y| cols.clone().map(move |z| (y, z)));
        places.map(|(y, z)| x[at(&shape, &[p[0], p[1], y, z])]).sum::<f64>() / count
    };
    positions(&[shape[0], shape[1], out[0], out[1]]).into_iter().map(mean).collect()
}

#[test]
fn adaptive_means_follow_torchs_windows() {
    let mut random = Random(5);
    let mut shapes =
        vec![([1, 1, 1, 1], [1, 1]), ([2, 3, 7, 7], [7, 7]), ([1, 2, 6, 6], [3, 2]), ([2, 1, 13, 5], [1, 1])];
    for _ in 0..16 {
        let shape = [random.among(1, 3), random.among(1, 3), random.among(1, 13), random.among(1, 17)];
        // More windows than rows repeat them.
        shapes.push((shape, [random.among(1, 8), random.among(1, 19)]));
    }
    for (shape, out) in shapes {
        let x = random.numbers(shape.iter().product(), 30.0);
        let largest = x.iter().map(|x| x.abs()).fold(0.0, f64::max);
        let wanted = adaptive_avg_pool(&x, shape, out);
        let [n, c, ..] = shape;
        let [h, w] = out;
        for input in ["x", "(x + y)"] {
            let text = format!(
                "entry f(x: fix{shape:?} from a, y: fix from b) -> fix[{n}, {c}, {h}, {w}] to b {{ nn::adaptive_avg_pool({input}, {h}, {w}) }}"
            );
            close(&text, &[], &data(&[("x", &x), ("y", &[0.0])]), &wanted, |_| U * (1.0 + 4.0 * largest));
        }
    }
}

/// torch's means are the ordinary ones where the sizes divide, and cost no more.
#[test]
fn adaptive_means_cost_what_pools_cost() {
    let bytes = |call: &str| {
        let text =
            format!("entry f(x: fix[1, 2, 8, 6] from a, y: fix from b) -> fix[1, 2, 4, 2] to b {{ nn::{call} }}");
        let (graph, sources) = compile(&text, &[]);
        let cost = cost::cost(&lower::lower(&graph, &sources, lower::Options::default()));
        (cost.bytes_total, cost.rounds)
    };
    let even = bytes("adaptive_avg_pool(x * y, 4, 2)");
    let uneven = "entry f(x: fix[1, 2, 7, 5] from a, y: fix from b) -> fix[1, 2, 4, 2] to b { nn::adaptive_avg_pool(x + y, 4, 2) }";
    let (graph, sources) = compile(uneven, &[]);
    let uneven = cost::cost(&lower::lower(&graph, &sources, lower::Options::default()));
    let alone = bytes("adaptive_avg_pool(x + y, 4, 2)");
    assert_eq!((uneven.bytes_total, uneven.rounds), alone);
    assert!(even.0 > alone.0);
}

#[test]
fn windows_as_an_axis_and_their_winners() {
    let mut random = Random(6);
    for (shape, k, stride) in
        [([1, 1, 1, 1], 1, 1), ([2, 3, 7, 9], 3, 2), ([1, 2, 6, 4], 2, 2), ([3, 1, 5, 11], 2, 3), ([1, 2, 7, 7], 5, 1)]
    {
        let mut x = random.numbers(shape.iter().product(), 300.0);
        // Ties, also at a distance.
        for i in (0..x.len()).step_by(3) {
            x[i] = x[i].round() % 2.0;
        }
        let [n, c, h, w] = shape;
        let (rows, cols) = ((h - k) / stride + 1, (w - k) / stride + 1);
        let windows: Vec<Vec<f64>> = positions(&[n, c, rows, cols])
            .iter()
            .map(|p| {
                let inside = positions(&[k, k]);
                inside
                    .iter()
                    .map(|i| x[at(&shape, &[p[0], p[1], p[2] * stride + i[0], p[3] * stride + i[1]])])
                    .collect()
            })
            .collect();
        let out = [n, c, rows, cols];
        let text = format!(
            "entry f(x: fix{shape:?} from a, y: fix from b) -> fix[{n}, {c}, {rows}, {cols}, {}] to b {{ nn::patches(x + y, {k}, stride = {stride}) }}",
            k * k
        );
        let given = data(&[("x", &x), ("y", &[0.0])]);
        close(&text, &[], &given, &windows.concat(), |_| 0.0);
        let text = format!(
            "entry f(x: fix{shape:?} from a, y: fix from b) -> (fix{out:?}, int{out:?}) to b {{ nn::max_pool_winner(x + y, {k}, stride = {stride}) }}"
        );
        let largest: Vec<f64> = windows.iter().map(|w| w.iter().copied().fold(f64::MIN, f64::max)).collect();
        let first = |(w, max): (&Vec<f64>, &f64)| w.iter().position(|v| v == max).unwrap() as f64;
        let winners: Vec<f64> = windows.iter().zip(&largest).map(first).collect();
        for found in results(&text, &[], &given) {
            assert_eq!(found["out.0"], largest, "{text}");
            assert_eq!(found["out.1"], winners, "{text}");
        }
        let text = format!(
            "entry f(x: fix{shape:?} from a, y: fix from b) -> fix[{n}, {c}, 1, 1] to b {{ nn::global_max_pool(x + y) }}"
        );
        let (graph, _) = compile(&text, &[]);
        assert_eq!(graph.order().into_iter().filter(|n| matches!(graph.node(*n).op, Op::Max { .. })).count(), 1);
        let top: Vec<f64> = x.chunks(h * w).map(|plane| plane.iter().copied().fold(f64::MIN, f64::max)).collect();
        close(&text, &[], &given, &top, |_| 0.0);
    }
}

#[test]
fn small_activations() {
    let mut random = Random(7);
    for (limit, slope) in [(0.001, 0.01), (3.0, 0.2), (3000.0, 0.01), (3000.0, 1.0), (30.0, 0.0)] {
        let x = random.numbers(211, limit);
        let s = random.numbers(211, limit);
        let wanted: Vec<f64> = x.iter().map(|x| if *x > 0.0 { *x } else { slope * x }).collect();
        let text = format!(
            "entry f(x: fix[211] from a, y: fix from b) -> fix[211] to b {{ nn::leaky_relu(x + y, slope = {slope:?}) }}"
        );
        let bound = |i: usize| U * (1.0 + slope * f64::abs(x[i]));
        close(&text, &[], &data(&[("x", &x), ("y", &[0.0])]), &wanted, bound);
        let text = "entry f(x: fix[211] from a, s: fix[211] from b) -> fix[211] to b { nn::residual(x, s) }";
        let wanted: Vec<f64> = x.iter().zip(&s).map(|(x, s)| (x + s).max(0.0)).collect();
        close(text, &[], &data(&[("x", &x), ("s", &s)]), &wanted, |_| 0.0);
    }
}

#[test]
fn groups_are_normalised_together() {
    let mut random = Random(8);
    for (n, groups, each, h, w) in [(1, 1, 2, 2, 2), (2, 3, 2, 5, 3), (3, 2, 1, 7, 4), (1, 5, 3, 1, 2), (2, 1, 7, 3, 3)]
    {
        let c = groups * each;
        let x = random.numbers(n * c * h * w, 6.0);
        let (weight, bias) = (random.numbers(c, 2.0), random.numbers(c, 2.0));
        let size = each * h * w;
        let mut wanted = Vec::new();
        let mut bounds = Vec::new();
        for (row, group) in x.chunks(size).enumerate() {
            let mean = group.iter().sum::<f64>() / size as f64;
            let variance = group.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / size as f64;
            let s = variance.sqrt();
            assert!(variance > 1e-3);
            for (i, v) in group.iter().enumerate() {
                let channel = row % groups * each + i / (h * w);
                let y = (v - mean) / (variance + 1e-5).sqrt();
                wanted.push(y * weight[channel] + bias[channel]);
                // The error of `standardise` times the factor, and a truncation.
                let standardised = U * (1.0 + y.abs()) * (10.0 + s + 4.0 / s + 2.0 / (s * s));
                bounds.push(standardised * weight[channel].abs() + 1.01 * U);
            }
        }
        let text = format!(
            "entry f(x: fix[{n}, {c}, {h}, {w}] from a, p: GroupNorm[{c}] from b) -> fix[{n}, {c}, {h}, {w}] to b {{ nn::group_norm(x, p, groups = {groups}) }}"
        );
        let given = data(&[("x", &x), ("p.weight", &weight), ("p.bias", &bias)]);
        close(&text, &[], &given, &wanted, |i| bounds[i]);
    }
}

#[test]
fn a_table_gives_its_rows() {
    let mut random = Random(9);
    for (n, v, d) in [(1, 1, 1), (5, 7, 3), (2, 31, 4)] {
        let table = random.numbers(v * d, 3000.0);
        let rows: Vec<usize> = (0..n).map(|_| random.among(0, v - 1)).collect();
        let places: Vec<f64> = rows.iter().map(|row| *row as f64).collect();
        let wanted: Vec<f64> = rows.iter().flat_map(|row| table[row * d..(row + 1) * d].to_vec()).collect();
        let text = format!(
            "entry f(i: int[{n}] from a, j: int[{n}] from b, p: Embedding[{v}, {d}] from b) -> fix[{n}, {d}] to a {{ nn::embedding(i + j, p) }}"
        );
        let given = data(&[("i", &places), ("j", &vec![0.0; n]), ("p.weight", &table)]);
        close(&text, &[], &given, &wanted, |_| 0.0);
    }
}

#[test]
fn losses() {
    let mut random = Random(10);
    for (n, c, limit) in [(1, 1, 1.0), (7, 5, 4.0), (13, 3, 30.0)] {
        let z = random.numbers(n * c, limit);
        let t: Vec<f64> = (0..n * c).map(|_| random.among(0, 4) as f64 / 4.0).collect();
        let each = |(z, t): (&f64, &f64)| {
            let p = 1.0 / (1.0 + (-z).exp());
            -t * p.ln() - (1.0 - t) * (1.0 - p).ln()
        };
        let wanted = z.iter().zip(&t).map(each).sum::<f64>() / (n * c) as f64;
        let types = format!("entry f(z: fix[{n}, {c}] from a, t: fix[{n}, {c}] from b) -> fix to a");
        let given = data(&[("z", &z), ("t", &t)]);
        let text = format!("{types} {{ loss::binary_cross_entropy(z, t) }}");
        close(&text, &[], &given, &[wanted], |_| 6.0 * U + 8e-6);

        let hot: Vec<f64> = (0..n * c).map(|i| f64::from(u8::from(i % c == i / c * 3 % c))).collect();
        let logs: Vec<f64> = z.iter().map(|z| -z.abs()).collect();
        let wanted = -logs.iter().zip(&hot).map(|(l, t)| l * t).sum::<f64>() / n as f64;
        let text = format!("{types} {{ loss::nll(z, t) }}");
        close(&text, &[], &data(&[("z", &logs), ("t", &hot)]), &[wanted], |_| U * (2.0 + wanted));
    }
}

#[test]
fn metrics() {
    let mut random = Random(11);
    for (n, c) in [(1, 1), (7, 5), (16, 10), (31, 3)] {
        let scores = random.numbers(n * c, 100.0);
        let labels: Vec<usize> = (0..n).map(|_| random.among(0, c - 1)).collect();
        let rows: Vec<&[f64]> = scores.chunks(c).collect();
        let above = |row: &[f64], label: usize| row.iter().filter(|s| **s > row[label]).count();
        let part = |k: usize| {
            rows.iter().zip(&labels).filter(|(row, label)| above(row, **label) < k).count() as f64 / n as f64
        };
        let indices: Vec<f64> = labels.iter().map(|l| *l as f64).collect();
        let text =
            format!("entry f(s: fix[{n}, {c}] from a, l: int[{n}] from b) -> fix to b {{ metrics::accuracy(s, l) }}");
        close(&text, &[], &data(&[("s", &scores), ("l", &indices)]), &[part(1)], |_| 2.0 * U);
        let hot: Vec<f64> =
            labels.iter().flat_map(|label| (0..c).map(move |i| f64::from(u8::from(i == *label)))).collect();
        for k in [1, 2, c] {
            let text = format!(
                "entry f(s: fix[{n}, {c}] from a, t: fix[{n}, {c}] from b) -> fix to b {{ metrics::top_k_accuracy(s, t, {k}) }}"
            );
            close(&text, &[], &data(&[("s", &scores), ("t", &hot)]), &[part(k)], |_| 2.0 * U);
        }
    }
}

#[test]
fn the_largest_of_each_row() {
    let mut random = Random(13);
    for (n, c, k) in [(1, 1, 1), (3, 5, 2), (7, 13, 5), (2, 3, 3)] {
        let mut x = random.numbers(n * c, 30000.0);
        // Equal ones.
        x[n * c - 1] = x[0];
        let mut order: Vec<Vec<usize>> = vec![(0..c).collect(); n];
        for (row, order) in order.iter_mut().enumerate() {
            order.sort_by(|i, j| x[row * c + j].total_cmp(&x[row * c + i]).then(i.cmp(j)));
        }
        let text = format!(
            "entry f(x: fix[{n}, {c}] from a, y: fix[{n}, {c}] from b) -> (fix[{n}, {k}] to a, int[{n}, {k}] to b) {{ top_k(x + y, {k}) }}"
        );
        for found in results(&text, &[], &data(&[("x", &x), ("y", &vec![0.0; n * c])])) {
            for (row, order) in order.iter().enumerate() {
                for (t, place) in order[..k].iter().enumerate() {
                    let at = row * k + t;
                    assert_eq!(found["out.0"][at], x[row * c + place], "{text}: {x:?}");
                    assert_eq!(found["out.1"][at], *place as f64, "{text}: {x:?}");
                }
            }
        }
    }
}

#[test]
fn integers_have_bits() {
    let mut random = Random(14);
    for (n, bits) in [(1, 1), (7, 5), (65, 17), (3, 40)] {
        let limit = 1 << bits.min(15);
        let x: Vec<f64> = (0..n).map(|_| random.among(0, limit) as f64 - (limit / 2) as f64).collect();
        let low = |x: f64| (x as i64).rem_euclid(1 << bits);
        let text = format!(
            "entry f(x: int[{n}] from a, y: int[{n}] from b) -> (bool[{n}, {bits}] to a, int[{n}] to b, int[{n}] to a) \
             {{ let b = bits(x + y, {bits}); (b, from_bits(b), from_bits(any_above(b))) }}"
        );
        for found in results(&text, &[], &data(&[("x", &x), ("y", &vec![0.0; n])])) {
            for (i, x) in x.iter().enumerate() {
                let low = low(*x);
                let row: Vec<bool> = found["out.0"][i * bits..(i + 1) * bits].iter().map(|b| *b == 1.0).collect();
                assert_eq!(row, (0..bits).map(|bit| low >> bit & 1 == 1).collect::<Vec<_>>(), "{x}");
                assert_eq!(found["out.1"][i], low as f64, "{x}");
                assert_eq!(found["out.2"][i], ((low as u64 + 1).next_power_of_two() - 1) as f64, "{x}");
            }
        }
    }
}

/// Each element is kept with the given probability, in each run by other bits; what is kept is scaled.
#[test]
fn dropout_keeps_some() {
    let n = 20_000;
    for (p, kept) in [(0.5, 0.5), (0.1, 0.9), (0.75, 0.25)] {
        let text =
            format!("entry f[N](x: fix[N] from a, y: fix[N] from b) -> fix[N] to a {{ nn::dropout(x + y, p = {p}) }}");
        let given = data(&[("x", &vec![3.0; n]), ("y", &vec![0.0; n])]);
        let (graph, sources) = compile(&text, &[("N", n)]);
        let plan = lower::lower(&graph, &sources, lower::Options::default());
        verify::verify(&plan).unwrap();
        let runs = [(); 2].map(|()| lockstep::run(&plan, &given, &mut |_, _, _, _| {}).unwrap().outputs["out"].clone());
        for y in &runs {
            assert!(y.iter().all(|y| *y == 0.0 || (y - 3.0 / kept).abs() < 4.0 * U), "{y:?}");
            let part = y.iter().filter(|y| **y != 0.0).count() as f64 / n as f64;
            // Six standard deviations.
            let deviation = (kept * (1.0 - kept) / n as f64).sqrt();
            assert!((part - kept).abs() < 6.0 * deviation, "{part} of {p}");
        }
        let both = runs[0].iter().zip(&runs[1]).filter(|(a, b)| **a != 0.0 && **b != 0.0).count() as f64 / n as f64;
        assert!((both - kept * kept).abs() < 0.03, "{both}");
    }
}

/// Bits are moved as bits: the same bits come out, and what they cost is the comparison and the opening.
#[test]
fn bits_move_without_a_message() {
    let mut random = Random(12);
    let (rows, cols) = (5, 67);
    let x = random.numbers(rows * cols, 2.0);
    let p: Vec<f64> = (0..rows * 3).map(|i| f64::from(u8::from(i % 3 != 1))).collect();
    let bit = |i: usize, j: usize| x[i * cols + j] > 0.0;
    type Bits<'a> = Box<dyn Fn(usize, usize) -> bool + 'a>;
    let cases: [(&str, [usize; 2], Bits<'_>); 9] = [
        ("s", [rows, cols], Box::new(bit)),
        ("transpose(s, [1, 0])", [cols, rows], Box::new(|i, j| bit(j, i))),
        ("s[1..4, 3..66]", [3, 63], Box::new(|i, j| bit(i + 1, j + 3))),
        ("reverse(s, axis = 1)", [rows, cols], Box::new(|i, j| bit(i, cols - 1 - j))),
        ("concat(s, !s, axis = 1)", [rows, 2 * cols], Box::new(|i, j| bit(i, j % cols) != (j >= cols))),
        (
            "concat(p > 0.5, s, axis = 1)",
            [rows, cols + 3],
            Box::new(|i, j| if j < 3 { p[i * 3 + j] > 0.5 } else { bit(i, j - 3) }),
        ),
        (
            "concat(s, q > 0.5, axis = 1)",
            [rows, cols + 3],
            Box::new(|i, j| if j < cols { bit(i, j) } else { p[i * 3 + j - cols] > 0.5 }),
        ),
        ("reshape(s[2], [1, 67]) && s", [rows, cols], Box::new(|i, j| bit(2, j) && bit(i, j))),
        (
            "zero_pad(transpose(reshape(s, [67, 5]), [1, 0]), 0, 1, axis = 1)",
            [5, 68],
            Box::new(|i, j| j < 67 && x[j * 5 + i] > 0.0),
        ),
    ];
    let mut costs = Vec::new();
    for (body, out, wanted) in &cases {
        let text = format!(
            "entry f(x: fix[{rows}, {cols}] from a, y: fix from b, p: public fix[{rows}, 3], q: fix[{rows}, 3] from b) -> bool{out:?} to a {{
    let s = x + y > 0.0;
    {body}
}}"
        );
        let wanted: Vec<f64> = positions(out).iter().map(|at| f64::from(u8::from(wanted(at[0], at[1])))).collect();
        let given = data(&[("x", &x), ("y", &[0.0]), ("p", &p), ("q", &p)]);
        close(&text, &[], &given, &wanted, |_| 0.0);
        let (graph, sources) = compile(&text, &[]);
        let cost = cost::cost(&lower::lower(&graph, &sources, lower::Options::default()));
        costs.push((cost.bytes_total, cost.rounds));
    }
    // As many bits, in another order: the last AND is reshared (3 bits) and the moved bit opened (3) in a round of its own, in
    // place of an opening by the AND itself (6).
    for moved in [1, 3] {
        assert_eq!(costs[moved], (costs[0].0, costs[0].1 + 1), "{}", cases[moved].0);
    }
}

/// Windows with their winners cost what the winners alone cost, and a selection for each window.
#[test]
fn values_and_winners_share_comparisons() {
    let cost = |result: &str, body: &str| {
        let text = format!("entry f(x: fix[1, 3, 6, 6] from a, y: fix from b) -> {result} to b {{ {body} }}");
        let (graph, sources) = compile(&text, &[]);
        cost::cost(&lower::lower(&graph, &sources, lower::Options::default()))
    };
    let (large, winner) = ("fix[1, 3, 3, 3]", "int[1, 3, 3, 3]");
    let both = cost(&format!("({large}, {winner})"), "nn::max_pool_winner(x + y, 2)");
    let alone = cost(winner, "argmax(nn::patches(x + y, 2))");
    assert_eq!((both.bytes_total, both.rounds), (alone.bytes_total + 27 * 3 * 8, alone.rounds));
}

#[test]
fn sizes_that_are_too_large_are_refused() {
    let refused = |from: &str, to: &str, body: &str| {
        let text = format!("entry f(x: fix{from} from a, y: fix from b) -> fix{to} to b {{ {body} }}");
        try_compile(&text, &[]).err().unwrap_or_else(|| panic!("{body} is accepted"))
    };
    for (from, to, body, why) in [
        ("[2]", "[4194305]", "spread(x, 4194304, axis = 0)", "is not spread"),
        ("[5]", "[4194310]", "zero_pad(x, 4194305, 0, axis = 0)", "is not padded"),
        ("[5]", "[9223372036854775807]", "zero_pad(x, 9223372036854775802, 0, axis = 0)", "more than 4294967296"),
        ("[4294967296]", "[4294967296]", "reverse(x, axis = 0)", "is not reversed"),
        ("[1, 1, 4194305, 1]", "[1, 1, 2, 1]", "nn::adaptive_avg_pool(x, 2, 1)", "are too many"),
        ("[1, 1, 2, 2]", "[1, 1, 4194305, 1]", "nn::adaptive_avg_pool(x, 4194305, 1)", "are too many"),
        ("[1, 1, 4194305, 1]", "[1, 1, 4194305, 1, 1]", "nn::patches(x, 1)", "are too many"),
        ("[1, 1, 2, 2]", "[1, 1, 2, 2]", "nn::convolve(x, reshape(y, [1, 1, 1, 1]), dilation = 0)", "a window needs"),
    ] {
        let messages = refused(from, to, body);
        assert!(messages.contains(why), "{body}: {messages}");
    }
}
