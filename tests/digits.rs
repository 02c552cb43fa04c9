//! A thousand real digits and a real trained network: private results against plaintext ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use smlc::data::{self, Loaded};
use smlc::graph::{self, Graph, eval};
use smlc::plan::{cost, lower, verify};
use smlc::run::local;
use smlc::span::Sources;
use smlc::{hir, pass};

const BATCH: usize = 100;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits")
}

fn one(name: &str) -> data::Tensor {
    match data::load(&folder().join(name)).unwrap() {
        Loaded::One(tensor) => tensor,
        Loaded::Named(_) => panic!("{name} holds one array"),
    }
}

/// The committed model for a batch, before and after the passes.
fn model(sources: &mut Sources) -> (Graph, Graph) {
    let text = std::fs::read_to_string(folder().join("digits.sml")).unwrap();
    let file = sources.add("digits.sml", text);
    let mut diags = Vec::new();
    let program = hir::check(sources, file, &mut diags).unwrap();
    let dims = BTreeMap::from([("N".to_string(), BATCH)]);
    let before = graph::lower::lower(&program, "classify", &dims, &mut diags).unwrap();
    let mut after = before.clone();
    pass::run(&mut after, None, &[]).unwrap();
    (before, after)
}

fn predictions(scores: &[f64]) -> Vec<usize> {
    let largest = |row: &[f64]| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
    scores.chunks(10).map(largest).collect()
}

#[test]
fn private_accuracy_is_plaintext_accuracy() {
    let (images, labels) = (one("images.idx.gz"), one("labels.idx.gz"));
    let Loaded::Named(weights) = data::load(&folder().join("weights.safetensors")).unwrap() else { panic!("named") };
    let mut sources = Sources::default();
    let (before, after) = model(&mut sources);
    let plan = lower::lower(&after, &sources, lower::Options::default());
    verify::verify(&plan).unwrap();
    let cost = cost::cost(&plan);

    let count = |predictions: &[usize], from: usize| {
        predictions.iter().enumerate().filter(|(i, p)| labels.get(from + i) as usize == **p).count()
    };
    let (mut private, mut plain, mut worst) = (0, 0, 0f64);
    for from in (0..1000).step_by(BATCH) {
        let mut inputs: BTreeMap<String, Vec<f64>> =
            weights.iter().map(|(name, t)| (format!("net.{name}"), t.iter().collect())).collect();
        inputs.insert("image".to_string(), images.rows(from..from + BATCH).unwrap().iter().collect());
        let outcome = local::memory(&plan, &inputs, None, &|_| {}).unwrap();
        for (report, sent) in outcome.reports.iter().zip(cost.bytes_per_link) {
            assert_eq!((report.sent, report.rounds), (sent, cost.rounds));
        }
        // The f64 oracle evaluates the program as written, the fixed-point one what was compiled.
        let real = &eval::results(&before, &inputs, eval::Mode::Real).unwrap()["out"];
        let fixed = &eval::results(&after, &inputs, eval::Mode::Fixed).unwrap()["out"];
        let found = &outcome.outputs["out"];
        worst = found.iter().zip(fixed).map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
        private += count(&predictions(found), from);
        plain += count(&predictions(real), from);
    }
    assert!(worst < 2f64.powi(-8), "a logit is off by {worst}");
    assert!(private.abs_diff(plain) <= 2, "{private} private, {plain} in f64");
    assert!(plain >= 990, "the network itself gets {plain}");
}
