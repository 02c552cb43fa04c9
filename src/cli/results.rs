//! What came of a run's batches: results joined, compared with labels, and shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{anyhow, bail};
use itertools::Itertools as _;

use super::compile::Checked;
use super::cost::{bytes, seconds as digits};
use super::output::plural;
use crate::data::Tensor;
use crate::diag::list;
use crate::hir::Elem;
use crate::plan::Plan;
use crate::plan::cost::Cost;
use crate::run::client;

/// The most rows, and the most numbers of a row, that are shown.
const SHOWN: usize = 10;

/// All runs of one command, added up.
#[derive(Default)]
pub(super) struct Total {
    pub compile: Duration,
    share: Duration,
    run: Duration,
    /// Of each run.
    times: Vec<Duration>,
    rounds: usize,
    bytes_per_party: [u64; 3],
    runs: usize,
    /// Result -> what it is.
    pub outputs: BTreeMap<String, Output>,
}

/// A result, batches joined.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    kind: Elem,
    pub shape: Vec<usize>,
    /// Row-major; empty before the run.
    pub values: Vec<f64>,
}

/// Right answers of one result.
pub(super) struct Score {
    predictions: Vec<i64>,
    labels: Vec<i64>,
    right: usize,
}

/// What the runs of some plans will give, but for the values. `kinds` says what elements are; those that it does not
/// name are `fix`.
pub(super) fn expected<'p>(
    plans: impl IntoIterator<Item = &'p Plan>,
    batched: bool,
    kinds: &BTreeMap<String, Elem>,
) -> BTreeMap<String, Output> {
    let mut outputs: BTreeMap<String, Output> = BTreeMap::new();
    for output in plans.into_iter().flat_map(|plan| &plan.outputs) {
        match outputs.get_mut(&output.name) {
            Some(Output { shape, .. }) if batched && !shape.is_empty() => shape[0] += output.shape[0],
            _ => {
                let kind = kinds.get(&output.name).copied().unwrap_or(Elem::Fix);
                let output_of_all = Output { kind, shape: output.shape.clone(), values: Vec::new() };
                outputs.insert(output.name.clone(), output_of_all);
            }
        }
    }
    outputs
}

impl Output {
    /// The labels in a file, one for each prediction.
    pub fn labels(&self, name: &str, tensor: &Tensor) -> anyhow::Result<Vec<i64>> {
        let (rest, classes) = match self.shape.as_slice() {
            [_, classes] => (&[][..], Some(*classes)),
            shape => (shape.get(1..).unwrap_or_default(), None),
        };
        let inner = |shape: &[usize]| -> Vec<usize> { shape.iter().copied().filter(|n| *n != 1).collect() };
        let wanted = self.shape.first().copied().unwrap_or(1);
        if inner(tensor.shape().get(1..).unwrap_or_default()) != inner(rest) {
            let mut shape = vec![wanted];
            shape.extend(rest);
            bail!("the labels of `{name}` are {:?}, where {shape:?} belong: one for each prediction", tensor.shape());
        }
        let wanted = wanted * rest.iter().product::<usize>();
        if tensor.len() < wanted {
            bail!("{} labels for {wanted} predictions of `{name}`", tensor.len());
        }
        let label = |(index, value): (usize, f64)| match classes {
            _ if value.fract() != 0.0 => Err(anyhow!("label {index} of `{name}` is {value}, which is no whole number")),
            Some(classes) if !(0.0..classes as f64).contains(&value) => {
                Err(anyhow!("label {index} of `{name}` is {value}, but there are {classes} classes, from 0 on"))
            }
            _ => Ok(value as i64),
        };
        tensor.iter().take(wanted).enumerate().map(label).collect()
    }

    /// The place of the largest along the last axis of rows, or else the values themselves.
    fn predictions(&self) -> Vec<i64> {
        match self.shape.as_slice() {
            [_, classes] => self.values.chunks(*classes).map(largest).collect(),
            _ => self.values.iter().map(|v| v.round() as i64).collect(),
        }
    }

    fn shown(&self, value: f64) -> String {
        match self.kind {
            Elem::Fix => format!("{value:.4}"),
            Elem::Int => format!("{value:.0}"),
            Elem::Bool => (value != 0.0).to_string(),
        }
    }

    fn json(&self) -> serde_json::Value {
        let value = |v: &f64| -> serde_json::Value {
            match self.kind {
                Elem::Fix => (*v).into(),
                Elem::Int => (*v as i64).into(),
                Elem::Bool => (*v != 0.0).into(),
            }
        };
        let values: Vec<serde_json::Value> = self.values.iter().map(value).collect();
        serde_json::json!({ "shape": self.shape, "values": values })
    }

    /// The numbers for people: a table's rows below each other, all else in a row; long ones are cut.
    fn table(&self) -> String {
        let cut = |values: &[f64]| -> Vec<String> { values.iter().take(SHOWN).map(|v| self.shown(*v)).collect() };
        let dots = |len: usize| if len > SHOWN { " ..." } else { "" };
        let (rows, columns) = match self.shape.as_slice() {
            [rows, columns] if *columns > 0 => (*rows, *columns),
            _ => return format!("{:?} {}{}", self.shape, cut(&self.values).join(" "), dots(self.values.len())),
        };
        let table: Vec<Vec<String>> = self.values.chunks(columns).take(SHOWN).map(cut).collect();
        let width = table.iter().flatten().map(String::len).max().unwrap_or(0);
        let mut out = format!("{:?}", self.shape);
        for row in table {
            let cells: Vec<String> = row.iter().map(|cell| format!("{cell:>width$}")).collect();
            let _ = write!(out, "\n{:12} {}{}", "", cells.join(" "), dots(columns));
        }
        if rows > SHOWN {
            let _ = write!(out, "\n{:12} ...", "");
        }
        out
    }
}

impl Total {
    /// Adds a run, after comparing what the parties counted with the plan. The `first` run on some rows gives the results.
    pub fn add(&mut self, (plan, cost): (&Plan, &Cost), outcome: &client::Outcome, first: bool) -> anyhow::Result<()> {
        counted(plan, cost, outcome)?;
        let sent = outcome.reports.each_ref().map(|r| r.sent.iter().sum::<u64>());
        let rounds = outcome.reports[0].rounds;
        self.runs += 1;
        self.rounds += rounds;
        self.share += outcome.share;
        self.run += outcome.run;
        self.times.push(outcome.run);
        for (all, sent) in self.bytes_per_party.iter_mut().zip(sent) {
            *all += sent;
        }
        for (name, output) in self.outputs.iter_mut().filter(|_| first) {
            output.values.extend_from_slice(&outcome.outputs[name]);
        }
        Ok(())
    }

    /// The least, the median and the largest time of a run, if there are several.
    fn spread(&self) -> Option<(Duration, Duration, Duration)> {
        let mut times = self.times.clone();
        times.sort_unstable();
        match times[..] {
            [least, .., most] => Some((least, times[times.len() / 2], most)),
            _ => None,
        }
    }

    /// The result of that name.
    pub fn output(&self, name: &str) -> anyhow::Result<&Output> {
        let known = || list(self.outputs.keys().map(String::as_str));
        self.outputs.get(name).ok_or_else(|| anyhow!("there is no result `{name}`: the results are {}", known()))
    }

    /// Compares results with labels.
    pub fn scores(&self, labels: BTreeMap<String, Vec<i64>>) -> anyhow::Result<BTreeMap<String, Score>> {
        let score = |(name, labels): (String, Vec<i64>)| {
            let predictions = self.output(&name)?.predictions();
            let right = predictions.iter().zip(&labels).filter(|(p, l)| p == l).count();
            Ok((name, Score { predictions, labels, right }))
        };
        labels.into_iter().map(score).collect()
    }

    /// The summary for people.
    pub fn table(&self, checked: &Checked, entry: &str, rows: usize, scores: &BTreeMap<String, Score>) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} {entry}: {} in {}",
            checked.path.display(),
            plural(rows, "row"),
            plural(self.runs, "run")
        );
        for (name, score) in scores {
            let list = |values: &[i64]| values.iter().take(20).map(|v| format!("{v:>2}")).join(" ");
            let more = if score.predictions.len() > 20 { " ..." } else { "" };
            let _ = writeln!(out, "\n{name:12} {}{more}", list(&score.predictions));
            let _ = writeln!(out, "{:12} {}{more}", "labels", list(&score.labels));
            let n = score.predictions.len();
            let percent = 100.0 * score.right as f64 / n.max(1) as f64;
            let _ = writeln!(out, "{:12} {} of {n} right ({percent:.1} %)", "accuracy", score.right);
        }
        for (name, output) in self.outputs.iter().filter(|(name, _)| !scores.contains_key(*name)) {
            let _ = writeln!(out, "\n{name:12} {}", output.table());
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
        if let Some((least, median, most)) = self.spread() {
            let [least, median, most] = [least, median, most].map(|time| digits(time.as_secs_f64()));
            let _ = writeln!(out, "each run     {median} (median), {least} to {most}");
        }
        let _ = writeln!(out, "rounds       {}", self.rounds);
        let _ = writeln!(out, "sent         {} (P0 {p0}, P1 {p1}, P2 {p2})", bytes(all));
        out
    }

    /// The summary for programs.
    pub fn json(&self, entry: &str, rows: usize, scores: &BTreeMap<String, Score>) -> serde_json::Value {
        let outputs: serde_json::Map<String, serde_json::Value> =
            self.outputs.iter().map(|(name, output)| (name.clone(), output.json())).collect();
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
                "runs": self.times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            },
            "outputs": outputs,
            "scores": scores,
        })
    }
}

/// Compares what the parties counted with what the plan says.
pub(super) fn counted(plan: &Plan, planned: &Cost, outcome: &client::Outcome) -> anyhow::Result<()> {
    let sent = outcome.reports.each_ref().map(|r| r.sent);
    let rounds = outcome.reports.each_ref().map(|r| r.rounds);
    if sent != planned.bytes_per_link || rounds != [planned.rounds; 3] {
        bail!(
            "mistake in smlc: the plan says {:?} bytes by link in {} rounds, the wire counted {sent:?} in {rounds:?}",
            planned.bytes_per_link,
            planned.rounds
        );
    }
    let live = outcome.reports.each_ref().map(|r| r.live_bytes);
    if live != planned.live_bytes {
        bail!(
            "mistake in smlc: the plan says {:?} bytes of live buffers, the parties counted {live:?}",
            planned.live_bytes
        );
    }
    let opened = outcome.reports.iter().map(|r| r.openings).sum::<usize>();
    let planned = plan.openings();
    if opened != planned {
        bail!("mistake in smlc: the plan opens {planned} times, the parties counted {opened}");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn output(kind: Elem, shape: &[usize], values: &[f64]) -> Output {
        Output { kind, shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn values_are_shown_by_their_type() {
        assert_eq!(output(Elem::Fix, &[2], &[0.5, -1.0]).table(), "[2] 0.5000 -1.0000");
        assert_eq!(output(Elem::Int, &[], &[-3.0]).table(), "[] -3");
        assert_eq!(output(Elem::Bool, &[2], &[0.0, 1.0]).table(), "[2] false true");
        assert_eq!(output(Elem::Int, &[], &[-3.0]).json().to_string(), r#"{"shape":[],"values":[-3]}"#);
        assert_eq!(output(Elem::Bool, &[2], &[0.0, 1.0]).json()["values"].to_string(), "[false,true]");
        assert_eq!(output(Elem::Fix, &[1], &[2.0]).json()["values"].to_string(), "[2.0]");
    }

    #[test]
    fn tables_have_their_rows_and_are_cut() {
        let small = output(Elem::Int, &[2, 2], &[1.0, 20.0, 3.0, 4.0]).table();
        assert_eq!(small, "[2, 2]\n              1 20\n              3  4");
        let large = output(Elem::Int, &[12, 11], &[7.0; 132]).table();
        let lines: Vec<&str> = large.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 1 + SHOWN + 1);
        assert_eq!((lines[1], lines[11]), ("7 7 7 7 7 7 7 7 7 7 ...", "..."));
    }

    #[test]
    fn labels_fit_their_result() {
        let check = |shape: &[usize], labels: &[usize], values: &[f64]| {
            let tensor = Tensor::from_f64(labels.to_vec(), values.to_vec());
            output(Elem::Fix, shape, &[]).labels("out", &tensor).map_err(|e| e.to_string())
        };
        assert_eq!(check(&[2, 3], &[3], &[2.0, 0.0, 9.0]), Ok(vec![2, 0]), "more labels than rows that were taken");
        assert_eq!(check(&[2, 3], &[2, 1], &[2.0, 0.0]), Ok(vec![2, 0]));
        assert_eq!(check(&[2], &[2], &[-7.0, 700.0]), Ok(vec![-7, 700]));
        assert_eq!(check(&[], &[1], &[1.0]), Ok(vec![1]));
        assert!(check(&[2, 3], &[2, 3], &[0.0; 6]).is_err());
        assert!(check(&[2, 3], &[1], &[0.0]).is_err());
        for wrong in [-1.0, 3.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(check(&[1, 3], &[1], &[wrong]).is_err(), "{wrong}");
        }
    }
}
