//! The networks in `examples/` have the tensors of torchvision's state_dicts, written down here once more from its
//! definitions, and compute what plain floating-point code computes: the small ones as they are, others with fewer
//! channels.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plain;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use smlc::data::names::{Size, Wanted, pair};
use smlc::graph::{self, eval};
use smlc::plan::lower;
use smlc::run::lockstep;
use smlc::span::Sources;
use smlc::{hir, pass};

/// How an example's text is changed before it is compiled.
type Change = fn(&str) -> String;

/// Modules are files beside the program, and are changed like it.
struct Beside(PathBuf, Change);

impl hir::Modules for Beside {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let path = self.0.with_file_name(format!("{name}.sml"));
        Ok(std::fs::read_to_string(&path).ok().map(|text| (path.display().to_string(), self.1(&text))))
    }
}

fn example(name: &str, change: Change) -> (hir::Program, Sources) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut sources = Sources::default();
    let file = sources.add(name, change(&std::fs::read_to_string(&path).unwrap()));
    let mut diags = Vec::new();
    let program = hir::check_with(&mut sources, file, &mut Beside(path, change), &mut diags);
    (program.unwrap_or_else(|| panic!("{}", smlc::diag::render::render(&diags, &sources, false))), sources)
}

/// A state_dict: names and shapes.
#[derive(Default)]
struct Dict(BTreeMap<String, Vec<usize>>);

impl Dict {
    fn add(&mut self, name: &str, field: &str, shape: &[usize]) {
        assert!(self.0.insert(format!("{name}.{field}"), shape.to_vec()).is_none(), "{name}.{field} twice");
    }

    /// `torch.nn.Conv2d(i, o, k, groups=groups, bias=bias)`.
    fn conv(&mut self, name: &str, [i, o, k]: [usize; 3], groups: usize, bias: bool) {
        self.add(name, "weight", &[o, i / groups, k, k]);
        if bias {
            self.add(name, "bias", &[o]);
        }
    }

    /// `torch.nn.Linear(i, o)`.
    fn linear(&mut self, name: &str, i: usize, o: usize) {
        self.add(name, "weight", &[o, i]);
        self.add(name, "bias", &[o]);
    }

    /// `torch.nn.BatchNorm2d(c)`.
    fn norm(&mut self, name: &str, c: usize) {
        for field in ["weight", "bias", "running_mean", "running_var"] {
            self.add(name, field, &[c]);
        }
        self.add(name, "num_batches_tracked", &[]);
    }

    fn conv_norm(&mut self, conv: &str, norm: &str, sizes: [usize; 3], groups: usize) {
        self.conv(conv, sizes, groups, false);
        self.norm(norm, sizes[1]);
    }

    /// How many numbers training adjusts.
    fn parameters(&self) -> usize {
        let buffer = |name: &str| name.contains(".running_") || name.ends_with(".num_batches_tracked");
        self.0.iter().filter(|(name, _)| !buffer(name)).map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}

/// `torchvision.models.resnet`, with bottlenecks or basic blocks.
fn resnet(depths: [usize; 4], bottleneck: bool) -> Dict {
    let mut dict = Dict::default();
    dict.conv_norm("conv1", "bn1", [3, 64, 7], 1);
    let expansion = if bottleneck { 4 } else { 1 };
    let mut channels = 64;
    for (stage, depth) in depths.into_iter().enumerate() {
        let planes = 64 << stage;
        for block in 0..depth {
            let name = format!("layer{}.{block}", stage + 1);
            let at = |field: &str| format!("{name}.{field}");
            let convs: &[[usize; 3]] = if bottleneck {
                &[[channels, planes, 1], [planes, planes, 3], [planes, 4 * planes, 1]]
            } else {
                &[[channels, planes, 3], [planes, planes, 3]]
            };
            for (index, sizes) in convs.iter().enumerate() {
                dict.conv_norm(&at(&format!("conv{}", index + 1)), &at(&format!("bn{}", index + 1)), *sizes, 1);
            }
            let strided = stage > 0 && block == 0;
            if strided || channels != planes * expansion {
                dict.conv_norm(&at("downsample.0"), &at("downsample.1"), [channels, planes * expansion, 1], 1);
            }
            channels = planes * expansion;
        }
    }
    dict.linear("fc", channels, 1000);
    dict
}

fn alexnet() -> Dict {
    let mut dict = Dict::default();
    for (at, sizes) in
        [(0, [3, 64, 11]), (3, [64, 192, 5]), (6, [192, 384, 3]), (8, [384, 256, 3]), (10, [256, 256, 3])]
    {
        dict.conv(&format!("features.{at}"), sizes, 1, true);
    }
    dict.linear("classifier.1", 256 * 6 * 6, 4096);
    dict.linear("classifier.4", 4096, 4096);
    dict.linear("classifier.6", 4096, 1000);
    dict
}

/// FALCON's AlexNet for CIFAR-10, without its normalisations.
fn alexnet_cifar() -> Dict {
    let mut dict = Dict::default();
    for (at, sizes) in
        [(0, [3, 96, 11]), (3, [96, 256, 5]), (6, [256, 384, 3]), (8, [384, 384, 3]), (10, [384, 256, 3])]
    {
        dict.conv(&format!("features.{at}"), sizes, 1, true);
    }
    dict.linear("classifier.0", 256, 256);
    dict.linear("classifier.2", 256, 256);
    dict.linear("classifier.4", 256, 10);
    dict
}

/// Configuration D of `torchvision.models.vgg`; 0 is a pooling.
fn vgg16() -> Dict {
    let mut dict = Dict::default();
    let (mut at, mut channels) = (0, 3);
    for width in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0] {
        if width == 0 {
            at += 1;
        } else {
            dict.conv(&format!("features.{at}"), [channels, width, 3], 1, true);
            channels = width;
            at += 2;
        }
    }
    dict.linear("classifier.0", 512 * 7 * 7, 4096);
    dict.linear("classifier.3", 4096, 4096);
    dict.linear("classifier.6", 4096, 1000);
    dict
}

/// `VGG('VGG16')` of pytorch-cifar; 0 is a pooling.
fn vgg16_cifar() -> Dict {
    let mut dict = Dict::default();
    let (mut at, mut channels) = (0, 3);
    for width in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0] {
        if width == 0 {
            at += 1;
        } else {
            dict.conv(&format!("features.{at}"), [channels, width, 3], 1, true);
            dict.norm(&format!("features.{}", at + 1), width);
            channels = width;
            at += 3;
        }
    }
    dict.linear("classifier", 512, 10);
    dict
}

fn mobilenet_v2() -> Dict {
    let mut dict = Dict::default();
    dict.conv_norm("features.0.0", "features.0.1", [3, 32, 3], 1);
    let (mut at, mut channels) = (1, 32);
    for (expand, width, count) in [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    {
        for _ in 0..count {
            let hidden = channels * expand;
            let mut layers = vec![([hidden, hidden, 3], hidden)];
            if expand != 1 {
                layers.insert(0, ([channels, hidden, 1], 1));
            }
            let name = format!("features.{at}.conv");
            for (index, (sizes, groups)) in layers.iter().enumerate() {
                dict.conv_norm(&format!("{name}.{index}.0"), &format!("{name}.{index}.1"), *sizes, *groups);
            }
            let last = layers.len();
            dict.conv_norm(&format!("{name}.{last}"), &format!("{name}.{}", last + 1), [hidden, width, 1], 1);
            channels = width;
            at += 1;
        }
    }
    dict.conv_norm("features.18.0", "features.18.1", [320, 1280, 1], 1);
    dict.linear("classifier.1", 1280, 1000);
    dict
}

/// `torch.nn.TransformerEncoderLayer(e, heads, hidden)`.
fn encoder(e: usize, hidden: usize) -> Dict {
    let mut dict = Dict::default();
    dict.add("self_attn", "in_proj_weight", &[3 * e, e]);
    dict.add("self_attn", "in_proj_bias", &[3 * e]);
    dict.linear("self_attn.out_proj", e, e);
    dict.linear("linear1", e, hidden);
    dict.linear("linear2", hidden, e);
    for norm in ["norm1", "norm2"] {
        dict.add(norm, "weight", &[e]);
        dict.add(norm, "bias", &[e]);
    }
    dict
}

fn lenet() -> Dict {
    let mut dict = Dict::default();
    dict.conv("conv1", [1, 6, 5], 1, true);
    dict.conv("conv2", [6, 16, 5], 1, true);
    dict.linear("fc1", 400, 120);
    dict.linear("fc2", 120, 84);
    dict.linear("fc3", 84, 10);
    dict
}

fn lenet_wide() -> Dict {
    let mut dict = Dict::default();
    dict.conv("conv1", [1, 20, 5], 1, true);
    dict.conv("conv2", [20, 50, 5], 1, true);
    dict.linear("fc1", 800, 500);
    dict.linear("fc2", 500, 10);
    dict
}

fn mlp() -> Dict {
    let mut dict = Dict::default();
    dict.linear("fc1", 784, 128);
    dict.linear("fc2", 128, 128);
    dict.linear("fc3", 128, 10);
    dict
}

#[test]
fn state_dicts_load_as_they_are() {
    // Tensors (without the counters of batches) and parameters, as torchvision's documentation states them.
    for (name, dict, tensors, parameters) in [
        ("mlp.sml", mlp(), 6, 118_282),
        ("lenet.sml", lenet(), 10, 61_706),
        ("lenet_wide.sml", lenet_wide(), 8, 431_080),
        ("alexnet.sml", alexnet(), 16, 61_100_840),
        ("alexnet_cifar.sml", alexnet_cifar(), 16, 3_881_354),
        ("vgg16.sml", vgg16(), 32, 138_357_544),
        ("vgg16_cifar.sml", vgg16_cifar(), 80, 14_728_266),
        ("mobilenet_v2.sml", mobilenet_v2(), 262, 3_504_872),
        ("transformer.sml", encoder(64, 256), 12, 49_984),
        ("resnet/resnet18.sml", resnet([2, 2, 2, 2], false), 102, 11_689_512),
        ("resnet/resnet34.sml", resnet([3, 4, 6, 3], false), 182, 21_797_672),
        ("resnet/resnet50.sml", resnet([3, 4, 6, 3], true), 267, 25_557_032),
        ("resnet/resnet101.sml", resnet([3, 4, 23, 3], true), 522, 44_549_160),
        ("resnet/resnet152.sml", resnet([3, 8, 36, 3], true), 777, 60_192_808),
    ] {
        let (program, _) = example(name, str::to_owned);
        let leaves = program.leaves(&program.entries[0]);
        let wanted: Vec<Wanted> = leaves
            .iter()
            .filter_map(|leaf| {
                let path = leaf.path.strip_prefix("net.")?.to_string();
                let shape = leaf.shape.iter().map(|d| Size::Known(d.as_constant().unwrap() as usize)).collect();
                Some(Wanted { path, shape })
            })
            .collect();
        let pairs = pair(name, &wanted, &dict.0).unwrap_or_else(|error| panic!("{error:#?}"));
        assert!(pairs.iter().zip(&wanted).all(|(pair, wanted)| *pair == wanted.path), "{name}: no name is renamed");
        assert_eq!((wanted.len(), dict.parameters()), (tensors, parameters), "{name}");
    }
}

/// Numbers between -limit and limit, always the same.
struct Random(u64);

impl Random {
    fn numbers(&mut self, count: usize, limit: f64) -> Vec<f64> {
        let next = |_| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) as f64 / f64::from(1u32 << 31) * 2.0 - 1.0) * limit
        };
        (0..count).map(next).collect()
    }
}

type Data = BTreeMap<String, Vec<f64>>;

/// Data for every tensor of an example, with the size at which torch starts its weights.
fn data(program: &hir::Program, n: usize, limit: f64) -> Data {
    let mut random = Random(11);
    let sizes = BTreeMap::from([("N".to_string(), n)]);
    let leaf = |leaf: hir::Leaf| {
        let shape: Vec<usize> = leaf.shape.iter().map(|d| d.evaluate(&sizes).unwrap() as usize).collect();
        let count = shape.iter().product();
        let numbers = match leaf.path.rsplit('.').next().unwrap() {
            _ if !leaf.path.starts_with("net.") => random.numbers(count, limit),
            // Scales and variances lie around 1.
            "weight" | "running_var" if shape.len() == 1 => {
                random.numbers(count, 0.5).iter().map(|x| 1.0 + x).collect()
            }
            _ => random.numbers(count, 1.7 / (shape.iter().skip(1).product::<usize>().max(16) as f64).sqrt()),
        };
        (leaf.path, numbers)
    };
    program.leaves(&program.entries[0]).into_iter().map(leaf).collect()
}

/// Compares the evaluator in real numbers and in fixed point, and three parties, with a reference.
fn compare(
    (name, change): (&str, Change),
    n: usize,
    limit: f64,
    reference: impl Fn(&Data) -> Vec<f64>,
    [real, fixed]: [f64; 2],
) {
    let (program, sources) = example(name, change);
    let data = data(&program, n, limit);
    let wanted = reference(&data);
    let mut diags = Vec::new();
    let dims = BTreeMap::from([("N".to_string(), n)]);
    let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut diags).unwrap();
    pass::run(&mut graph, None, &[]).unwrap();
    let plan = lower::lower(&graph, &sources, lower::Options::default());
    let results = [
        ("real", eval::results(&graph, &data, eval::Mode::Real).unwrap(), real),
        ("fixed", eval::results(&graph, &data, eval::Mode::Fixed).unwrap(), fixed),
        ("run", lockstep::run(&plan, &data, &mut |_, _, _, _| {}).unwrap().outputs, fixed),
    ];
    for (arithmetic, found, error) in results {
        let found = &found["out"];
        assert_eq!(found.len(), wanted.len());
        let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < error, "{name} {arithmetic}: off by {worst}");
    }
    let largest = wanted.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    assert!(largest > 0.1, "{name}: the results are too small to compare");
}

#[test]
fn a_perceptron_computes_what_plain_code_computes() {
    compare(("mlp.sml", str::to_owned), 3, 255.0, plain::mlp, [1e-9, 1e-3]);
}

#[test]
fn an_encoder_layer_computes_what_plain_code_computes() {
    compare(("transformer.sml", str::to_owned), 2, 2.0, plain::encoder, [1e-6, 2e-3]);
}

/// The text behind the header with other numbers, but for those of tuples' elements.
fn renumbered(text: &str, new: impl Fn(usize) -> usize) -> String {
    let (head, body) = text.split_at(text.find("frac = 16);").map_or(0, |at| at + 11));
    let mut out = head.to_string();
    let mut digits = String::new();
    for c in body.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let number = digits.parse().unwrap();
            out.push_str(&if out.ends_with('.') { number } else { new(number) }.to_string());
            digits.clear();
        }
        out.push(c);
    }
    out
}

/// Images of 32 by 32, 10 classes, a sixteenth of the channels.
fn narrow_resnet(text: &str) -> String {
    renumbered(text, |number| match number {
        224 => 32,
        1000 => 10,
        64 | 128 | 256 | 512 | 1024 | 2048 => number / 16,
        _ => number,
    })
}

/// Images of 32 by 32, 10 classes, an eighth of the channels.
fn narrow_mobilenet(text: &str) -> String {
    renumbered(text, |number| match number {
        224 => 32,
        1000 => 10,
        16 | 24 | 32 | 64 | 96 | 160 | 320 | 1280 => number / 8,
        _ => number,
    })
}

/// 10 classes, a sixteenth of the channels, narrow classifiers; of VGG also images of 32 by 32.
fn narrow_alexnet(text: &str) -> String {
    renumbered(text, |number| match number {
        1000 => 10,
        4096 => 32,
        64 | 192 | 256 | 384 | 9216 => number / 16,
        _ => number,
    })
}

fn narrow_vgg(text: &str) -> String {
    renumbered(text, |number| match number {
        224 => 32,
        1000 => 10,
        4096 => 32,
        25088 => 32,
        64 | 128 | 256 | 512 => number / 16,
        _ => number,
    })
}

#[test]
fn plain_convolutions_compute_what_plain_code_computes() {
    compare(("alexnet.sml", narrow_alexnet), 1, 1.0, plain::alexnet, [1e-9, 2e-3]);
    compare(("vgg16.sml", narrow_vgg), 2, 1.0, plain::vgg16, [1e-9, 2e-3]);
}

#[test]
fn residual_networks_compute_what_plain_code_computes() {
    let basic = |data: &Data| plain::resnet(data, [2, 2, 2, 2], false);
    compare(("resnet/resnet18.sml", narrow_resnet), 2, 1.0, basic, [1e-9, 2e-3]);
    let deep = |data: &Data| plain::resnet(data, [3, 4, 6, 3], true);
    compare(("resnet/resnet50.sml", narrow_resnet), 1, 1.0, deep, [1e-9, 2e-3]);
}

#[test]
fn inverted_residuals_compute_what_plain_code_computes() {
    compare(("mobilenet_v2.sml", narrow_mobilenet), 2, 1.0, plain::mobilenet, [1e-9, 2e-3]);
}
