//! Every program in `examples/`: it checks, is formatted, its cost is what the wire counts, and a three-party run computes
//! what the fixed-point evaluator says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use smlc::graph::{self, eval};
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{cost, file, lower, verify};
use smlc::run::lockstep;
use smlc::span::Sources;
use smlc::{hir, pass, syntax};

fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|e| e == "sml") {
            found.push(path);
        }
    }
    found.sort();
}

fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    programs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn examples_are_formatted() {
    for path in all() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sources = Sources::default();
        let file = sources.add("example", text.as_str());
        assert_eq!(syntax::format(file, &text).unwrap(), text, "{}", path.display());
    }
}

#[test]
fn cost_is_what_the_wire_counts_and_results_are_the_evaluators() {
    for path in all() {
        let name = path.display().to_string();
        let mut sources = Sources::default();
        let file_id = sources.add(name.clone(), std::fs::read_to_string(&path).unwrap());
        let mut diags = Vec::new();
        let program = hir::check(&mut sources, file_id, &mut diags);
        let program = program.unwrap_or_else(|| panic!("{}", smlc::diag::render::render(&diags, &sources, false)));
        for entry in &program.entries {
            let dims: BTreeMap<String, usize> = entry.sizes.iter().map(|s| (s.clone(), 2)).collect();
            let mut graph = graph::lower::lower(&program, &entry.name, &dims, &mut diags).unwrap();
            pass::run(&mut graph, None, &[]).unwrap();
            let mut state = 7u64;
            // Weights of a trained network's size: activations stay in range through all layers.
            let data: BTreeMap<String, Vec<f64>> = graph
                .inputs()
                .map(|(id, path)| {
                    let ty = &graph.node(id).ty;
                    let fan: usize = ty.shape.iter().skip(1).product();
                    let values = (0..ty.len()).map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        let unit = (state >> 33) as f64 / f64::from(1u32 << 31);
                        if path.contains("running_var") {
                            0.5 + unit
                        } else {
                            (unit * 2.0 - 1.0) * 1.7 / (fan.max(1) as f64).sqrt()
                        }
                    });
                    (path.to_string(), values.collect())
                })
                .collect();
            let wanted = eval::results(&graph, &data, eval::Mode::Fixed).unwrap();
            for prefer in [Prefer::Bytes, Prefer::Rounds] {
                let plan = lower::lower(&graph, &sources, lower::Options { prefer });
                verify::verify(&plan).unwrap();
                assert_eq!(file::read(&file::write(&plan)).unwrap(), plan, "{name}: the plan file reads back");
                let outcome = lockstep::run(&plan, &data, &mut |_, _, _, _| {}).unwrap();
                let cost = cost::cost(&plan);
                assert_eq!((outcome.bytes_per_link, outcome.rounds), (cost.bytes_per_link, cost.rounds), "{name}");
                for (result, values) in &wanted {
                    for (a, b) in outcome.outputs[result].iter().zip(values) {
                        assert!((a - b).abs() < 2f64.powi(-8), "{name} {result}: {a} instead of {b}");
                    }
                }
            }
        }
    }
}
