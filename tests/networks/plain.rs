//! The networks once more, in plain floating-point code that reads tensors by name.

use crate::Data;

/// x W^T + b for rows of x.
fn linear(x: &[f64], net: &Data, name: &str) -> Vec<f64> {
    affine(x, &net[&format!("{name}.weight")], &net[&format!("{name}.bias")])
}

fn affine(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let width = weight.len() / bias.len();
    let row = |x: &[f64]| -> Vec<f64> {
        let dot = |w: &[f64]| w.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        weight.chunks_exact(width).zip(bias).map(|(w, b)| dot(w) + b).collect()
    };
    x.chunks_exact(width).flat_map(row).collect()
}

fn relu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|v| v.max(0.0)).collect()
}

pub fn mlp(data: &Data) -> Vec<f64> {
    let x: Vec<f64> = data["image"].iter().map(|v| (v / 255.0 - 0.1307) / 0.3081).collect();
    let h = relu(linear(&x, data, "net.fc1"));
    let h = relu(linear(&h, data, "net.fc2"));
    linear(&h, data, "net.fc3")
}

const E: usize = 64;
const T: usize = 16;
const HEADS: usize = 4;

/// Attention over one sequence of T positions, head by head and position by position.
fn attention(x: &[f64], data: &Data) -> Vec<f64> {
    let at = |field: &str| &data[&format!("net.self_attn.{field}")];
    let qkv = affine(x, at("in_proj_weight"), at("in_proj_bias"));
    let part = |which: usize, t: usize, i: usize| qkv[t * 3 * E + which * E + i];
    let width = E / HEADS;
    let mut mixed = vec![0.0; T * E];
    for head in 0..HEADS {
        let coordinates = head * width..(head + 1) * width;
        for t in 0..T {
            let score = |s: usize| -> f64 {
                let dot: f64 = coordinates.clone().map(|i| part(0, t, i) * part(1, s, i)).sum();
                (dot / (width as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = (0..T).map(score).collect();
            let total: f64 = scores.iter().sum();
            for i in coordinates.clone() {
                mixed[t * E + i] = (0..T).map(|s| scores[s] / total * part(2, s, i)).sum();
            }
        }
    }
    linear(&mixed, data, "net.self_attn.out_proj")
}

fn layer_norm(x: &[f64], data: &Data, name: &str) -> Vec<f64> {
    let (weight, bias) = (&data[&format!("{name}.weight")], &data[&format!("{name}.bias")]);
    let row = |x: &[f64]| -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / E as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / E as f64;
        (0..E).map(|i| (x[i] - mean) / (variance + 1e-5).sqrt() * weight[i] + bias[i]).collect()
    };
    x.chunks_exact(E).flat_map(row).collect()
}

pub fn encoder(data: &Data) -> Vec<f64> {
    let sum = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
    let sequence = |x: &[f64]| {
        let h = layer_norm(&sum(x, &attention(x, data)), data, "net.norm1");
        let y = linear(&relu(linear(&h, data, "net.linear1")), data, "net.linear2");
        layer_norm(&sum(&h, &y), data, "net.norm2")
    };
    data["x"].chunks_exact(T * E).flat_map(sequence).collect()
}

/// One image: channels of h by w numbers.
struct Image {
    channels: Vec<Vec<f64>>,
    h: usize,
    w: usize,
}

impl Image {
    /// The number at a place that may lie outside.
    fn at(&self, channel: usize, y: isize, x: isize) -> Option<f64> {
        let inside = (0..self.h as isize).contains(&y) && (0..self.w as isize).contains(&x);
        inside.then(|| self.channels[channel][y as usize * self.w + x as usize])
    }

    /// Slides a window of k by k over the image; `f` gets a new channel and the window's corner.
    fn windows(&self, o: usize, k: usize, stride: usize, pad: usize, f: impl Fn(usize, isize, isize) -> f64) -> Image {
        let out = |size: usize| (size + 2 * pad - k) / stride + 1;
        let (h, w) = (out(self.h), out(self.w));
        let corner = |i: usize| (i * stride) as isize - pad as isize;
        let channel = |c: usize| (0..h * w).map(|i| f(c, corner(i / w), corner(i % w))).collect();
        Image { channels: (0..o).map(channel).collect(), h, w }
    }

    /// The convolution of filters in groups.
    fn filter(&self, weight: &[f64], o: usize, [k, stride, pad, groups]: [usize; 4]) -> Image {
        let inner = self.channels.len() / groups;
        assert_eq!(weight.len(), o * inner * k * k);
        self.windows(o, k, stride, pad, |c, y, x| {
            let product = |i: usize| {
                let (from, dy, dx) = (c / (o / groups) * inner + i / (k * k), i / k % k, i % k);
                weight[c * inner * k * k + i] * self.at(from, y + dy as isize, x + dx as isize).unwrap_or(0.0)
            };
            (0..inner * k * k).map(product).sum()
        })
    }

    /// The convolution `name` with its bias, then ReLU.
    fn biased(&self, data: &Data, name: &str, [k, stride, pad]: [usize; 3]) -> Image {
        let bias = &data[&format!("net.{name}.bias")];
        let mut out = self.filter(&data[&format!("net.{name}.weight")], bias.len(), [k, stride, pad, 1]);
        for (channel, bias) in out.channels.iter_mut().zip(bias) {
            channel.iter_mut().for_each(|v| *v += bias);
        }
        out.map(positive)
    }

    /// The convolution `name` in groups, then the normalisation `norm`.
    fn conv(&self, data: &Data, name: &str, norm: &str, [k, stride, groups]: [usize; 3]) -> Image {
        let of = |field: &str| &data[&format!("net.{norm}.{field}")];
        let (scale, shift, mean, variance) = (of("weight"), of("bias"), of("running_mean"), of("running_var"));
        let mut out = self.filter(&data[&format!("net.{name}.weight")], scale.len(), [k, stride, k / 2, groups]);
        for (c, channel) in out.channels.iter_mut().enumerate() {
            channel.iter_mut().for_each(|v| *v = (*v - mean[c]) / (variance[c] + 1e-5).sqrt() * scale[c] + shift[c]);
        }
        out
    }

    fn max_pool(&self, k: usize, stride: usize, pad: usize) -> Image {
        self.windows(self.channels.len(), k, stride, pad, |c, top, left| {
            let size = k as isize;
            let all = (0..size * size).filter_map(|i| self.at(c, top + i / size, left + i % size));
            all.fold(f64::MIN, f64::max)
        })
    }

    fn map(mut self, f: impl Fn(f64) -> f64) -> Image {
        self.channels.iter_mut().flatten().for_each(|v| *v = f(*v));
        self
    }

    fn plus(mut self, other: &Image) -> Image {
        let all = self.channels.iter_mut().flatten().zip(other.channels.iter().flatten());
        all.for_each(|(a, b)| *a += b);
        self
    }

    fn averages(&self) -> Vec<f64> {
        self.channels.iter().map(|c| c.iter().sum::<f64>() / c.len() as f64).collect()
    }
}

/// The images of a batch: 3 channels of as many rows as columns.
fn images(data: &Data, size: usize) -> Vec<Image> {
    let image = |numbers: &[f64]| {
        let channels = numbers.chunks_exact(size * size).map(<[f64]>::to_vec).collect();
        Image { channels, h: size, w: size }
    };
    data["image"].chunks_exact(3 * size * size).map(image).collect()
}

fn positive(v: f64) -> f64 {
    v.max(0.0)
}

pub fn resnet(data: &Data, depths: [usize; 4], bottleneck: bool) -> Vec<f64> {
    let one = |image: Image| {
        let x = image.conv(data, "conv1", "bn1", [7, 2, 1]).map(positive);
        let mut x = x.max_pool(3, 2, 1);
        for (stage, depth) in depths.into_iter().enumerate() {
            for block in 0..depth {
                let at = |field: &str| format!("layer{}.{block}.{field}", stage + 1);
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                // torchvision strides at the convolution of 3 by 3.
                let layers: &[[usize; 2]] =
                    if bottleneck { &[[1, 1], [3, stride], [1, 1]] } else { &[[3, stride], [3, 1]] };
                let mut y: Option<Image> = None;
                for (index, [k, stride]) in layers.iter().enumerate() {
                    let (conv, norm) = (at(&format!("conv{}", index + 1)), at(&format!("bn{}", index + 1)));
                    let input = y.map(|y| y.map(positive));
                    y = Some(input.as_ref().unwrap_or(&x).conv(data, &conv, &norm, [*k, *stride, 1]));
                }
                let projected = data.contains_key(&format!("net.{}", at("downsample.0.weight")));
                let beside = projected.then(|| x.conv(data, &at("downsample.0"), &at("downsample.1"), [1, stride, 1]));
                x = y.unwrap().plus(beside.as_ref().unwrap_or(&x)).map(positive);
            }
        }
        linear(&x.averages(), data, "net.fc")
    };
    images(data, 32).into_iter().flat_map(one).collect()
}

pub fn mobilenet(data: &Data) -> Vec<f64> {
    let six = |v: f64| v.clamp(0.0, 6.0);
    let one = |image: Image| {
        let mut x = image.conv(data, "features.0.0", "features.0.1", [3, 2, 1]).map(six);
        for block in 1..=17 {
            let stride = if [2, 4, 7, 14].contains(&block) { 2 } else { 1 };
            let at = |field: &str| format!("features.{block}.conv.{field}");
            let wide = if block == 1 { None } else { Some(x.conv(data, &at("0.0"), &at("0.1"), [1, 1, 1]).map(six)) };
            let next = usize::from(block > 1);
            let wide = wide.as_ref().unwrap_or(&x);
            let (conv, norm) = (at(&format!("{next}.0")), at(&format!("{next}.1")));
            let filtered = wide.conv(data, &conv, &norm, [3, stride, wide.channels.len()]).map(six);
            let (conv, norm) = (at(&(next + 1).to_string()), at(&(next + 2).to_string()));
            let y = filtered.conv(data, &conv, &norm, [1, 1, 1]);
            x = if stride == 1 && y.channels.len() == x.channels.len() { y.plus(&x) } else { y };
        }
        let x = x.conv(data, "features.18.0", "features.18.1", [1, 1, 1]).map(six);
        linear(&x.averages(), data, "net.classifier.1")
    };
    images(data, 32).into_iter().flat_map(one).collect()
}

/// Linear layers with ReLU between them, on all numbers of an image.
fn classify(image: &Image, data: &Data, names: [&str; 3]) -> Vec<f64> {
    let h = relu(linear(&image.channels.concat(), data, &format!("net.classifier.{}", names[0])));
    let h = relu(linear(&h, data, &format!("net.classifier.{}", names[1])));
    linear(&h, data, &format!("net.classifier.{}", names[2]))
}

pub fn alexnet(data: &Data) -> Vec<f64> {
    let one = |image: Image| {
        let x = image.biased(data, "features.0", [11, 4, 2]).max_pool(3, 2, 0);
        let x = x.biased(data, "features.3", [5, 1, 2]).max_pool(3, 2, 0);
        let x = x.biased(data, "features.6", [3, 1, 1]);
        let x = x.biased(data, "features.8", [3, 1, 1]);
        classify(&x.biased(data, "features.10", [3, 1, 1]).max_pool(3, 2, 0), data, ["1", "4", "6"])
    };
    images(data, 224).into_iter().flat_map(one).collect()
}

pub fn vgg16(data: &Data) -> Vec<f64> {
    let one = |mut x: Image| {
        let mut at = 0;
        for convs in [2, 2, 3, 3, 3] {
            for _ in 0..convs {
                x = x.biased(data, &format!("features.{at}"), [3, 1, 1]);
                at += 2;
            }
            x = x.max_pool(2, 2, 0);
            at += 1;
        }
        classify(&x, data, ["0", "3", "6"])
    };
    images(data, 32).into_iter().flat_map(one).collect()
}
