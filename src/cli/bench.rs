//! `smlc bench`: how long a network takes on this machine, and how long each unit of work that predictions count.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::compile::{self, Checked, Options};
use super::cost::{Format, bytes, count, seconds};
use super::device::DeviceArg;
use super::prepare::told;
use super::results;
use super::{Outcome, Talk, build, machine, output};
use crate::backend::StreamKey;
use crate::backend::cpu::Threads;
use crate::graph::{Graph, eval};
use crate::hir::{Kind, Leaf};
use crate::net::Shape;
use crate::plan::Party;
use crate::plan::cost::time::{Network, Place, predict};
use crate::plan::cost::{self, Cost};
use crate::plan::layout::Layout;
use crate::run::calibrate::calibrate;
use crate::run::device::Device;
use crate::run::{RunError, kernels, local};

/// Measure a network with made-up data, or this machine for predictions
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// A program to run; without one, the units of work that predictions count are measured
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Runs, of which the median is told
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000), requires = "file")]
    repeat: u32,
    /// Imitate a network: datacentre, lan, wan, or RTT,RATE such as 40ms,100Mb
    #[arg(long, value_name = "NET", requires = "file")]
    net: Option<Shape>,
    /// What the parties compute on: cpu, cuda, cuda:1, or three of these for P0, P1 and P2
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceArg,
    /// Do not compare the results with the plaintext, which takes long for large networks
    #[arg(long, requires = "file")]
    no_check: bool,
    /// Measure single kernels on P0's device
    #[arg(long, conflicts_with_all = ["file", "calibrate"])]
    kernels: bool,
    /// With `--kernels`: divide sizes by this, to try the measurement itself
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 20), requires = "kernels")]
    shrink: u32,
    /// How the figures are written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Keep the units' figures for `smlc cost` and `smlc run --profile`, in the user's folder for caches
    #[arg(long, conflicts_with = "file")]
    calibrate: bool,
    #[command(flatten)]
    options: Options,
}

impl Bench {
    pub fn run(&self, talk: Talk) -> Outcome {
        match &self.file {
            Some(file) => self.network(&compile::check(file, talk)?),
            None if self.kernels => self.measure_kernels(),
            None if self.device != DeviceArg::default() || self.format != Format::Table => {
                Err(anyhow!("`--device` and `--format` go with a program, or with `--kernels`").into())
            }
            None => self.units(talk),
        }
    }

    /// Runs a program.
    fn network(&self, checked: &Checked) -> Outcome {
        let options = self.options.on(&self.device, self.net);
        let entry = checked.entry(&options)?;
        checked.runnable(entry)?;
        let graph = checked.unrolled(&entry.name, &options.dims()?, &options)?;
        let plan = checked.planned(&graph, &options)?;
        let devices = self.device.open()?;
        let data = made_up(&graph, &checked.program.leaves(entry));
        let wanted = if self.no_check {
            BTreeMap::new()
        } else {
            eval::results(&graph, &data, eval::Mode::Real).map_err(anyhow::Error::new)?
        };
        drop(graph);
        // The first run finds memory that was never touched.
        let outcomes = local::parties(&plan, &devices, self.repeat + 1, self.net, &|_| {}, None, move |client| {
            client.submit_all(data)?;
            (0..=self.repeat).map(|_| client.run()).collect::<Result<Vec<_>, RunError>>()
        });
        let outcomes = outcomes.map_err(told)?;
        let cost = cost::cost(&plan);
        outcomes.iter().try_for_each(|outcome| results::counted(&plan, &cost, outcome))?;
        let mut error = 0.0f64;
        for (outcome, (name, values)) in outcomes.iter().flat_map(|outcome| wanted.iter().map(move |w| (outcome, w))) {
            let pairs = values.iter().zip(&outcome.outputs[name]);
            error = pairs.map(|(wanted, found)| (wanted - found).abs()).fold(error, f64::max);
        }
        let known = machine::here(None)?;
        let network = self.net.map_or(Network::NONE, Network::from);
        let mut times: Vec<f64> = outcomes[1..].iter().map(|outcome| outcome.run.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let memory = Party::ALL.map(|party| Layout::of(&plan, party, true).bytes());
        let measured = Measured {
            what: format!("{} {}", checked.path.display(), entry.name),
            machine: machine_name(&devices),
            cost,
            median: times[times.len() / 2],
            least: times[0],
            inputs: outcomes[0].share.as_secs_f64(),
            predicted: predict(&plan, &known.machine, network, Place::Together).seconds(),
            figures: known.title(),
            first: outcomes[0].run.as_secs_f64(),
            memory,
            runs: times.len(),
            error: (!self.no_check).then_some(error),
            largest: wanted.values().flatten().fold(0.0, |most, value| value.abs().max(most)),
        };
        match self.format {
            Format::Table => output::print(measured.table()),
            Format::Json => output::line(serde_json::to_string_pretty(&measured.json())?),
        }?;
        // Half a per cent is far above what roundings add up to.
        if error > 0.005 * measured.largest.max(1.0) {
            return Err(anyhow!("the results are {error} off: made-up data do not suit this program").into());
        }
        Ok(())
    }

    /// Measures kernels.
    fn measure_kernels(&self) -> Outcome {
        let devices = self.device.first().open()?;
        let key = |party: Party| StreamKey([party.0 + 1; 16]);
        let threads = Threads::new(local::threads());
        let mut make = |party: Party| devices[0].make(party, [party, party.plus(1)].map(key), &threads);
        let name = machine_name(&devices[..1]);
        let mut said = match self.format {
            Format::Table => output::line(format_args!("{name}")),
            Format::Json => Ok(()),
        };
        let measured = kernels::measure(&mut make, self.shrink as usize, &mut |kernel| {
            if said.is_ok() && self.format == Format::Table {
                let rate = count((kernel.amount / kernel.seconds) as u64, "");
                let time = seconds(kernel.seconds);
                let of = kernel
                    .bound
                    .map_or_else(String::new, |bound| format!(", {:.0} % of {}", 100.0 * bound.share, bound.by));
                let (name, unit) = (&kernel.name, kernel.unit);
                said = output::line(format_args!("{name:78} {time:>12} {rate:>10} {unit} a second{of}"));
            }
        });
        let measured = measured.map_err(anyhow::Error::new)?;
        said?;
        if self.format == Format::Json {
            let json = serde_json::json!({ "machine": name, "shrink": self.shrink, "kernels": measured });
            output::line(serde_json::to_string_pretty(&json)?)?;
        }
        Ok(())
    }

    /// Measures the machine.
    fn units(&self, talk: Talk) -> Outcome {
        // Said now, not when the work is done.
        let path = if self.calibrate { Some(machine::calibration()?) } else { None };
        let threads = std::thread::available_parallelism().context("cannot count the cores")?.get();
        let mut said = Ok(());
        let measured = calibrate(processor(), threads, &mut |unit, nanoseconds| {
            if said.is_ok() {
                said = output::line(format_args!("{unit:22} {nanoseconds:>12.3} ns"));
            }
        })
        .map_err(|error| anyhow!("mistake in smlc: {error}"))?;
        said?;
        output::line(format_args!("{:22} {:>12.3}", "cores", measured.cores))?;
        if let Some(path) = path {
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
            build::write_whole(&path, measured.to_json())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            talk.note(&format!("the figures of {} are kept in `{}`", measured.name, path.display()));
        }
        Ok(())
    }
}

/// What running a network came to.
struct Measured {
    what: String,
    machine: String,
    cost: Cost,
    /// Seconds from asking for a run to having the results, the inputs' shares being there: the median and the least.
    median: f64,
    least: f64,
    /// The prediction, and by whose figures.
    predicted: f64,
    figures: String,
    /// Of the first run, which is not among them.
    first: f64,
    /// Seconds to encode, share and hand over the inputs.
    inputs: f64,
    /// Bytes of the buffers of each party, inputs kept.
    memory: [u64; 3],
    runs: usize,
    /// The largest difference to the plaintext, unless it was not computed, and the largest result there.
    error: Option<f64>,
    largest: f64,
}

impl Measured {
    fn multiply_adds(&self) -> u64 {
        self.cost.multiply_adds.iter().sum()
    }

    fn table(&self) -> String {
        let mut out = String::new();
        let cost = &self.cost;
        let (adds, memory) = (self.multiply_adds(), self.memory.iter().sum());
        let _ =
            writeln!(out, "{}: {} with made-up data, three parties on {}", self.what, runs(self.runs), self.machine);
        let _ = writeln!(out, "time           {} (median), {} (least)", seconds(self.median), seconds(self.least));
        let _ = writeln!(out, "predicted      {} for {}", seconds(self.predicted), self.figures);
        let _ = writeln!(
            out,
            "before that    {} to share the inputs, {} the first run",
            seconds(self.inputs),
            seconds(self.first)
        );
        let _ = writeln!(out, "rounds         {}", cost.rounds);
        let _ = writeln!(out, "sent           {}", bytes(cost.bytes_total));
        let _ = writeln!(
            out,
            "multiply-adds  {}, {} a second",
            count(adds, ""),
            count((adds as f64 / self.median) as u64, "")
        );
        let _ = writeln!(out, "peak memory    {} of all three", bytes(memory));
        let _ = match self.error {
            Some(error) => writeln!(out, "error          at most {error:.1e}, of results up to {:.3}", self.largest),
            None => writeln!(out, "error          not compared"),
        };
        out
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "program": self.what,
            "machine": self.machine,
            "runs": self.runs,
            "seconds_median": self.median,
            "seconds_least": self.least,
            "seconds_first": self.first,
            "seconds_predicted": self.predicted,
            "seconds_inputs": self.inputs,
            "rounds": self.cost.rounds,
            "bytes_total": self.cost.bytes_total,
            "multiply_adds": self.multiply_adds(),
            "peak_bytes": self.memory,
            "error": self.error,
            "largest": self.error.map(|_| self.largest),
        })
    }
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_string() } else { format!("{count} runs") }
}

/// Data for every input, always the same: weights of the size at which layers without ReLU neither grow nor shrink numbers,
/// scales and variances around 1, numbers of a declared range in it, others between -1 and 1.
fn made_up(graph: &Graph, leaves: &[Leaf]) -> BTreeMap<String, Vec<f64>> {
    let mut state = 1u64;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let tensor = |(id, path): (crate::graph::NodeId, &str)| {
        let shape = &graph.node(id).ty.shape;
        let fan: usize = shape.iter().skip(1).product();
        let leaf = leaves.iter().find(|leaf| leaf.path == path);
        let whole = leaf.is_some_and(|leaf| leaf.kind != Kind::Fix);
        let field = path.rsplit_once('.').map(|(_, field)| field);
        let (low, high) = match (leaf.and_then(|leaf| leaf.range), field, shape.len()) {
            (Some(range), _, _) => range,
            (None, Some("running_var" | "weight"), 1) => (0.5, 1.5),
            (None, Some(_), 0 | 1) => (-0.1, 0.1),
            (None, Some(_), _) => {
                let limit = (3.0 / fan.max(1) as f64).sqrt();
                (-limit, limit)
            }
            (None, None, _) => (-1.0, 1.0),
        };
        let number = |unit: f64| {
            if whole { (low + (high + 1.0 - low) * unit).floor().min(high) } else { low + (high - low) * unit }
        };
        (path.to_string(), (0..shape.iter().product()).map(|_| number(unit())).collect())
    };
    graph.inputs().map(tensor).collect()
}

/// What the parties compute on.
fn machine_name(devices: &[Device]) -> String {
    let mut names: Vec<String> =
        devices.iter().map(|device| device.gpu().map_or_else(processor, str::to_string)).collect();
    names.dedup();
    names.join(", ")
}

/// What the processor calls itself.
fn processor() -> String {
    let named = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
        Some(line.trim_start_matches(|c: char| c.is_whitespace() || c == ':').to_string())
    });
    named.unwrap_or_else(|| format!("{} on {}", std::env::consts::ARCH, std::env::consts::OS))
}
