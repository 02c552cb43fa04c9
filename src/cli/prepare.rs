//! What `run` and `debug` share: a program, the data to run it on, and the batches that they make.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::IsTerminal as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::compile::{self, Checked, Options};
use super::inputs::{Beside, Inputs, Take};
use super::{Failure, Talk, party};
use crate::diag::{Code, Diagnostic};
use crate::graph::eval::EvalError;
use crate::hir;
use crate::plan::Plan;
use crate::run::RunError;
use crate::run::owner::OwnerError;
use crate::span::Sources;

/// A program and the data to run it on.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// The program
    file: PathBuf,
    /// Data of a parameter: `--in image=x.npy`, or `--in x=2.5` for a single number; without it, the `.toml` beside the program says
    #[arg(long = "in", value_name = "NAME=FILE", value_parser = parse_input)]
    inputs: Vec<(String, PathBuf)>,
    /// Rows to take of the batched inputs (`all`: every one)
    #[arg(long, value_name = "ROWS")]
    take: Option<Take>,
    /// Rows of one run
    #[arg(long, value_name = "ROWS", value_parser = parse_rows)]
    batch: Option<usize>,
}

fn parse_rows(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|rows| *rows > 0).ok_or_else(|| "write a number of rows, at least 1".to_string())
}

pub(super) fn parse_input(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write it as `image=x.npy`")?;
    Ok((name.to_string(), PathBuf::from(path)))
}

/// A checked program with its data.
pub(super) struct Prepared {
    pub checked: Checked,
    /// The chosen entry's name.
    pub entry: String,
    pub beside: Beside,
    pub inputs: Inputs,
    /// The rows of each run.
    pub batches: Vec<Range<usize>>,
    /// Time to check the program.
    pub compile: Duration,
}

impl Given {
    /// Checks the program and loads the data.
    pub fn prepare(&self, options: &Options, talk: Talk) -> Result<Prepared, Failure> {
        let start = Instant::now();
        let checked = compile::check(&self.file, talk)?;
        let entry = checked.entry(options)?;
        checked.runnable(entry)?;
        let compile = start.elapsed();

        let beside = Beside::read(&checked.path)?;
        let mut files = beside.inputs.clone();
        files.extend(compile::once("--in", &self.inputs)?);
        let inputs = Inputs::load(&checked, entry, &files, options.dims()?)?;
        let batches = self.batches(&inputs, &beside, &entry.name, talk)?;
        let entry = entry.name.clone();
        Ok(Prepared { checked, entry, beside, inputs, batches, compile })
    }

    /// The rows of each run.
    fn batches(&self, inputs: &Inputs, beside: &Beside, entry: &str, talk: Talk) -> anyhow::Result<Vec<Range<usize>>> {
        if inputs.batched.is_none() && (self.take.is_some() || self.batch.is_some()) {
            bail!("`--take` and `--batch` count rows, and no input of `{entry}` has an open size as its first");
        }
        let take = self.take.or(beside.run.take).unwrap_or(Take::All);
        let there = inputs.rows();
        if there == 0 {
            bail!("the data have no rows");
        }
        if let Take::Rows(wanted) = take
            && inputs.batched.is_some()
            && wanted > there
        {
            talk.note(&format!("{wanted} rows are to be taken, and there are {there}"));
        }
        Ok(inputs.batches(take, self.batch.or(beside.run.batch())))
    }
}

impl Prepared {
    /// The chosen entry.
    pub fn entry(&self) -> Result<&hir::Entry, Failure> {
        self.checked.named(Some(&self.entry))
    }

    /// Rows of all runs.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(ExactSizeIterator::len).sum()
    }

    /// What the runs need, made once for each number of rows, from the sizes.
    pub fn by_rows<T>(
        &self,
        mut make: impl FnMut(&BTreeMap<String, usize>) -> Result<T, Failure>,
    ) -> Result<BTreeMap<usize, T>, Failure> {
        let mut made = BTreeMap::new();
        for batch in &self.batches {
            if let Entry::Vacant(free) = made.entry(batch.len()) {
                free.insert(make(&self.inputs.sizes(batch))?);
            }
        }
        Ok(made)
    }

    /// A bar on a terminal for the rounds of a plan's run.
    pub fn bar(plan: &Plan) -> anyhow::Result<ProgressBar> {
        if !std::io::stderr().is_terminal() {
            return Ok(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{prefix} {bar:30} round {pos} of {len} {elapsed}")?;
        Ok(ProgressBar::new(plan.rounds.len() as u64).with_style(style))
    }
}

/// What [`told`] says of a run's error inside of another.
pub(super) fn retold(failure: Failure) -> Failure {
    match failure {
        Failure::Other(error) => error.downcast::<RunError>().map_or_else(Failure::Other, told),
        other => other,
    }
}

/// Data that the number format cannot hold are the owner's to mend: told as a diagnostic.
pub(super) fn told(error: RunError) -> Failure {
    match error {
        RunError::Owner(OwnerError::Data(error @ EvalError::Range { .. })) => {
            let help = match error {
                EvalError::Range { value, .. } if value.is_nan() => "replace missing values: NaN is no number",
                _ => "raise `int` in the model's `fixed(...)`, or scale the data",
            };
            let diag = Diagnostic::global(Code::DataRange, error.to_string()).help(help);
            Failure::Data(vec![diag], Sources::default())
        }
        other => party::agreeing(other).into(),
    }
}
