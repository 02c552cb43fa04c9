//! `smlc build`: the plan file, or a stage on the way to it as text.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::compile::{self, Options};
use super::{Failure, Outcome, Talk, cost, output};
use crate::plan::{self, file};
use crate::span::Sources;
use crate::{graph, hir, pass, syntax};

/// Compile to a plan, or show a stage on the way
#[derive(Debug, Args)]
pub(super) struct Build {
    /// The program
    file: PathBuf,
    /// Where the plan goes
    #[arg(short, long, value_name = "PLAN", conflicts_with = "emit")]
    output: Option<PathBuf>,
    /// Print a stage instead
    #[arg(long, value_name = "STAGE")]
    emit: Option<Stage>,
    /// With `--emit graph`: the graph after this pass (`lower`: before all passes; `unroll`: after all of them, with loops
    /// written out, as the plan is made from it)
    #[arg(long, value_name = "PASS", requires = "emit")]
    after: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// The tokens
    Tokens,
    /// The syntax tree
    Ast,
    /// The typed program
    Hir,
    /// The dataflow graph
    Graph,
    /// The protocol: rounds of launches and messages
    Plan,
    /// What it costs
    Cost,
}

impl Build {
    pub fn run(&self, talk: Talk) -> Outcome {
        if let Some(after) = &self.after
            && !["lower", "unroll"].contains(&after.as_str())
            && pass::find(after).is_none()
        {
            let names: Vec<&str> = pass::PASSES.iter().map(|p| p.name).collect();
            return Err(anyhow::anyhow!("no such pass `{after}`; there are lower, {}, unroll", names.join(", ")).into());
        }
        if self.after.is_some() && self.emit != Some(Stage::Graph) {
            return Err(anyhow::anyhow!("passes change the graph: `--after` goes with `--emit graph`").into());
        }
        if self.emit.is_none() && self.output.is_none() {
            let message = "say where the plan goes, `-o model.plan`, or which stage to print, `--emit STAGE`";
            return Err(anyhow::anyhow!(message).into());
        }
        match self.emit {
            Some(Stage::Tokens) => {
                return output::print(syntax::dump::tokens(&compile::read(&self.file)?));
            }
            Some(Stage::Ast) => return self.ast(talk),
            _ => {}
        }
        let checked = compile::check(&self.file, talk)?;
        if self.emit == Some(Stage::Hir) {
            return output::print(hir::text::print(&checked.program));
        }
        let entry = checked.entry(&self.options)?.name.clone();
        let dims = self.options.dims()?;
        if self.emit == Some(Stage::Graph) {
            let graph = match self.after.as_deref() {
                Some("lower") => checked.graph(&entry, &dims)?,
                Some("unroll") => checked.unrolled(&entry, &dims, &self.options)?,
                after => checked.optimised(&entry, &dims, &self.options, after)?,
            };
            return output::print(graph::text::print(&graph));
        }
        let plan = checked.plan(&entry, &dims, &self.options)?;
        match (self.emit, &self.output) {
            (Some(Stage::Cost), _) => output::print(cost::table(&plan::cost::cost(&plan))),
            (None, Some(path)) => {
                write_whole(path, file::write(&plan)).with_context(|| format!("cannot write `{}`", path.display()))?;
                Ok(())
            }
            _ => output::print(plan::text::print(&plan)),
        }
    }

    fn ast(&self, talk: Talk) -> Outcome {
        let mut sources = Sources::default();
        let text = compile::read(&self.file)?;
        let file = sources.add(self.file.display().to_string(), text.clone());
        let mut diags = Vec::new();
        let tree = syntax::parse(file, &text, &mut diags);
        output::print(syntax::dump::ast(&tree))?;
        if diags.is_empty() {
            return Ok(());
        }
        talk.diagnostics(&diags, &sources);
        Err(Failure::Said(1))
    }
}

/// Writes beside the target and renames, so that a failure leaves no half-written file.
pub(super) fn write_whole(path: &std::path::Path, content: impl AsRef<[u8]>) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, content)?;
    std::fs::rename(&part, path).inspect_err(|_| {
        // The rename's error is the one to report.
        let _removed = std::fs::remove_file(&part);
    })
}
