//! Every operator computes what the evaluator in f64 and plain code compute, within its documented error: for drawn
//! shapes and data, in every format that it takes, on every backend, whatever comparisons spare.
//!
//! Runs are the same each time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use smlc::fixed::Format;
use smlc::graph::{self, eval};
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{cost, lower, verify};

use crate::run::{backends, devices, keys, run, share};
use crate::table::{Draw, Instance, Operator};

/// Cases of each operator in each format.
const CASES: u32 = if cfg!(debug_assertions) { 1 } else { 3 };

/// Everything that is asked of an instance.
fn check(instance: &Instance, seed: u64) -> Result<(), String> {
    let (graph, sources) = instance.compile()?;
    graph::verify::verify(&graph).map_err(|e| e.to_string())?;
    let real = eval::results(&graph, &instance.data, eval::Mode::Real).map_err(|e| e.to_string())?;
    instance.compare_real(&real).map_err(|e| format!("in f64: {e}"))?;
    let mut plans = Vec::new();
    for prefer in [Prefer::Rounds, Prefer::Bytes, Prefer::Time { bits: 1 << 20 }] {
        let plan = lower::lower(&graph, &sources, lower::Options { prefer, ..Default::default() });
        // Where nothing is compared there is nothing to prefer.
        if !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    for (number, plan) in plans.into_iter().enumerate() {
        verify::verify(&plan).map_err(|e| e.to_string())?;
        let (cost, loads, keys) = (cost::cost(&plan), share(&plan, &instance.data, seed), keys(seed));
        let mut first = None;
        for (name, make) in backends() {
            let told = |e: String| format!("plan {number}, {name}: {e}");
            let (outcome, sent) = run(&plan, devices(&keys, make), loads.clone()).map_err(|e| told(e.to_string()))?;
            instance.compare(&outcome.outputs).map_err(|e| told(format!("against plain code: {e}")))?;
            instance.compare_with(&outcome.outputs, &real).map_err(|e| told(format!("against f64: {e}")))?;
            if (outcome.rounds, outcome.bytes_per_link) != (cost.rounds, cost.bytes_per_link) {
                return Err(told(format!("{} rounds and {:?} bytes", outcome.rounds, outcome.bytes_per_link)));
            }
            let (of, halves, traffic) = first.get_or_insert((name.clone(), outcome.halves.clone(), sent));
            if (&outcome.halves, sent) != (halves, *traffic) {
                return Err(told(format!("not the words of {of}")));
            }
        }
    }
    Ok(())
}

/// Runs an operator's cases in a format.
fn holds(operator: &Operator, format: Format) -> Result<(), String> {
    let set = |name: &str| std::env::var_os(name).is_some();
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if !set("PROPTEST_CASES") {
        config.cases = CASES;
    }
    if !set("PROPTEST_RNG_SEED") {
        let name = operator.name.bytes().fold(u64::from(format.frac), |sum, b| sum.wrapping_mul(31) + u64::from(b));
        config.rng_seed = RngSeed::Fixed(name);
    }
    let strategy = (prop::collection::vec(any::<u16>(), 12), any::<u64>().no_shrink());
    TestRunner::new(config)
        .run(&strategy, |(choices, seed)| {
            let instance = (operator.draw)(&mut Draw::new(format, choices, seed));
            check(&instance, seed).map_err(|e| TestCaseError::fail(format!("{}\n{e}", instance.text)))
        })
        .map_err(|e| format!("{} in {format:?}: {e}", operator.name))
}

/// Runs the rows of a module.
fn all(operators: &[Operator]) {
    let runs = operators.iter().flat_map(|o| o.formats().map(move |format| (o, format)));
    let broken: Vec<String> = runs.filter_map(|(operator, format)| holds(operator, format).err()).collect();
    assert!(broken.is_empty(), "{} rows fail:\n{}", broken.len(), broken.join("\n\n"));
}

#[test]
fn arithmetic_and_comparisons() {
    all(crate::elementwise::OPERATORS);
}

#[test]
fn products() {
    all(crate::products::OPERATORS);
}

#[test]
fn pools() {
    all(crate::pools::OPERATORS);
}

#[test]
fn moves() {
    all(crate::moves::OPERATORS);
}

#[test]
fn bits() {
    all(crate::bits::OPERATORS);
}

#[test]
fn functions() {
    all(crate::functions::OPERATORS);
}

#[test]
fn rows() {
    all(crate::rows::OPERATORS);
}

#[test]
fn losses() {
    all(crate::losses::OPERATORS);
}
