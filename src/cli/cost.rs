//! `smlc cost`: what a plan costs, counted before anything runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compile::{self, Checked, Options};
use super::inputs::{Beside, Inputs, Take};
use super::machine::{self, Known, MachineArg};
use super::{Failure, Outcome, Talk, output};
use crate::net::Shape;
use crate::plan::Plan;
use crate::plan::cost::time::{Place, predict};
use crate::plan::cost::timeline::{Summary, Timeline};
use crate::plan::cost::{Cost, cost};

/// Count rounds, bytes, multiply-adds and memory, by line; predict seconds
#[derive(Debug, Args)]
pub(super) struct CostCommand {
    /// The program
    file: PathBuf,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: ReportFormat,
    /// Predict for this network: datacentre, lan, wan, or RTT,RATE such as 40ms,100Mb; by default for all three
    #[arg(long, value_name = "NET", value_parser = parse_net)]
    net: Vec<(String, Shape)>,
    /// Predict for another machine: `built-in`, or the file that `smlc bench --calibrate` wrote there
    #[arg(long, value_name = "MACHINE")]
    machine: Option<MachineArg>,
    /// Predict for three parties on one machine, which share its cores; by default each has a machine of its own
    #[arg(long)]
    one_machine: bool,
    #[command(flatten)]
    options: Options,
}

fn parse_net(text: &str) -> Result<(String, Shape), String> {
    let shape: Shape = text.parse().map_err(|e: crate::net::shape::ShapeError| e.to_string())?;
    Ok((text.to_string(), shape))
}

/// How the cost report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// A page for a browser: charts by line and round, and the graph
    Html,
}

/// The prediction for one network.
pub(super) struct Prediction {
    /// As it was asked for.
    pub name: String,
    pub shape: Shape,
    pub timeline: Timeline,
    pub summary: Summary,
}

impl Prediction {
    pub fn new(plan: &Plan, known: &Known, (name, shape): (String, Shape), place: Place) -> Prediction {
        let timeline = predict(plan, &known.machine, shape.into(), place);
        let summary = timeline.summary(plan);
        Prediction { name, shape, timeline, summary }
    }

    /// `lan`, with what it is; a network that was spelled out is that already.
    pub fn title(&self) -> String {
        if self.name.contains(',') { self.name.clone() } else { format!("{} ({})", self.name, network(self.shape)) }
    }
}

/// `40 ms, 100 Mb/s`.
pub(super) fn network(shape: Shape) -> String {
    let ms = format!("{:.3}", shape.rtt.as_secs_f64() * 1e3);
    let (rate, unit) = match shape.bits_per_second {
        rate if rate >= 1e9 => (rate / 1e9, "Gb/s"),
        rate if rate >= 1e6 => (rate / 1e6, "Mb/s"),
        rate => (rate / 1e3, "kb/s"),
    };
    let rate = format!("{rate:.3}");
    let short = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_string();
    format!("{} ms, {} {unit}", short(&ms), short(&rate))
}

/// Everything the report says.
pub(super) struct Report<'c> {
    pub checked: &'c Checked,
    pub entry: String,
    pub dims: BTreeMap<String, usize>,
    pub plan: Plan,
    pub cost: Cost,
    pub known: Known,
    pub place: Place,
    pub predictions: Vec<Prediction>,
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
        let graph = checked.unrolled(&name, &dims, &self.options)?;
        let plan = checked.planned(&graph, &self.options)?;
        let known = machine::known(self.machine.as_ref())?;
        let place = if self.one_machine { Place::Together } else { Place::Apart };
        let named = ["datacentre", "lan", "wan"].map(|name| parse_net(name).expect("a network's name"));
        let nets = if self.net.is_empty() { named.to_vec() } else { self.net.clone() };
        let predictions = nets.into_iter().map(|net| Prediction::new(&plan, &known, net, place)).collect();
        let cost = cost(&plan);
        let report = Report { checked: &checked, entry: name, dims, plan, cost, known, place, predictions };
        match self.format {
            ReportFormat::Table => output::print(table(&report.cost) + &report.predicted()),
            ReportFormat::Json => output::line(serde_json::to_string_pretty(&report.json()?)?),
            ReportFormat::Html => output::print(super::html::page(&report, &graph)?),
        }
    }
}

impl Report<'_> {
    /// The table's lines of predicted seconds.
    fn predicted(&self) -> String {
        let mut out = format!("\n{}\n", self.basis());
        let width = self.predictions.iter().map(|p| p.title().len()).max().unwrap_or(0);
        for prediction in &self.predictions {
            let Summary { seconds: all, compute, network, .. } = prediction.summary;
            let [all, compute, network] = [all, compute, network].map(seconds);
            let title = prediction.title();
            let _ = writeln!(out, "{title:width$}  {all:>9}  ({compute} computing, {network} on the network)");
        }
        out
    }

    /// What the predictions are made from.
    pub fn basis(&self) -> String {
        let place = match self.place {
            Place::Apart => "three machines",
            Place::Together => "three parties on one machine",
        };
        format!("predicted for {place}: {}", self.known.title())
    }

    /// The report for programs.
    pub fn json(&self) -> Result<serde_json::Value, Failure> {
        let mut json = serde_json::to_value(&self.cost)?;
        json["entry"] = self.entry.clone().into();
        json["dims"] = serde_json::to_value(&self.dims)?;
        json["machine"] = serde_json::json!({
            "name": self.known.machine.name,
            "cores": self.known.machine.cores,
            "calibrated": self.known.file.is_some(),
            "parties": match self.place { Place::Apart => 1, Place::Together => 3 },
        });
        let predictions = self.predictions.iter().map(|prediction| {
            let Summary { seconds, compute, network, parties, .. } = &prediction.summary;
            let [seconds, compute, network] = [*seconds, *compute, *network].map(nanoseconds);
            serde_json::json!({
                "net": prediction.name,
                "rtt": prediction.shape.rtt.as_secs_f64(),
                "bits_per_second": prediction.shape.bits_per_second,
                "seconds": seconds,
                "compute": compute,
                "network": network,
                "busy_per_party": parties.map(|(busy, _)| nanoseconds(busy)),
                "waiting_per_party": parties.map(|(_, waiting)| nanoseconds(waiting)),
            })
        });
        json["predictions"] = predictions.collect::<Vec<_>>().into();
        for (line, json) in self.cost.lines.iter().zip(json["lines"].as_array_mut().into_iter().flatten()) {
            let times = self.predictions.iter().map(|prediction| {
                let spent = prediction.summary.lines.get(&line.span).copied().unwrap_or_default();
                serde_json::json!({ "compute": nanoseconds(spent.compute), "network": nanoseconds(spent.network) })
            });
            json["predictions"] = times.collect::<Vec<_>>().into();
        }
        Ok(json)
    }
}

/// Seconds, to the nanosecond.
pub(super) fn nanoseconds(seconds: f64) -> f64 {
    (seconds * 1e9).round() / 1e9
}

/// Seconds, with three digits that count.
pub(super) fn seconds(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0} s"),
        value if value >= 10.0 => format!("{value:.1} s"),
        value if value >= 1.0 => format!("{value:.2} s"),
        value if value >= 0.1 => format!("{value:.3} s"),
        value if value >= 0.01 => format!("{value:.4} s"),
        value => format!("{value:.5} s"),
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
    let most: Vec<String> = cost.peak_bytes.iter().enumerate().map(|(i, b)| format!("P{i} {}", bytes(*b))).collect();
    let largest = (0..3).max_by_key(|party| (cost.live_bytes[*party], 2 - party)).unwrap_or(0);
    let at = cost.peak_places[largest].as_ref().map_or_else(|| "the inputs".to_string(), |place| place.clone());
    let _ = writeln!(out, "peak memory {}; most at {at}", most.join(", "));
    let traffic = cost.memory_traffic.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
    let _ = writeln!(out, "read from and written to memory {}", bytes(traffic));
    let _ = writeln!(out, "owners send {} and receive {}", bytes(cost.owner_bytes_in), bytes(cost.owner_bytes_out));
    out
}
