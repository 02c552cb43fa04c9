//! `smlc check`: errors and warnings, and who learns what.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::compile::{self, Checked};
use super::output::number;
use super::{Outcome, Talk, output};
use crate::diag::{self, Code, Diagnostic};
use crate::graph::ranges::{self, Line};
use crate::hir::{Elem, Entry, Leaf};
use crate::span::Span;

/// Check a program
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The program
    file: PathBuf,
    /// Also follow the ranges that inputs declare, and warn where values may leave the number format
    #[arg(long)]
    ranges: bool,
    /// With `--ranges`: only this entry
    #[arg(long, value_name = "NAME", requires = "ranges")]
    entry: Option<String>,
    /// With `--ranges`: give an open size, `--dim N=32`
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = compile::parse_dim, requires = "ranges")]
    dims: Vec<(String, usize)>,
}

impl Check {
    pub fn run(&self, talk: Talk) -> Outcome {
        let checked = compile::check(&self.file, talk)?;
        if let Some(name) = &self.entry {
            return self.entry(&checked, checked.named(Some(name))?, talk);
        }
        if checked.program.entries.is_empty() {
            talk.note("no entry: checked as a module");
        }
        checked.program.entries.iter().try_for_each(|entry| self.entry(&checked, entry, talk))?;
        for (owner, span) in checked.program.owner_local_in_functions() {
            output::line(format_args!("{}", computes(&checked, owner, span)))?;
        }
        for (span, bits, error) in checked.program.approximations() {
            let (text, place) = (checked.one_line(span, 60), checked.sources.place(span));
            output::line(format_args!(
                "approximate: comparisons in `{text}` may err by up to {error:.1e}, {bits} bits unread ({place})"
            ))?;
        }
        Ok(())
    }

    fn entry(&self, checked: &Checked, entry: &Entry, talk: Talk) -> Outcome {
        output::line(format_args!("entry {}", entry.name))?;
        for line in checked.program.learns(entry) {
            output::line(format_args!("  {line}"))?;
        }
        for (owner, span) in checked.program.owner_local(entry) {
            output::line(format_args!("  {}", computes(checked, owner, span)))?;
        }
        if self.ranges {
            self.ranges(checked, entry, talk)?;
        }
        Ok(())
    }

    fn ranges(&self, checked: &Checked, entry: &Entry, talk: Talk) -> Outcome {
        let dims = compile::once("--dim", &self.dims)?;
        let graph = checked.graph(&entry.name, &dims)?;
        let leaves = checked.program.leaves(entry);
        let range = |leaf: &Leaf| if leaf.kind == Elem::Bool { Some((0.0, 1.0)) } else { leaf.range };
        let declared = leaves.iter().filter_map(|leaf| Some((leaf.path.clone(), range(leaf)?))).collect();
        let lines = ranges::ranges(&graph, &declared);
        output::print(table(checked, &lines))?;
        let warnings: Vec<Diagnostic> = lines.iter().filter_map(|line| warning(checked, line)).collect();
        talk.diagnostics(&warnings, &checked.sources);
        Ok(())
    }
}

fn computes(checked: &Checked, owner: &str, span: Span) -> String {
    let (text, place) = (checked.one_line(span, 100), checked.sources.place(span));
    format!("{owner} computes `{text}` alone, in the clear ({place})")
}

fn table(checked: &Checked, lines: &[Line]) -> String {
    let places: Vec<String> = lines.iter().map(|line| checked.sources.place(line.span)).collect();
    let width = places.iter().map(String::len).max().unwrap_or(0).max("line".len());
    let mut out = String::new();
    let _ = writeln!(out, "\n  {:width$}  {:>12}  {:>12}  {:>8}", "line", "smallest", "largest", "headroom");

    for (line, place) in lines.iter().zip(&places) {
        let _ = match (line.range, line.headroom) {
            (Some((low, high)), Some(bits)) => {
                let text = checked.one_line(line.span, 40);
                writeln!(out, "  {place:width$}  {:>12}  {:>12}  {bits:>5.1} b  {text}", number(low), number(high))
            }
            _ if line.undeclared.is_empty() && !line.unbounded => continue,
            _ => {
                let unknown = if line.undeclared.is_empty() {
                    "unknown: no useful bound".to_string()
                } else {
                    format!("unknown without a range of {}", diag::list(line.undeclared.iter().map(String::as_str)))
                };
                writeln!(out, "  {place:width$}  {unknown:>36}  {}", checked.one_line(line.span, 40))
            }
        };
    }
    out
}

fn warning(checked: &Checked, line: &Line) -> Option<Diagnostic> {
    let (low, high) = line.range?;
    let limit = checked.program.format.limit();
    if !line.leaves {
        return None;
    }
    let message = format!("this may leave the number format: between {} and {}", number(low), number(high));
    let diag = Diagnostic::error(Code::MayLeave, line.span, message).warning();
    let diag = diag
        .note(format!("`int = {}` holds magnitudes below {limit}", checked.program.format.int))
        .note("the bound takes every operand at its worst, which data seldom do");
    Some(diag.help("raise `int`, declare narrower ranges, or scale the computation"))
}
