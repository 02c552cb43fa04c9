//! A short run of the fuzz targets, the same on every machine: their regressions, their seeds, and thousands of
//! damaged seeds. `fuzz/README.md` tells how to fuzz for longer.
//!
//! `SMLC_BLESS=1` writes the seeds to `fuzz/corpus`, for a fuzzer to start from.

#![allow(clippy::print_stdout, reason = "says how much was tried")]

use std::path::{Path, PathBuf};

mod fuzzing;

use fuzzing::mutate::{Random, mutate};
use fuzzing::seeds::{Seed, seeds};
use fuzzing::{Reached, TARGETS, Target};

fn folder(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(name)
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|t| t.name == name).expect("the target is in the list")
}

/// Runs a target and says on which input it failed.
fn run(target: &Target, name: &str, text: &str) -> Reached {
    let outcome = std::panic::catch_unwind(|| (target.run)(text));
    outcome.unwrap_or_else(|_| panic!("`{}` failed on {name}:\n{text}", target.name))
}

/// Runs a target on its seeds and on `damaged` damaged ones; at least `accepted` of all have to be accepted.
fn short_run(name: &str, damaged: usize, accepted: usize) {
    let target = target(name);
    let seeds = seeds(target.inputs);
    if std::env::var_os("SMLC_BLESS").is_some_and(|value| value == "1") {
        bless(target.inputs, &seeds);
    }
    let mut reached = 0;
    let mut count = |outcome: Reached| reached += usize::from(outcome == Reached::Accepted);
    for seed in &seeds {
        count(run(target, &seed.name, &seed.text));
    }
    let mut random = Random::new(damaged as u64);
    for number in 0..damaged {
        let (seed, other) = (random.choose(&seeds), random.choose(&seeds));
        let text = mutate(&seed.text, &other.text, &mut random);
        count(run(target, &format!("damaged input {number}, from {}", seed.name), &text));
    }
    println!("{name}: {} seeds and {damaged} damaged ones, {reached} accepted", seeds.len());
    assert!(reached >= accepted, "only {reached} inputs were accepted: this tests too little");
}

fn bless(inputs: &str, seeds: &[Seed]) {
    let folder = folder("corpus", inputs);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for seed in seeds {
        std::fs::write(folder.join(&seed.name), &seed.text).expect("the seed can be written");
    }
}

#[test]
fn parse() {
    short_run("parse", 2000, 400);
}

#[test]
fn check() {
    short_run("check", 1000, 150);
}

#[test]
fn graph_text() {
    short_run("graph_text", 6000, 300);
}

#[test]
fn plan_file() {
    short_run("plan_file", 2500, 100);
}

#[test]
fn regressions() {
    let mut count = 0;
    for target in TARGETS {
        let entries = std::fs::read_dir(folder("regressions", target.name)).expect("every target has regressions");
        for path in entries.flatten().map(|entry| entry.path()) {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{} is no text", path.display()));
            run(target, &path.display().to_string(), &text);
            count += 1;
        }
    }
    println!("{count} regressions");
    assert!(count >= 10, "only {count} regressions were found");
}
