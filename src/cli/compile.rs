//! The way from a file to a plan, with the options that the compiling commands share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use itertools::Itertools as _;

use super::device::DeviceArg;
use super::{Failure, Talk};
use crate::diag::{Code, Diagnostic};
use crate::graph::Graph;
use crate::hir::{self, Program};
use crate::net::Shape;
use crate::plan::cost::choose;
use crate::plan::cost::time::Network;
use crate::plan::protocol::sign::Prefer;
use crate::plan::{self, Plan, lower};
use crate::span::{FileId, Sources, Span};
use crate::{graph, pass};

/// What the compiling commands take.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    /// The entry to compile, when the file has several
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// Give an open size: `--dim N=32`
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = parse_dim)]
    pub dims: Vec<(String, usize)>,
    /// Leave out a pass (`smlc passes` lists them)
    #[arg(long = "no-pass", value_name = "PASS", value_parser = parse_pass)]
    pub without: Vec<String>,
    /// What comparisons should spare: a round for a few more bytes (675 bits for 658), or bytes
    #[arg(long, value_name = "WHAT", default_value = "rounds")]
    pub spare: Spare,
    /// Make the plan for this network, where comparisons trade bytes for rounds: datacentre, lan, wan, or RTT,RATE such as
    /// 40ms,100Mb
    #[arg(long = "for", value_name = "NET", conflicts_with = "spare")]
    pub made_for: Option<Shape>,
    /// Cut tensors into slices in which parties play different roles, so that all send as much: all tensors, large ones, or
    /// none, which GPUs are faster with; without this, large ones, or none where all three parties compute on GPUs of this
    /// process
    #[arg(long, value_name = "HOW", conflicts_with = "made_for")]
    pub cut: Option<Cut>,
}

/// How tensors are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Cut {
    /// Into slices for the parties' roles
    Roles,
    /// The same where there are 4096 elements or more
    Large,
    /// Not at all
    Whole,
}

/// What comparisons should spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Spare {
    /// Fewer rounds
    Rounds,
    /// Fewer bytes
    Bytes,
}

pub(super) fn parse_dim(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("write it as `N=32`")?;
    let size: usize = size.parse().map_err(|_| format!("`{size}` is no size"))?;
    if size == 0 {
        return Err("a size is at least 1".to_string());
    }
    Ok((name.to_string(), size))
}

fn parse_pass(text: &str) -> Result<String, String> {
    match pass::find(text) {
        Some(pass) => Ok(pass.name.to_string()),
        None => {
            let names: Vec<&str> = pass::PASSES.iter().map(|p| p.name).collect();
            Err(format!("no such pass; there are {}", names.join(", ")))
        }
    }
}

impl Options {
    /// The same where nothing is said of how tensors are cut, for parties that compute on `device` in this process.
    pub fn on(&self, device: &DeviceArg, net: Option<Shape>) -> Options {
        let whole = self.made_for.is_none() && net.is_none() && device.is_gpus();
        Options { cut: self.cut.or(whole.then_some(Cut::Whole)), ..self.clone() }
    }

    /// The sizes given by `--dim`.
    pub fn dims(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        once("--dim", &self.dims)
    }
}

/// What `NAME=...` flags give; a name that is given twice is refused.
pub(super) fn once<T: Clone>(flag: &str, given: &[(String, T)]) -> anyhow::Result<BTreeMap<String, T>> {
    let mut all = BTreeMap::new();
    for (name, value) in given {
        if all.insert(name.clone(), value.clone()).is_some() {
            bail!("`{flag} {name}=..`: `{name}` is given twice");
        }
    }
    Ok(all)
}

/// Modules are files beside the program.
struct Beside<'p>(&'p Path);

impl hir::Modules for Beside<'_> {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let path = self.0.with_file_name(format!("{name}.sml"));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path.display().to_string(), text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

/// A checked file.
pub(super) struct Checked {
    pub path: PathBuf,
    pub sources: Sources,
    pub program: Program,
}

/// Reads a program's text.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => anyhow!("`{name}` is not a text file").into(),
        _ => anyhow::Error::new(error).context(format!("cannot read `{name}`")).into(),
    })
}

/// Reads and checks a file; warnings are told.
pub(super) fn check(path: &Path, talk: Talk) -> Result<Checked, Failure> {
    let mut sources = Sources::default();
    let file: FileId = sources.add(path.display().to_string(), read(path)?);
    let mut diags = Vec::new();
    match hir::check_with(&mut sources, file, &mut Beside(path), &mut diags) {
        Some(program) => {
            talk.diagnostics(&diags, &sources);
            Ok(Checked { path: path.to_path_buf(), sources, program })
        }
        None => Err(Failure::Program(diags, sources)),
    }
}

impl Checked {
    /// The chosen entry.
    pub fn entry(&self, options: &Options) -> Result<&hir::Entry, Failure> {
        self.named(options.entry.as_deref())
    }

    /// The entry of that name. Which one is the command line's matter, that there is one the program's.
    pub fn named(&self, name: Option<&str>) -> Result<&hir::Entry, Failure> {
        self.program.entry(name).map_err(|diag| match self.program.entries.as_slice() {
            [] => Failure::Program(vec![diag], self.sources.clone()),
            _ => Failure::Data(vec![diag], self.sources.clone()),
        })
    }

    /// Refuses what shows in the entry's head that no plan of this version computes.
    pub fn runnable(&self, entry: &hir::Entry) -> Result<(), Failure> {
        let stored = entry.params.iter().filter(|p| p.source == hir::Source::Shares).map(|p| (p.span, lower::STORED));
        let kept = entry.results.iter().filter(|r| r.to == hir::Destination::Shares).map(|r| (r.span, lower::KEPT));
        match stored.chain(kept).next() {
            Some((span, what)) => Err(self.not_run(Some(span), what)),
            None => Ok(()),
        }
    }

    fn not_run(&self, span: Option<Span>, what: &str) -> Failure {
        let message = format!("{what} is not run in this version");
        let diag = match span {
            Some(span) => Diagnostic::error(Code::Unsupported, span, message),
            None => Diagnostic::global(Code::Unsupported, message),
        };
        let diag = diag.help("`smlc check` and `smlc build --emit graph` work; train in the clear until then");
        Failure::Program(vec![diag], self.sources.clone())
    }

    /// The entry's graph, before any pass.
    pub fn graph(&self, entry: &str, dims: &BTreeMap<String, usize>) -> Result<Graph, Failure> {
        let known = &self.named(Some(entry))?.sizes;
        if let Some(name) = dims.keys().find(|d| !known.contains(d)) {
            let open = if known.is_empty() {
                "no open size".to_string()
            } else {
                format!("the open sizes {}", known.join(", "))
            };
            return Err(Failure::Other(anyhow::anyhow!("`{entry}` has no size `{name}`: it has {open}")));
        }
        let mut diags = Vec::new();
        let graph = graph::lower::lower(&self.program, entry, dims, &mut diags);
        // A size that a flag has to give is the command line's matter.
        let open = known.iter().any(|name| !dims.contains_key(name));
        graph.ok_or_else(|| match diags.as_slice() {
            [diag] if open && diag.code == Code::OpenSize => Failure::Data(diags, self.sources.clone()),
            _ => Failure::Program(diags, self.sources.clone()),
        })
    }

    /// The entry's graph after the passes (those up to `after`).
    pub fn optimised(
        &self,
        entry: &str,
        dims: &BTreeMap<String, usize>,
        options: &Options,
        after: Option<&str>,
    ) -> Result<Graph, Failure> {
        let mut graph = self.graph(entry, dims)?;
        pass::run(&mut graph, after, &options.without)
            .map_err(|(pass, e)| anyhow::anyhow!("mistake in smlc: after `{pass}`: {e}"))?;
        Ok(graph)
    }

    /// The entry's graph with its loops written out, after all passes: what the plan is made from.
    pub fn unrolled(&self, entry: &str, dims: &BTreeMap<String, usize>, options: &Options) -> Result<Graph, Failure> {
        let graph = self.graph(entry, dims)?;
        pass::unrolled(&graph, &options.without)
            .map_err(|(pass, e)| Failure::Other(anyhow::anyhow!("mistake in smlc: after `{pass}`: {e}")))
    }

    /// The entry's plan.
    pub fn plan(&self, entry: &str, dims: &BTreeMap<String, usize>, options: &Options) -> Result<Plan, Failure> {
        self.planned(&self.unrolled(entry, dims, options)?, options)
    }

    /// The plan of a graph that [`Checked::unrolled`] gave.
    pub fn planned(&self, graph: &Graph, options: &Options) -> Result<Plan, Failure> {
        if let Some((span, what)) = lower::unsupported(graph) {
            return Err(self.not_run(span, what));
        }
        let lower = |options| lower::lower(graph, &self.sources, options);
        let cut = match options.cut {
            Some(Cut::Roles) => lower::Cut::Roles,
            None | Some(Cut::Large) => lower::Cut::Large,
            Some(Cut::Whole) => lower::Cut::Whole,
        };
        let plan = match (options.made_for, options.spare) {
            (Some(shape), _) => choose::fastest(Network::from(shape), lower),
            (None, Spare::Rounds) => lower(lower::Options { prefer: Prefer::Rounds, cut, ..Default::default() }),
            (None, Spare::Bytes) => lower(lower::Options { prefer: Prefer::Bytes, cut, ..Default::default() }),
        };
        plan::verify::verify(&plan).map_err(|e| anyhow::anyhow!("mistake in smlc: {e}"))?;
        Ok(plan)
    }

    /// The text of a place on one line, cut where it gets long.
    pub fn one_line(&self, span: Span, width: usize) -> String {
        let text = self.sources.text(span).split_whitespace().join(" ");
        if text.chars().count() <= width {
            return text;
        }
        text.chars().take(width - 2).chain("..".chars()).collect()
    }
}
