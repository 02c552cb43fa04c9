//! `smlc cost`: what a plan costs, counted before anything runs.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compile::{self, Options};
use super::inputs::{Beside, Inputs, Take};
use super::{Outcome, Talk, output};
use crate::plan::cost::{Cost, cost};

/// Count rounds, bytes and multiply-adds, by line
#[derive(Debug, Args)]
pub(super) struct CostCommand {
    /// The program
    file: PathBuf,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    #[command(flatten)]
    options: Options,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

impl CostCommand {
    pub fn run(&self, talk: Talk) -> Outcome {
        let checked = compile::check(&self.file, talk)?;
        let entry = checked.entry(&self.options)?;
        checked.runnable(entry)?;
        let name = entry.name.clone();
        // Sizes that no flag gives follow from the inputs declared beside the model: the cost of one run over a batch.
        let mut dims = self.options.dims()?;
        let beside = Beside::read(&checked.path)?;
        if entry.sizes.iter().any(|s| !dims.contains_key(s))
            && entry.params.iter().all(|p| beside.inputs.contains_key(&p.name))
        {
            let inputs = Inputs::load(&checked, entry, &beside.inputs, dims)?;
            let batches = inputs.batches(beside.run.take.unwrap_or(Take::All), beside.run.batch());
            dims = batches.first().map_or_else(|| inputs.dims.clone(), |rows| inputs.sizes(rows));
        }
        let cost = cost(&checked.plan(&name, &dims, &self.options)?);
        match self.format {
            Format::Table => output::print(table(&cost)),
            Format::Json => {
                let mut json = serde_json::to_value(&cost)?;
                json["entry"] = name.into();
                json["dims"] = serde_json::to_value(&dims)?;
                output::line(serde_json::to_string_pretty(&json)?)
            }
        }
    }
}

/// Bytes with a unit of 1000.
pub(super) fn bytes(n: u64) -> String {
    count(n, "B")
}

/// A count with a decimal prefix.
pub(super) fn count(n: u64, unit: &str) -> String {
    let prefixes = ["", "k", "M", "G", "T"];
    let (mut value, mut prefix) = (n as f64, 0);
    while value >= 1000.0 && prefix + 1 < prefixes.len() {
        value /= 1000.0;
        prefix += 1;
    }
    if prefix == 0 { format!("{n} {unit}") } else { format!("{value:.2} {}{unit}", prefixes[prefix]) }
}

/// The report for people.
pub(super) fn table(cost: &Cost) -> String {
    let mut out = String::new();
    let width = cost.lines.iter().map(|l| l.place.len()).max().unwrap_or(0).max(5);
    let _ = writeln!(out, "{:width$}  {:>6}  {:>11}  {:>13}", "line", "rounds", "bytes", "multiply-adds");
    for line in &cost.lines {
        let adds = if line.multiply_adds == 0 { String::new() } else { count(line.multiply_adds, "") };
        let _ = writeln!(out, "{:width$}  {:>6}  {:>11}  {:>13}", line.place, line.rounds, bytes(line.bytes), adds);
    }
    let adds = cost.multiply_adds.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
    let _ =
        writeln!(out, "{:width$}  {:>6}  {:>11}  {:>13}", "all", cost.rounds, bytes(cost.bytes_total), count(adds, ""));
    let each: Vec<String> =
        cost.bytes_per_party.iter().enumerate().map(|(i, b)| format!("P{i} {}", bytes(*b))).collect();
    let _ =
        writeln!(out, "\nsent by {}; {} messages, {} bytes exactly", each.join(", "), cost.messages, cost.bytes_total);
    let _ = writeln!(out, "owners send {} and receive {}", bytes(cost.owner_bytes_in), bytes(cost.owner_bytes_out));
    out
}
