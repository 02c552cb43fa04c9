//! Passes: each saves something on its example, none costs anything on a model, and random programs compute the same with
//! and without them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use smlc::graph::{self, Graph, Op, eval};
use smlc::plan::{cost, lower, verify};
use smlc::run::lockstep;
use smlc::span::Sources;
use smlc::{hir, pass};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Modules are files beside the program.
struct Beside<'p>(&'p Path);

impl hir::Modules for Beside<'_> {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let path = self.0.with_file_name(format!("{name}.sml"));
        Ok(std::fs::read_to_string(&path).ok().map(|text| (path.display().to_string(), text)))
    }
}

/// Each entry of a program, before any pass; open sizes are 1.
fn entries(path: &Path, text: &str) -> (Vec<Graph>, Sources) {
    let mut sources = Sources::default();
    let file = sources.add(path.display().to_string(), text);
    let mut diags = Vec::new();
    let program = hir::check_with(&mut sources, file, &mut Beside(path), &mut diags);
    let lowered = program.iter().flat_map(|program| program.entries.iter().map(move |entry| (program, entry)));
    let lowered = lowered.map(|(program, entry)| {
        let dims = entry.sizes.iter().map(|s| (s.clone(), 1)).collect();
        graph::lower::lower(program, &entry.name, &dims, &mut diags)
    });
    let graphs: Option<Vec<Graph>> = lowered.collect();
    (graphs.unwrap_or_else(|| panic!("{}", smlc::diag::render::render(&diags, &sources, false))), sources)
}

fn without(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

/// Rounds, then bytes between the parties, then those of the owners, then work.
type Price = (usize, u64, u64, u64, usize);

fn price(graph: &Graph, sources: &Sources, without: &[String]) -> Price {
    let flat = pass::unrolled(graph, without).unwrap();
    let plan = lower::lower(&flat, sources, lower::Options::default());
    verify::verify(&plan).unwrap();
    let cost = cost::cost(&plan);
    let steps = plan.rounds.iter().map(|round| round.steps.len()).sum();
    (cost.rounds, cost.bytes_total, cost.owner_bytes_in, cost.multiply_adds.iter().sum(), steps)
}

/// The program of which a pass's golden test shows the graph.
fn example(pass: &str) -> PathBuf {
    root().join("tests/golden/pass").join(format!("{}.sml", pass.replace('-', "_")))
}

/// The table of `docs/src/passes.md`: what each pass saves on its example, beside all the others.
#[test]
fn each_pass_saves_on_its_example_as_the_manual_says() {
    let mut table = String::from("| pass | rounds | bytes | owners' bytes | steps |\n|---|---|---|---|---|\n");
    for pass in pass::PASSES {
        let path = example(pass.name);
        let not = path.with_file_name(format!("{}_not.sml", pass.name.replace('-', "_")));
        assert!(not.exists(), "{} has no case in which it must not fire", pass.name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("--after {}\n", pass.name)), "{} is another pass's example", path.display());
        let (graphs, sources) = entries(&path, &text);
        let on = price(&graphs[0], &sources, &[]);
        let off = price(&graphs[0], &sources, &without(&[pass.name]));
        assert!(on < off, "{}: {on:?} with it, {off:?} without", pass.name);
        let cell = |on: u64, off: u64| if on == off { on.to_string() } else { format!("{on} for {off}") };
        let cells = [(on.0 as u64, off.0 as u64), (on.1, off.1), (on.2, off.2), (on.4 as u64, off.4 as u64)];
        let cells: Vec<String> = cells.iter().map(|(on, off)| cell(*on, *off)).collect();
        writeln!(table, "| `{}` | {} |", pass.name, cells.join(" | ")).unwrap();
    }
    let path = root().join("docs/src/passes.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let start = page.find("| pass |").expect("the page has the table");
    let end = start + page[start..].find("\n\n").map_or(page.len() - start, |end| end + 1);
    if std::env::var_os("SMLC_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, format!("{}{table}{}", &page[..start], &page[end..])).unwrap();
    } else {
        assert_eq!(&page[start..end], table, "`SMLC_BLESS=1` would write it");
    }
}

/// Examples whose plans are made fast enough to make one for each pass.
const MODELS: &[&str] = &[
    "alexnet.sml",
    "alexnet_cifar.sml",
    "digits/digits.sml",
    "lenet.sml",
    "mlp.sml",
    "mobilenet_v2.sml",
    "residual.sml",
    "resnet/resnet18.sml",
    "small_digits/small_digits.sml",
    "transformer.sml",
    "vgg16.sml",
];

/// Fewer rounds, or as many and no more bytes but for what pads the bits of slices that begin elsewhere.
fn no_dearer(on: (usize, u64), off: (usize, u64)) -> bool {
    on.0 < off.0 || on.0 == off.0 && on.1 <= off.1 + off.1 / 1000 + 64
}

#[test]
fn no_pass_costs_anything_on_a_model() {
    for name in MODELS {
        let path = root().join("examples").join(name);
        let (graphs, sources) = entries(&path, &std::fs::read_to_string(&path).unwrap());
        for graph in graphs {
            let key = |price: Price| (price.0, price.1);
            let all = key(price(&graph, &sources, &[]));
            for pass in pass::PASSES {
                let off = key(price(&graph, &sources, &without(&[pass.name])));
                assert!(no_dearer(all, off), "{name}: {all:?} with {}, {off:?} without", pass.name);
            }
        }
    }
}

/// Random numbers.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

/// What may become of images `h`, `{s}` and `{t}` being numbers a channel, `{p}` filters, each of some owner. All of it is
/// continuous: a unit in the last place makes no large difference.
const STEPS: &[&str] = &[
    "h * {s}",
    "h + {t}",
    "h - {t}",
    "{t} - h",
    "h * {s} + {t}",
    "h * 0.25",
    "h / 3.0",
    "2.0 * h",
    "0.03 * h",
    "-h",
    "h - 0.5",
    "0.5 - h",
    "h + 0.125 - {t}",
    "relu(h)",
    "relu(-h)",
    "relu(h - 0.25) + relu(0.25 - h)",
    "relu6(h)",
    "clamp(h, -0.5, 0.75)",
    "select(h > 0.0, h, 0.0)",
    "select(h < 0.0, 0.0, h) + select(0.25 - h < 0.0, h - 0.25, 0.0)",
    "h - select(h >= 0.0, 0.0, h)",
    "conv2d_no_bias(h, {p}, pad = 1)",
    "conv2d_no_bias(h, {p}, pad = 1) + {t}",
    "conv2d_no_bias(h, {p}, pad = 1) + conv2d_no_bias(h * {s}, {p}, pad = 1)",
    "conv2d_no_bias(relu(h) * {s} + {t}, {p}, pad = 1)",
    "conv2d_no_bias(h * 0.1, {p9}, pad = 4)",
    "avg_pool(conv2d_no_bias(h, {p}, pad = 1), 3, stride = 1, pad = 1) * {s}",
    "h + relu(conv2d_no_bias(h, {p}, pad = 1) * {s} + {t})",
    "max_pool(relu(h), 3, stride = 1, pad = 1)",
    "max_pool(h, 3, stride = 1, pad = 1) * 0.5",
    "avg_pool(h * {s} + {t}, 3, stride = 1, pad = 1)",
    "h * (x + y) * 0.5",
    "y * relu(h + x) * {s} + {t}",
    "h + broadcast_mean(h * h)",
    "transpose(reshape(transpose(h, [0, 2, 3, 1]) * 0.3, [1, 4, 4, 2]), [0, 3, 1, 2])",
];

/// What may become of them at the end.
const ENDS: &[&str] = &[
    "h",
    "h * {s} + {t}",
    "h |> global_avg_pool |> flatten |> linear({q})",
    "h * {s} + {t} |> global_avg_pool |> flatten |> linear({q})",
    "relu(h) * {s} |> avg_pool(2) |> flatten |> linear({q4})",
    "sum(sum(h * (x - y), axis = 3), axis = 2)",
    "sum(sum(max_pool(relu(h * {s}), 2), axis = 3), axis = 2)",
    "matmul(h * 0.25, transpose(h, [0, 1, 3, 2]))",
    "linear(0.1 * relu(linear(flatten(h), {r})), {q})",
];

/// A program of some random steps, its number format among them.
fn program(dice: &mut Dice) -> String {
    let mut params: Vec<String> = vec!["x: fix[1, 2, 4, 4] from a".into(), "y: fix[1, 2, 4, 4] from b".into()];
    let mut fill = |dice: &mut Dice, step: &str| {
        let mut text = step.to_string();
        for (hole, ty) in [
            ("{s}", "fix[2]"),
            ("{t}", "fix[2]"),
            ("{p}", "ConvNoBias[2, 2, 3]"),
            ("{p9}", "ConvNoBias[2, 2, 9]"),
            ("{q}", "Linear[2, 3]"),
            ("{q4}", "Linear[8, 3]"),
            ("{r}", "Linear[32, 2]"),
        ] {
            while text.contains(hole) {
                let name = format!("p{}", params.len());
                // Mostly of one owner, so that there is something to fold.
                params.push(format!("{name}: {ty} from {}", if dice.below(4) == 0 { "a" } else { "b" }));
                let number = format!("reshape({name}, [1, 2, 1, 1])");
                text = text.replacen(hole, if ty == "fix[2]" { &number } else { &name }, 1);
            }
        }
        text
    };
    let mut body = String::new();
    for _ in 0..1 + dice.below(5) {
        let step = STEPS[dice.below(STEPS.len())];
        writeln!(body, "    h = {};", fill(dice, step)).unwrap();
    }
    let end = ENDS[dice.below(ENDS.len())];
    let end = fill(dice, end);
    let shape = match end.as_str() {
        end if end.contains("linear") => "1, 3",
        end if end.starts_with("sum") => "1, 2, 1, 1",
        _ => "1, 2, 4, 4",
    };
    let format =
        ["int = 16, frac = 16", "int = 14, frac = 16", "int = 12, frac = 12", "int = 12, frac = 16, ring = 48"];
    let format = format[dice.below(format.len())];
    format!(
        "owners a, b;\nfixed({format});\nuse nn::{{Linear, ConvNoBias, avg_pool, conv2d_no_bias, flatten, global_avg_pool, linear, max_pool, relu, relu6}};\n\
         fn broadcast_mean[C, H, W](x: fix[1, C, H, W]) -> fix[1, C, H, W] {{ 0.0 * x + global_avg_pool(x) }}\n\
         entry f({}) -> fix[{shape}] to a {{\n    var h = x + y;\n{body}    {end}\n}}\n",
        params.join(", ")
    )
}

#[test]
fn random_programs_compute_the_same() {
    let mut dice = Dice(11);
    let mut fired: BTreeMap<&str, usize> = BTreeMap::new();
    for case in 0..300 {
        let text = program(&mut dice);
        let (graphs, sources) = entries(Path::new("random.sml"), &text);
        let before = graph::unroll::unroll(&graphs[0]);
        let data: BTreeMap<String, Vec<f64>> = before
            .inputs()
            .map(|(id, path)| {
                let ty = &before.node(id).ty;
                // Filters and matrices that make nothing much larger.
                let limit = if ty.shape.len() == 2 || path.ends_with("weight") { 0.3 } else { 1.0 };
                (path.to_string(), (0..ty.len()).map(|_| (dice.next() * 2.0 - 1.0) * limit).collect())
            })
            .collect();
        let results = |graph: &Graph, mode| eval::results(graph, &data, mode).unwrap()["out"].clone();
        let [real, fixed] = [eval::Mode::Real, eval::Mode::Fixed].map(|mode| results(&before, mode));
        let unit = before.format.unit();
        for pass in pass::PASSES.iter().map(|p| Some(p.name)).chain([None]) {
            // Each alone, then all together.
            let others: Vec<&str> =
                pass::PASSES.iter().map(|p| p.name).filter(|n| pass.is_some_and(|p| p != *n)).collect();
            let after = pass::unrolled(&graphs[0], &without(&others)).unwrap();
            if let Some(pass) = pass
                && graph::text::print(&after) != graph::text::print(&before.compact())
            {
                *fired.entry(pass).or_default() += 1;
            }
            for (a, b) in results(&after, eval::Mode::Real).iter().zip(&real) {
                assert!((a - b).abs() <= 1e-9, "{pass:?}: {b} became {a}\n{text}");
            }
            let truncs = before.dag.node_weights().filter(|n| matches!(n.op, Op::Trunc { .. })).count();
            let bound = unit * (24.0 + 12.0 * truncs as f64);
            for ((a, b), real) in results(&after, eval::Mode::Fixed).iter().zip(&fixed).zip(&real) {
                let fits = (a - b).abs() <= bound;
                assert!(fits, "{pass:?}: {b} became {a}, which would be {real}; {truncs} truncations\n{text}");
            }
            if pass.is_none() && case % 8 == 0 {
                let plan = lower::lower(&after, &sources, lower::Options::default());
                let outcome = lockstep::run(&plan, &data, &mut |_, _, _, _| {}).unwrap();
                for (a, b) in outcome.outputs["out"].iter().zip(&fixed) {
                    assert!((a - b).abs() <= bound, "a run gives {a} for {b}\n{text}");
                }
            }
        }
        let none: Vec<&str> = pass::PASSES.iter().map(|p| p.name).collect();
        let [on, off] = [without(&[]), without(&none)].map(|without| price(&graphs[0], &sources, &without));
        assert!(no_dearer((on.0, on.1), (off.0, off.1)), "{on:?} with all passes, {off:?} without any\n{text}");
    }
    for pass in pass::PASSES {
        assert!(fired.get(pass.name).is_some_and(|n| *n > 1), "{}: {fired:?}", pass.name);
    }
}
