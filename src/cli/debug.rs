//! `smlc debug`: a run beside the plaintext, by line.

use std::fmt::Write as _;

use clap::Args;
use itertools::Itertools as _;

use super::compile::{Checked, Options};
use super::cost::Format;
use super::output::{number, plural};
use super::prepare::{Given, Prepared, told};
use super::{Failure, Outcome, Talk, output};
use crate::diag::{Code, Diagnostic};
use crate::fixed::pow2;
use crate::run::compare::{Cause, Comparison, Kind, Line, Outside, Parting, TOLERANCE, UNITS, Watch};
use crate::run::local;
use crate::span::Span;

/// Run the three parties beside the plaintext, and say where they part
#[derive(Debug, Args)]
pub(super) struct Debug {
    #[command(flatten)]
    given: Given,
    /// Errors up to this part of a tensor's largest magnitude are roundings
    #[arg(long, value_name = "PART", default_value_t = TOLERANCE, value_parser = parse_tolerance, allow_negative_numbers = true)]
    tolerance: f64,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    #[command(flatten)]
    options: Options,
}

fn parse_tolerance(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part: &f64| part.is_finite() && *part >= 0.0);
    part.ok_or_else(|| "write a number from 0 on, such as 0.01".to_string())
}

impl Debug {
    pub fn run(&self, talk: Talk) -> Outcome {
        let prepared = self.given.prepare(&self.options, talk)?;
        let checked = &prepared.checked;
        let plans = prepared.by_rows(|sizes| {
            let watch = Watch::new(&checked.unrolled(&prepared.entry, sizes, &self.options)?);
            let plan = checked.planned(watch.graph(), &self.options)?;
            Ok((watch, plan))
        })?;
        talk.note("every intermediate value is opened on this machine");
        let mut comparison = Comparison::new(self.tolerance);
        for (number, batch) in prepared.batches.iter().enumerate() {
            let (watch, plan) = &plans[&batch.len()];
            let data = prepared.inputs.rows_of(batch)?;
            let bar = Prepared::bar(plan)?;
            bar.set_prefix(format!("run {} of {}", number + 1, prepared.batches.len()));
            let outcome = local::memory(plan, &data, None, &|round| bar.set_position(round as u64)).map_err(told)?;
            bar.finish_and_clear();
            comparison.add(watch, &data, &outcome.outputs)?;
        }
        match self.format {
            Format::Table => output::print(self.table(&prepared, &comparison))?,
            Format::Json => output::line(serde_json::to_string_pretty(&self.json(&prepared, &comparison))?)?,
        }
        let diags = diagnostics(checked, &comparison);
        if comparison.first().is_some() {
            return Err(Failure::Program(diags, checked.sources.clone()));
        }
        talk.diagnostics(&diags, &checked.sources);
        Ok(())
    }

    /// The report for people.
    fn table(&self, prepared: &Prepared, comparison: &Comparison) -> String {
        let checked = &prepared.checked;
        let places: Vec<String> = comparison.lines.iter().map(|line| place(checked, line.span)).collect();
        let first = comparison.first().map(|parting| parting.span);
        let flags: Vec<String> = comparison.lines.iter().map(|line| flag(line, first)).collect();
        let longest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
        let (width, flagged) = (longest(&places).max("line".len()), longest(&flags));
        let mut out = String::new();
        let (largest, headroom, max, mean) = ("largest", "headroom", "max error", "mean error");
        let _ = writeln!(out, "{:width$}  {largest:>9}  {headroom:>8}  {max:>10}  {mean:>10}", "line");
        for ((line, place), flag) in comparison.lines.iter().zip(&places).zip(&flags) {
            let largest = line.largest.map(number).unwrap_or_default();
            let headroom = line.headroom.map(|bits| format!("{bits:.1} b")).unwrap_or_default();
            let errors = match line.kind {
                Kind::Fix => format!("{:>10}  {:>10}", number(line.max_error), number(line.mean_error())),
                Kind::Whole => format!("{:>22}", format!("{} of {} differ", line.differ, line.whole)),
            };
            let flag = if flagged == 0 { String::new() } else { format!("  {flag:flagged$}") };
            let text = line.span.map(|span| checked.one_line(span, 40)).unwrap_or_default();
            let row = format!("{place:width$}  {largest:>9}  {headroom:>8}  {errors}{flag}  {text}");
            let _ = writeln!(out, "{}", row.trim_end());
        }
        let compared = comparison.lines.iter().map(|line| line.numbers + line.whole).sum();
        let runs = plural(prepared.batches.len(), "run");
        let _ = writeln!(
            out,
            "\n{} in {runs}, {} compared; errors up to {} or {} % of the largest are roundings",
            plural(prepared.rows(), "row"),
            plural(compared, "value"),
            number(UNITS * pow2(-(checked.program.format.frac as i32))),
            100.0 * self.tolerance
        );
        let _ = match first {
            Some(span) => writeln!(out, "the run parts from the plaintext first at {}", place(checked, span)),
            None => writeln!(out, "the run does not part from the plaintext"),
        };
        out
    }

    /// The report for programs.
    fn json(&self, prepared: &Prepared, comparison: &Comparison) -> serde_json::Value {
        let checked = &prepared.checked;
        let line = |line: &Line| {
            serde_json::json!({
                "place": place(checked, line.span),
                "largest": line.largest,
                "headroom": line.headroom,
                "numbers": line.numbers,
                "max_error": line.max_error,
                "mean_error": line.mean_error(),
                "whole": line.whole,
                "differ": line.differ,
                "overflows": line.overflows(),
                "parts": line.parts,
            })
        };
        let first = comparison.first().map(|parting| {
            serde_json::json!({
                "place": place(checked, parting.span),
                "run": parting.run,
                "plaintext": parting.plain,
                "allowed": parting.allowed,
            })
        });
        serde_json::json!({
            "entry": prepared.entry,
            "rows": prepared.rows(),
            "runs": prepared.batches.len(),
            "tolerance": self.tolerance,
            "first": first,
            "lines": comparison.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}

fn place(checked: &Checked, span: Option<Span>) -> String {
    span.map_or_else(|| "(no line)".to_string(), |span| checked.sources.place(span))
}

fn flag(line: &Line, first: Option<Option<Span>>) -> String {
    let overflow = line.overflows().then_some("overflow");
    let parts = line.parts.then_some(if first == Some(line.span) { "parts first" } else { "parts" });
    [overflow, parts].into_iter().flatten().join(", ")
}

/// The first place where run and plaintext part, or else those where values leave the number format.
fn diagnostics(checked: &Checked, comparison: &Comparison) -> Vec<Diagnostic> {
    match comparison.first() {
        Some(parting) => vec![parts(checked, parting)],
        None => comparison.lines.iter().filter(|line| line.leaves).map(|line| leaves(checked, line)).collect(),
    }
}

fn at(code: Code, span: Option<Span>, message: String) -> Diagnostic {
    span.map_or_else(|| Diagnostic::global(code, message.clone()), |span| Diagnostic::error(code, span, &*message))
}

fn parts(checked: &Checked, parting: &Parting) -> Diagnostic {
    let Parting { span, run, plain, allowed, cause, outside } = parting;
    let message = format!("the run parts from the plaintext: {} where {} belongs", number(*run), number(*plain));
    let mut diag = at(Code::Parts, *span, message);
    match cause {
        Some(Cause { span: there, largest }) => {
            let left = format!("{} leaves the number format", magnitude(*largest));
            diag = match there {
                Some(_) if there == span => diag.here(left),
                Some(there) => diag.label(*there, left),
                None => diag.note(left),
            };
            diag.note(limit(checked)).help("raise `int`, or scale what goes in")
        }
        None if outside.is_some() => outside.iter().fold(diag, |diag, Outside { number: x, interval: [low, high] }| {
            diag.here(format!("{} is outside of its domain", number(*x)))
                .note(format!("the function is computed from {} up to {}", number(*low), number(*high)))
                .help("scale or bound what goes in, or take a function with a larger domain")
        }),
        None if *allowed > 0.0 => diag
            .note(format!("an error up to {} would be a rounding", number(*allowed)))
            .help("raise `frac`, or compute it with larger numbers; `--tolerance` says which errors are expected here"),
        None => diag.note("nothing has left the number format: numbers that are almost equal were compared"),
    }
}

fn leaves(checked: &Checked, line: &Line) -> Diagnostic {
    let diag = at(
        Code::MayLeave,
        line.span,
        format!("{} leaves the number format", magnitude(line.largest.unwrap_or_default())),
    )
    .warning();
    diag.note(limit(checked))
        .note("sums and products are right for a while yet; a comparison would read it wrongly")
        .help("raise `int`, or scale what goes in")
}

fn magnitude(largest: f64) -> String {
    format!("a magnitude of {}", number(largest))
}

fn limit(checked: &Checked) -> String {
    let format = checked.program.format;
    format!("`int = {}` holds magnitudes below {}", format.int, format.limit())
}
