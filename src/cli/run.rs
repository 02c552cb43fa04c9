//! `smlc run`: the three parties on this machine, and what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::compile::{self, Options};
use super::cost::Format;
use super::device::DeviceArg;
use super::inputs::Beside;
use super::machine::{self, MachineArg};
use super::prepare::{Given, Prepared, parse_input, retold};
use super::profile::Profile;
use super::results::{self, Total};
use super::{Failure, MessageFormat, Outcome, Talk, build, output, party};
use crate::data::{self, Loaded, Tensor, npy};
use crate::net::Shape;
use crate::plan::{Plan, cost, file};
use crate::run::client::Client;
use crate::run::device::Device;
use crate::run::profile::{self, Log};
use crate::run::{RunError, local};

/// What the owners do with the parties.
type Owners<'o> = &'o mut dyn FnMut(&mut Client<'_>) -> Outcome;

/// Run the three parties on this machine
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    given: Given,
    /// Labels of a result, to count right answers: `--labels out=y.npy`
    #[arg(long, value_name = "NAME=FILE", value_parser = parse_input)]
    labels: Vec<(String, PathBuf)>,
    /// Write a result: `--out out=scores.npy`, or `--out scores.npy` when there is one
    #[arg(long, value_name = "NAME=FILE")]
    out: Vec<String>,
    /// How the parties are connected
    #[arg(long, value_name = "TRANSPORT", default_value = "memory")]
    transport: Transport,
    /// With `--transport tcp`: parties that run already (`smlc party`), instead of starting three
    #[arg(long, value_name = "HOST:PORT,HOST:PORT,HOST:PORT", requires = "session")]
    parties: Option<String>,
    /// The run's name, as the parties were given it
    #[arg(long, value_name = "NAME", requires = "parties")]
    session: Option<String>,
    /// What the parties compute on: cpu, cuda, cuda:1, or three of these for P0, P1 and P2
    #[arg(long, value_name = "DEVICE", default_value = "cpu", conflicts_with = "parties")]
    device: DeviceArg,
    /// Imitate a network: datacentre, lan, wan, or RTT,RATE such as 40ms,100Mb
    #[arg(long, value_name = "NET")]
    net: Option<Shape>,
    /// Run so often on the same shares, each time with other random numbers, and tell the median time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// Measure where the time goes, by line and round, beside the prediction
    #[arg(long)]
    profile: bool,
    /// Write who did what when, for Perfetto or `chrome://tracing`
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// With `--profile`: predict by another calibration: `built-in`, or a file that `smlc bench --calibrate` wrote
    #[arg(long, value_name = "MACHINE", requires = "profile")]
    machine: Option<MachineArg>,
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

impl Run {
    pub fn run(&self, talk: Talk) -> Outcome {
        let mut profile = self.clocks()?;
        // What is not there is told now; processes open theirs themselves.
        let devices = Some(self.device.open()?).filter(|_| self.transport == Transport::Memory).unwrap_or_default();
        let prepared = self.given.prepare(&self.options, talk)?;
        let (checked, inputs) = (&prepared.checked, &prepared.inputs);
        let start = Instant::now();
        let options = match self.transport {
            Transport::Memory => self.options.on(&self.device, self.net),
            Transport::Tcp => self.options.clone(),
        };
        let plans = prepared.by_rows(|sizes| checked.plan(&prepared.entry, sizes, &options))?;
        let mut total = Total::default();
        total.compile = prepared.compile + start.elapsed();
        let of_all = prepared.batches.iter().map(|batch| &plans[&batch.len()]);
        total.outputs =
            results::expected(of_all, inputs.batched.is_some(), &checked.program.outputs(prepared.entry()?));
        // What cannot be used is told before anything runs.
        let labels = self.labels(&prepared.beside, &total)?;
        let targets = self.targets(&total)?;

        // Batches of the same size run one after the other on the shares that the parties have.
        let mut number = 0;
        for group in prepared.batches.chunk_by(|a, b| a.len() == b.len()) {
            let plan = &plans[&group[0].len()];
            let (bar, cost) = (Prepared::bar(plan)?, cost::cost(plan));
            let logs = profile.as_ref().map(|_| <[Log; 3]>::default());
            let mut owners = |client: &mut Client<'_>| {
                for (at, batch) in group.iter().enumerate() {
                    let data = inputs.rows_of(batch)?;
                    client.submit(&data, |owner| at == 0 || inputs.changes(owner))?;
                    number += 1;
                    for again in 0..self.repeat {
                        bar.reset();
                        bar.set_prefix(self.prefix(number, prepared.batches.len(), again));
                        let outcome = client.run()?;
                        if let (Some(profile), Some(logs)) = (&mut profile, &logs) {
                            profile.add(checked, plan, &profile::timeline(plan, logs));
                        }
                        total.add((plan, &cost), &outcome, again == 0)?;
                    }
                }
                Ok(())
            };
            let runs = u32::try_from(group.len()).ok().and_then(|batches| batches.checked_mul(self.repeat));
            let runs = runs.context("more runs than can be counted")?;
            self.connected((plan, &devices), runs, logs.as_ref(), &bar, talk, &mut owners).map_err(retold)?;
            bar.finish_and_clear();
        }
        for (name, path) in &targets {
            let output = total.output(name)?;
            let content = npy::to_bytes(&Tensor::from_f64(output.shape.clone(), output.values.clone()));
            build::write_whole(path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        if let (Some(path), Some(profile)) = (&self.trace, &profile) {
            build::write_whole(path, profile.trace_file())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let profile = profile.filter(|_| self.profile);
        let scores = total.scores(labels)?;
        let (entry, rows) = (&prepared.entry, prepared.rows());
        match self.format {
            Format::Table => {
                let profile = profile.map(|profile| profile.table(checked)).unwrap_or_default();
                output::print(total.table(checked, entry, rows, &scores) + &profile)
            }
            Format::Json => {
                let mut json = total.json(entry, rows, &scores);
                if let Some(profile) = profile {
                    json["profile"] = profile.json(checked);
                }
                output::line(serde_json::to_string_pretty(&json)?)
            }
        }
    }

    /// Clocks, when they are asked for.
    fn clocks(&self) -> anyhow::Result<Option<Profile>> {
        if !self.profile && self.trace.is_none() {
            return Ok(None);
        }
        if self.transport == Transport::Tcp {
            bail!("`--profile` and `--trace` look into parties in this process: they go with `--transport memory`");
        }
        // Said now, not when the work is done.
        if let Some(path) = &self.trace {
            writable(path, "the trace")?;
        }
        Ok(Some(Profile::new(machine::here(self.machine.as_ref())?, self.net)))
    }

    /// What stands before the bar.
    fn prefix(&self, batch: usize, batches: usize, again: u32) -> String {
        match self.repeat {
            1 => format!("run {batch} of {batches}"),
            repeat => format!("run {batch} of {batches}, time {} of {repeat}", again + 1),
        }
    }

    /// Three parties for some runs of a plan.
    fn connected(
        &self,
        (plan, devices): (&Plan, &[Device; 3]),
        runs: u32,
        logs: Option<&[Log; 3]>,
        bar: &ProgressBar,
        talk: Talk,
        owners: Owners<'_>,
    ) -> Outcome {
        match (self.transport, &self.parties) {
            (Transport::Memory, None) => {
                local::parties(plan, devices, runs, self.net, &|round| bar.set_position(round as u64), logs, owners)
            }
            (Transport::Memory, Some(_)) => Err(anyhow!("`--parties` needs `--transport tcp`").into()),
            (Transport::Tcp, Some(addresses)) => {
                let id = party::session_id(self.session.as_deref().unwrap_or_default());
                let addresses = party::parse_addresses(addresses)?;
                let session = local::session(plan, id, addresses, Duration::from_secs(10));
                owners(&mut local::call_tcp(plan, &session)?).map_err(|failure| match failure {
                    Failure::Other(error) if runs > 1 && matches!(error.downcast_ref(), Some(RunError::Link(_))) => {
                        anyhow!("{error}; for {runs} runs start the parties with `--runs {runs}`").into()
                    }
                    other => other,
                })
            }
            (Transport::Tcp, None) => self.processes(plan, runs, talk, owners),
        }
    }

    /// Three processes of this program, and this one as the owners' client.
    fn processes(&self, plan: &Plan, runs: u32, talk: Talk, owners: Owners<'_>) -> Outcome {
        let addresses = local::free_addresses().context("no free port on loopback")?;
        let name = format!("local-{}", std::process::id());
        let folder = std::env::temp_dir().join(format!("smlc-{name}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let _cleanup = Cleanup(folder.clone());
        let path = folder.join("model.plan");
        build::write_whole(&path, file::write(plan)).with_context(|| format!("cannot write `{}`", path.display()))?;
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut children = Children(Vec::new());
        for (id, device) in self.device.names().iter().enumerate() {
            let mut command = Command::new(&program);
            command.arg("party").arg(&path).args(["--id", &id.to_string(), "--addresses", &addresses.join(",")]);
            command
                .args(["--session", &name, "--runs", &runs.to_string(), "--device", device])
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            if talk.message_format == MessageFormat::Json {
                command.args(["--message-format", "json"]);
            }
            if let Some(net) = &self.net {
                command.args(["--net", &net.to_string()]);
            }
            children.0.push(command.spawn().with_context(|| format!("cannot start `{}`", program.display()))?);
        }
        let session = local::session(plan, party::session_id(&name), addresses, Duration::from_secs(10));
        owners(&mut local::call_tcp(plan, &session)?)?;
        children.wait()?;
        Ok(())
    }

    /// The labels, each checked against its result.
    fn labels(&self, beside: &Beside, total: &Total) -> Result<BTreeMap<String, Vec<i64>>, Failure> {
        let mut files = beside.labels.clone();
        files.extend(compile::once("--labels", &self.labels)?);
        let mut labels = BTreeMap::new();
        for (name, path) in files {
            let output = total.output(&name).context("labels")?;
            labels.insert(name.clone(), output.labels(&name, &read_labels(&path)?)?);
        }
        Ok(labels)
    }

    /// Result -> file.
    fn targets(&self, total: &Total) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let split = |text: &String| match (text.split_once('='), total.outputs.keys().collect::<Vec<_>>().as_slice()) {
            (Some((name, path)), _) => Ok((name.to_string(), PathBuf::from(path))),
            (None, [only]) => Ok(((*only).clone(), PathBuf::from(text))),
            (None, all) => Err(anyhow!("there are {} results: write `--out NAME={text}`", all.len())),
        };
        let targets: Vec<(String, PathBuf)> = self.out.iter().map(split).collect::<Result<_, _>>()?;
        for (name, path) in &targets {
            total.output(name)?;
            if path.extension().is_none_or(|ending| ending != "npy") {
                bail!("results are written as `.npy`: name the file `{}`", path.with_extension("npy").display());
            }
            // Said now, not when the work is done.
            writable(path, &format!("the result `{name}`"))?;
        }
        compile::once("--out", &targets)
    }
}

/// Refuses a file for `what` in a folder that is not there.
fn writable(path: &Path, what: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => bail!("there is no folder `{}` for {what}", folder.display()),
        None => Ok(()),
    }
}

fn read_labels(path: &Path) -> Result<Tensor, Failure> {
    let refuse = |d| Failure::Data(vec![d], crate::span::Sources::default());
    match data::load(path).map_err(|e| refuse(e.to_diagnostic()))? {
        Loaded::One(tensor) => Ok(tensor),
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
