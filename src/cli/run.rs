//! `smlc run`: the three parties on this machine, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::compile::{self, Checked, Options};
use super::cost::{Format, bytes};
use super::inputs::{Beside, Inputs};
use super::{Failure, Outcome, Talk, build, output, party};
use crate::data::{self, Loaded, Tensor, npy};
use crate::diag::{Code, Diagnostic};
use crate::graph::eval::EvalError;
use crate::net::Shape;
use crate::plan::{Plan, cost, file};
use crate::run::owner::OwnerError;
use crate::run::{RunError, client, local};

/// Run the three parties on this machine
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The program
    file: PathBuf,
    /// Data of a parameter: `--in image=x.npy`; without it, the `.toml` beside the program says
    #[arg(long = "in", value_name = "NAME=FILE", value_parser = parse_input)]
    inputs: Vec<(String, PathBuf)>,
    /// Labels of a result, to count right answers: `--labels out=y.npy`
    #[arg(long, value_name = "NAME=FILE", value_parser = parse_input)]
    labels: Vec<(String, PathBuf)>,
    /// Write a result: `--out out=scores.npy`, or `--out scores.npy` when there is one
    #[arg(long, value_name = "NAME=FILE")]
    out: Vec<String>,
    /// Rows to take of the batched inputs (`all`: every one)
    #[arg(long, value_name = "ROWS", value_parser = parse_take)]
    take: Option<Take>,
    /// Rows of one run
    #[arg(long, value_name = "ROWS")]
    batch: Option<usize>,
    /// How the parties are connected
    #[arg(long, value_name = "TRANSPORT", default_value = "memory")]
    transport: Transport,
    /// With `--transport tcp`: parties that run already (`smlc party`), instead of starting three
    #[arg(long, value_name = "HOST:PORT,HOST:PORT,HOST:PORT", requires = "session")]
    parties: Option<String>,
    /// The run's name, as the parties were given it
    #[arg(long, value_name = "NAME", requires = "parties")]
    session: Option<String>,
    /// Imitate a network: lan, wan, or RTT,RATE such as 40ms,100Mb
    #[arg(long, value_name = "NET")]
    net: Option<Shape>,
    /// How the summary is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    #[command(flatten)]
    options: Options,
}

/// How the parties are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// Three threads
    Memory,
    /// Three processes over loopback
    Tcp,
}

/// How many rows.
#[derive(Clone, Copy, Debug)]
enum Take {
    All,
    Rows(usize),
}

fn parse_take(text: &str) -> Result<Take, String> {
    match text.parse() {
        _ if text == "all" => Ok(Take::All),
        Ok(rows) if rows > 0 => Ok(Take::Rows(rows)),
        _ => Err("write a number of rows, at least 1, or `all`".to_string()),
    }
}

fn parse_input(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write it as `image=x.npy`")?;
    Ok((name.to_string(), PathBuf::from(path)))
}

/// All runs of one command, added up.
#[derive(Default)]
struct Total {
    compile: Duration,
    share: Duration,
    run: Duration,
    rounds: usize,
    bytes_per_party: [u64; 3],
    runs: usize,
    /// Result -> shape and values, batches joined.
    outputs: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Run {
    pub fn run(&self, talk: Talk) -> Outcome {
        let start = Instant::now();
        let checked = compile::check(&self.file, talk)?;
        let entry = checked.entry(&self.options)?;
        let mut total = Total { compile: start.elapsed(), ..Total::default() };

        let beside = Beside::read(&checked.path)?;
        let mut files = beside.inputs.clone();
        files.extend(self.inputs.iter().cloned());
        let inputs = Inputs::load(&checked, entry, &files, self.options.dims())?;
        let take = match self.take {
            Some(Take::All) => None,
            Some(Take::Rows(rows)) => Some(rows),
            None => beside.run.take,
        };
        let batches = inputs.batches(take, self.batch.or(beside.run.batch));
        let rows: usize = batches.iter().map(ExactSizeIterator::len).sum();
        let labels = self.read_labels(&beside)?;
        let targets = self.targets(entry.results.len())?;

        let mut plans: BTreeMap<usize, Plan> = BTreeMap::new();
        for (number, batch) in batches.iter().enumerate() {
            let plan = match plans.entry(batch.len()) {
                std::collections::btree_map::Entry::Occupied(found) => found.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    let start = Instant::now();
                    let plan = checked.plan(&entry.name, &inputs.sizes(batch), &self.options)?;
                    total.compile += start.elapsed();
                    free.insert(plan)
                }
            };
            let data = inputs.rows_of(batch)?;
            let outcome = self.one(plan, &data, &format!("run {} of {}", number + 1, batches.len()))?;
            total.add(plan, &outcome, inputs.batched.is_some())?;
        }
        for (name, path) in &targets {
            let name =
                if name.is_empty() { total.outputs.keys().next().cloned().unwrap_or_default() } else { name.clone() };
            let (shape, values) = total.outputs.get(&name).ok_or_else(|| anyhow!("there is no result `{name}`"))?;
            let content = npy::to_bytes(&Tensor::from_f64(shape.clone(), values.clone()));
            build::write_whole(path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let scores = total.scores(&labels)?;
        match self.format {
            Format::Table => output::print(total.table(&checked, &entry.name, rows, &scores)),
            Format::Json => output::line(serde_json::to_string_pretty(&total.json(&entry.name, rows, &scores))?),
        }
    }

    /// Runs one plan.
    fn one(&self, plan: &Plan, data: &BTreeMap<String, Vec<f64>>, what: &str) -> Result<client::Outcome, Failure> {
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{prefix} {bar:30} round {pos} of {len} {elapsed}")?;
            ProgressBar::new(plan.rounds.len() as u64).with_style(style).with_prefix(what.to_string())
        } else {
            ProgressBar::hidden()
        };
        let outcome = self.connected(plan, data, &bar)?;
        bar.finish_and_clear();
        Ok(outcome)
    }

    fn connected(
        &self,
        plan: &Plan,
        data: &BTreeMap<String, Vec<f64>>,
        bar: &ProgressBar,
    ) -> Result<client::Outcome, Failure> {
        Ok(match (self.transport, &self.parties) {
            (Transport::Memory, None) => {
                local::memory(plan, data, self.net, &|round| bar.set_position(round as u64)).map_err(told)?
            }
            (Transport::Memory, Some(_)) => return Err(anyhow!("`--parties` needs `--transport tcp`").into()),
            (Transport::Tcp, Some(addresses)) => {
                let id = party::session_id(self.session.as_deref().unwrap_or_default());
                let addresses = party::parse_addresses(addresses)?;
                local::submit_tcp(plan, data, &local::session(plan, id, addresses, Duration::from_secs(10)))
                    .map_err(told)?
            }
            (Transport::Tcp, None) => self.processes(plan, data)?,
        })
    }

    /// Three processes of this program, and this one as the owners' client.
    fn processes(&self, plan: &Plan, data: &BTreeMap<String, Vec<f64>>) -> Result<client::Outcome, Failure> {
        let addresses = local::free_addresses().context("no free port on loopback")?;
        let name = format!("local-{}", std::process::id());
        let folder = std::env::temp_dir().join(format!("smlc-{name}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let _cleanup = Cleanup(folder.clone());
        let path = folder.join("model.plan");
        build::write_whole(&path, file::write(plan)).with_context(|| format!("cannot write `{}`", path.display()))?;
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut children = Children(Vec::new());
        for id in 0..3 {
            let mut command = Command::new(&program);
            command.arg("party").arg(&path).args(["--id", &id.to_string(), "--addresses", &addresses.join(",")]);
            command.args(["--session", &name]).stdin(Stdio::null()).stdout(Stdio::null());
            if let Some(net) = &self.net {
                command.args(["--net", &net.to_string()]);
            }
            children.0.push(command.spawn().with_context(|| format!("cannot start `{}`", program.display()))?);
        }
        let session = local::session(plan, party::session_id(&name), addresses, Duration::from_secs(10));
        let outcome = local::submit_tcp(plan, data, &session).map_err(told)?;
        children.wait()?;
        Ok(outcome)
    }

    fn read_labels(&self, beside: &Beside) -> Result<BTreeMap<String, Vec<i64>>, Failure> {
        let mut files = beside.labels.clone();
        files.extend(self.labels.iter().cloned());
        let mut labels = BTreeMap::new();
        for (name, path) in files {
            labels.insert(name, read_labels(&path)?);
        }
        Ok(labels)
    }

    /// Result -> file; the name is empty when there is one result.
    fn targets(&self, results: usize) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let split = |text: &String| match text.split_once('=') {
            Some((name, path)) => Ok((name.to_string(), PathBuf::from(path))),
            None if results == 1 => Ok((String::new(), PathBuf::from(text))),
            None => Err(anyhow!("there are {results} results: write `--out NAME={text}`")),
        };
        self.out.iter().map(split).collect()
    }
}

fn read_labels(path: &Path) -> Result<Vec<i64>, Failure> {
    let refuse = |d| Failure::Data(vec![d], crate::span::Sources::default());
    match data::load(path).map_err(|e| refuse(e.to_diagnostic()))? {
        Loaded::One(tensor) => Ok(tensor.iter().map(|v| v as i64).collect()),
        Loaded::Named(_) => Err(anyhow!("`{}` holds several arrays; labels are one", path.display()).into()),
    }
}

/// Child processes that do not outlive the command.
struct Children(Vec<Child>);

impl Children {
    fn wait(&mut self) -> anyhow::Result<()> {
        for (id, child) in self.0.iter_mut().enumerate() {
            let status = child.wait().with_context(|| format!("P{id}"))?;
            if !status.success() {
                return Err(anyhow!("P{id} ended with {status}"));
            }
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // Parties that failed report it themselves; give them the time, then make sure that none stays behind.
        let deadline = Instant::now() + Duration::from_secs(6);
        for child in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            // It may have ended by itself in between.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// Removes a temporary folder.
struct Cleanup(PathBuf);

impl Drop for Cleanup {
    fn drop(&mut self) {
        // What stays behind is in the system's own folder for temporary files.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

/// Right answers of one result.
struct Score {
    predictions: Vec<i64>,
    labels: Vec<i64>,
    right: usize,
}

impl Total {
    fn add(&mut self, plan: &Plan, outcome: &client::Outcome, batched: bool) -> anyhow::Result<()> {
        let sent = outcome.reports.clone().map(|r| r.sent.iter().sum::<u64>());
        let rounds = outcome.reports[0].rounds;
        let planned = cost::cost(plan);
        if sent != planned.bytes_per_party || rounds != planned.rounds {
            return Err(anyhow!(
                "mistake in smlc: the plan says {:?} bytes in {} rounds, the wire counted {sent:?} in {rounds}",
                planned.bytes_per_party,
                planned.rounds
            ));
        }
        self.runs += 1;
        self.rounds += rounds;
        self.share += outcome.share;
        self.run += outcome.run;
        for (all, sent) in self.bytes_per_party.iter_mut().zip(sent) {
            *all += sent;
        }
        for output in &plan.outputs {
            let values = &outcome.outputs[&output.name];
            match self.outputs.get_mut(&output.name) {
                Some((shape, all)) if batched && !shape.is_empty() => {
                    shape[0] += output.shape[0];
                    all.extend_from_slice(values);
                }
                _ => {
                    self.outputs.insert(output.name.clone(), (output.shape.clone(), values.clone()));
                }
            }
        }
        Ok(())
    }

    /// Compares results with labels: the place of the largest along the last axis, or the value itself.
    fn scores(&self, labels: &BTreeMap<String, Vec<i64>>) -> anyhow::Result<BTreeMap<String, Score>> {
        let mut scores = BTreeMap::new();
        for (name, labels) in labels {
            let names: Vec<&str> = self.outputs.keys().map(String::as_str).collect();
            let (shape, values) = self
                .outputs
                .get(name)
                .ok_or_else(|| anyhow!("labels for `{name}`, but the results are {}", names.join(", ")))?;
            let predictions: Vec<i64> = match shape.as_slice() {
                [_, classes] => values.chunks(*classes).map(largest).collect(),
                _ => values.iter().map(|v| v.round() as i64).collect(),
            };
            if labels.len() < predictions.len() {
                return Err(anyhow!("{} labels for {} predictions of `{name}`", labels.len(), predictions.len()));
            }
            let labels = labels[..predictions.len()].to_vec();
            let right = predictions.iter().zip(&labels).filter(|(p, l)| p == l).count();
            scores.insert(name.clone(), Score { predictions, labels, right });
        }
        Ok(scores)
    }

    fn table(&self, checked: &Checked, entry: &str, rows: usize, scores: &BTreeMap<String, Score>) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} {entry}: {} in {}",
            checked.path.display(),
            plural(rows, "row"),
            plural(self.runs, "run")
        );
        for (name, score) in scores {
            let list = |values: &[i64]| values.iter().take(20).map(|v| format!("{v:>2}")).collect::<Vec<_>>().join(" ");
            let more = if score.predictions.len() > 20 { " ..." } else { "" };
            let _ = writeln!(out, "\n{name:12} {}{more}", list(&score.predictions));
            let _ = writeln!(out, "{:12} {}{more}", "labels", list(&score.labels));
            let n = score.predictions.len();
            let percent = 100.0 * score.right as f64 / n.max(1) as f64;
            let _ = writeln!(out, "{:12} {} of {n} right ({percent:.1} %)", "accuracy", score.right);
        }
        for (name, (shape, values)) in self.outputs.iter().filter(|(name, _)| !scores.contains_key(*name)) {
            let shown: Vec<String> = values.iter().take(10).map(|v| format!("{v:.4}")).collect();
            let more = if values.len() > 10 { " ..." } else { "" };
            let _ = writeln!(out, "\n{name:12} {shape:?} {}{more}", shown.join(" "));
        }
        let seconds = |d: Duration| format!("{:.3} s", d.as_secs_f64());
        let [p0, p1, p2] = self.bytes_per_party.map(bytes);
        let all: u64 = self.bytes_per_party.iter().sum();
        let _ = writeln!(
            out,
            "\ntime         compile {}, share {}, run {}",
            seconds(self.compile),
            seconds(self.share),
            seconds(self.run)
        );
        let _ = writeln!(out, "rounds       {}", self.rounds);
        let _ = writeln!(out, "sent         {} (P0 {p0}, P1 {p1}, P2 {p2})", bytes(all));
        out
    }

    fn json(&self, entry: &str, rows: usize, scores: &BTreeMap<String, Score>) -> serde_json::Value {
        let outputs: serde_json::Map<String, serde_json::Value> = self
            .outputs
            .iter()
            .map(|(name, (shape, values))| (name.clone(), serde_json::json!({ "shape": shape, "values": values })))
            .collect();
        let scores: serde_json::Map<String, serde_json::Value> = scores
            .iter()
            .map(|(name, s)| {
                let accuracy = s.right as f64 / s.predictions.len().max(1) as f64;
                let score = serde_json::json!({
                    "predictions": s.predictions, "labels": s.labels, "right": s.right, "accuracy": accuracy,
                });
                (name.clone(), score)
            })
            .collect();
        serde_json::json!({
            "entry": entry,
            "rows": rows,
            "runs": self.runs,
            "rounds": self.rounds,
            "bytes_total": self.bytes_per_party.iter().sum::<u64>(),
            "bytes_per_party": self.bytes_per_party,
            "seconds": {
                "compile": self.compile.as_secs_f64(),
                "share": self.share.as_secs_f64(),
                "run": self.run.as_secs_f64(),
            },
            "outputs": outputs,
            "scores": scores,
        })
    }
}

/// `1 row`, `2 rows`.
fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Data that the number format cannot hold are the owner's to mend: told as a diagnostic.
fn told(error: RunError) -> Failure {
    match error {
        RunError::Owner(OwnerError::Data(error @ EvalError::Range { .. })) => {
            let diag = Diagnostic::global(Code::DataRange, error.to_string())
                .help("raise `int` in the model's `fixed(...)`, or scale the data");
            Failure::Data(vec![diag], crate::span::Sources::default())
        }
        other => Failure::Other(other.into()),
    }
}

/// Index of the first largest.
fn largest(row: &[f64]) -> i64 {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best as i64
}
