//! Convolutions.

use crate::device::{Args, Device, Fields, in_both_orders, random};

/// Sizes: images, channels, height, width; output channels and groups; and the window.
#[derive(Clone, Copy, Debug)]
struct Shape {
    image: [usize; 4],
    outputs: usize,
    groups: usize,
    window: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
    dilation: [usize; 2],
    parts: u32,
}

impl Shape {
    fn new(image: [usize; 4], outputs: usize, groups: usize, window: [usize; 2]) -> Shape {
        let one = [1, 1];
        Shape { image, outputs, groups, window, stride: one, pad: [0, 0], dilation: one, parts: 1 }
    }

    fn result(&self) -> [usize; 2] {
        std::array::from_fn(|i| {
            let reach = (self.window[i] - 1) * self.dilation[i] + 1;
            (self.image[2 + i] + 2 * self.pad[i] - reach) / self.stride[i] + 1
        })
    }

    fn depth(&self) -> usize {
        self.image[1] / self.groups * self.window[0] * self.window[1]
    }

    fn pixels(&self) -> usize {
        self.image[0] * self.result()[0] * self.result()[1]
    }
}

fn convolve(shape: &Shape, image: &[u64], weight: &[u64]) -> Vec<u64> {
    let ([images, channels, height, width], [kh, kw]) = (shape.image, shape.window);
    let ([oh, ow], depth) = (shape.result(), channels / shape.groups);
    let mut out = Vec::new();
    for at in 0..images * shape.outputs * oh * ow {
        let (picture, o, y, x) =
            (at / (shape.outputs * oh * ow), at / (oh * ow) % shape.outputs, at / ow % oh, at % ow);
        let group = o / (shape.outputs / shape.groups);
        let mut sum = 0u64;
        for tap in 0..depth * kh * kw {
            let (d, r, s) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            let row = (y * shape.stride[0] + r * shape.dilation[0]).wrapping_sub(shape.pad[0]);
            let column = (x * shape.stride[1] + s * shape.dilation[1]).wrapping_sub(shape.pad[1]);
            if row < height && column < width {
                let value = image[((picture * channels + group * depth + d) * height + row) * width + column];
                sum = sum.wrapping_add(value.wrapping_mul(weight[o * depth * kh * kw + tap]));
            }
        }
        out.push(sum);
    }
    out
}

/// Factors of the sums of images and of weights, or how many pairs.
#[derive(Clone, Copy, Debug)]
enum Form {
    Pairs(usize),
    Sums([[i64; 2]; 2]),
}

const SUMS: Form = Form::Sums([[2, -2], [-1, 1]]);

fn add(a: &[u64], x: i64, b: &[u64], y: i64) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_mul(x as u64).wrapping_add(b.wrapping_mul(y as u64))).collect()
}

fn check_on(device: &mut Device, kernel: &str, shape: &Shape, form: Form) {
    let group = [shape.image[1], shape.outputs].map(|channels| channels / shape.groups);
    let [images, weights] = [shape.image.iter().product(), shape.outputs * shape.depth()];
    let images = [random(1, images), random(2, images)];
    let weights = [random(3, weights), random(4, weights)];
    let expected = match form {
        Form::Pairs(1) => convolve(shape, &images[0], &weights[0]),
        Form::Pairs(_) => {
            let [first, second] = [0, 1].map(|j: usize| convolve(shape, &images[j], &weights[j]));
            add(&first, 1, &second, 1)
        }
        Form::Sums([[a, b], [c, d]]) => {
            convolve(shape, &add(&images[0], a, &images[1], b), &add(&weights[0], c, &weights[1], d))
        }
    };
    let (name, pairs, factors) = match form {
        Form::Pairs(pairs) => (kernel.to_owned(), pairs, [[0; 2]; 2]),
        Form::Sums(factors) => (format!("{kernel}_sums"), 1, factors),
    };
    let out = device.put(&vec![if shape.parts > 1 { 0 } else { 9 }; expected.len()]);
    let [oh, ow] = shape.result();
    let fields = Fields::default().u64s(images.map(|words| device.put(&words)));
    let fields = fields.u64s(weights.map(|words| device.put(&words))).u64(out);
    let fields = fields.u64s(factors.as_flattened().iter().map(|factor| *factor as u64));
    let numbers = [shape.image[0], shape.groups, group[0], group[1]];
    let mut fields = fields.u32s(numbers.map(|number| number as u32));
    let size = [shape.image[2], shape.image[3]];
    for pair in [size, shape.window, shape.stride, shape.pad, shape.dilation, shape.result()] {
        fields = fields.u32s(pair.map(|number| number as u32));
    }
    let fields = fields.divisor((oh * ow) as u32).divisor(ow as u32);
    let fields = fields.divisor((shape.window[0] * shape.window[1]) as u32).divisor(shape.window[1] as u32);
    let args = Args::default().fields(fields.u32(pairs as u32));
    let (grid, shared) = match kernel {
        "conv_direct" => ([shape.pixels().div_ceil(256), group[1].div_ceil(4)], 0),
        "conv_simt" => ([group[1].div_ceil(64) * shape.pixels().div_ceil(64), shape.parts as usize], 0),
        "conv_limb_low" => ([group[1].div_ceil(32) * shape.pixels().div_ceil(128), shape.parts as usize], 81_920),
        _ => ([group[1].div_ceil(64) * shape.pixels().div_ceil(64), shape.parts as usize], 65_536),
    };
    let grid = [grid[0] as u32, grid[1] as u32, shape.groups.div_ceil(2) as u32];
    device.launch(&name, grid, 256, shared, &args);
    assert!(device.read(out) == expected, "{name}: {shape:?}, {form:?}");
}

fn check(kernel: &str, shape: &Shape, form: Form) {
    in_both_orders(|device| check_on(device, kernel, shape, form));
}

/// Windows of all kinds.
fn windows() -> [(Shape, Form); 6] {
    let new = Shape::new;
    [
        (new([1, 1, 1, 1], 1, 1, [1, 1]), Form::Pairs(1)),
        (Shape { pad: [1, 1], ..new([2, 3, 5, 7], 5, 1, [3, 3]) }, Form::Pairs(2)),
        (Shape { stride: [2, 3], pad: [1, 0], ..new([3, 5, 9, 7], 9, 1, [3, 2]) }, SUMS),
        (Shape { pad: [1, 1], ..new([2, 6, 4, 5], 9, 3, [3, 3]) }, Form::Pairs(1)),
        (Shape { stride: [2, 1], pad: [0, 3], dilation: [4, 5], ..new([1, 4, 13, 8], 6, 2, [3, 2]) }, Form::Pairs(2)),
        (Shape { pad: [2, 2], ..new([1, 2, 1, 3], 2, 1, [3, 3]) }, SUMS),
    ]
}

#[test]
fn tiles_of_words() {
    windows().iter().for_each(|(shape, form)| check("conv_simt", shape, *form));
    // More than a tile of outputs and of pixels; depth in parts.
    check("conv_simt", &Shape { parts: 2, ..Shape::new([3, 2, 5, 6], 65, 1, [2, 2]) }, Form::Pairs(2));
}

#[test]
fn tiles_of_bytes() {
    windows().iter().for_each(|(shape, form)| check("conv_limb", shape, *form));
    check("conv_limb", &Shape { parts: 2, ..Shape::new([3, 4, 5, 6], 65, 1, [3, 3]) }, SUMS);
}

#[test]
fn low_tiles_of_bytes() {
    let shape = Shape { pad: [1, 1], ..Shape::new([2, 4, 8, 9], 33, 1, [3, 3]) };
    check("conv_limb_low", &shape, Form::Pairs(2));
    check("conv_limb_low", &Shape { parts: 2, stride: [2, 1], ..shape }, SUMS);
}

#[test]
fn a_thread_a_pixel() {
    windows().iter().for_each(|(shape, form)| check("conv_direct", shape, *form));
    // One channel a group; more than a block of pixels.
    check("conv_direct", &Shape { pad: [1, 1], ..Shape::new([2, 3, 12, 13], 3, 3, [3, 3]) }, Form::Pairs(2));
}
