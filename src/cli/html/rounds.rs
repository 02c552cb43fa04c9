//! The predicted course of a run: what each party does, and when each link carries a message.

use std::fmt::Write as _;

use itertools::Itertools as _;

use super::svg::{escape, rounded};
use crate::cli::cost::{Prediction, Report, bytes, seconds};
use crate::plan::Party;
use crate::plan::cost::timeline::{Slice, served};

/// Pixels: the whole width, the labels' part of it, a lane and the space below.
const WIDTH: f64 = 1100.0;
const LABELS: f64 = 70.0;
const LANE: f64 = 20.0;
const BELOW: f64 = 6.0;
/// Pieces narrower than this are drawn this wide.
const LEAST: f64 = 0.4;

/// The course over one network.
pub(super) fn svg(report: &Report<'_>, prediction: &Prediction) -> String {
    let timeline = &prediction.timeline;
    let all = timeline.seconds();
    let links: Vec<(Party, Party)> = Party::ALL
        .into_iter()
        .flat_map(|from| [(from, from.plus(1)), (from, from.plus(2))])
        .filter(|(from, to)| timeline.messages.iter().any(|m| m.from == *from && m.to == *to))
        .collect();
    let height = (3 + links.len()) as f64 * (LANE + BELOW) + 30.0;
    let x = |at: f64| LABELS + if all > 0.0 { at / all * (WIDTH - LABELS - 10.0) } else { 0.0 };
    let title = escape(&prediction.title());
    let mut out = format!(
        "<svg class=\"rounds\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"course over {title}\">\n"
    );
    for tick in ticks(all) {
        let at = rounded(x(tick));
        let bottom = height - 24.0;
        let _ = writeln!(
            out,
            "<line class=\"tick\" x1=\"{at}\" x2=\"{at}\" y1=\"0\" y2=\"{bottom}\"/><text class=\"axis\" x=\"{at}\" y=\"{}\">{}</text>",
            bottom + 16.0,
            label(tick, all)
        );
    }
    let mut top = 0.0;
    let mut lane = |out: &mut String, name: String| {
        let _ = writeln!(out, "<text class=\"lane\" x=\"0\" y=\"{}\">{name}</text>", top + 14.0);
        top += LANE + BELOW;
        top - LANE - BELOW
    };
    let rect = |class: &str, y: f64, from: f64, to: f64, title: &str| {
        let [left, right] = [x(from), x(to)];
        format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{LANE}\"><title>{}</title></rect>\n",
            (left * 100.0).round() / 100.0,
            ((right - left).max(LEAST) * 100.0).round() / 100.0,
            escape(title)
        )
    };
    for party in Party::ALL {
        let y = lane(&mut out, party.to_string());
        for run in runs(&timeline.slices[party.index()]) {
            let (first, last) = (&run[0], &run[run.len() - 1]);
            let took = last.end - first.start;
            if took <= 0.0 {
                continue;
            }
            let what = if first.is_wait() { "waits" } else { "computes" };
            let lines = lines(report, party, run);
            let text = format!("{party}, round {}: {what} {}\n{lines}", first.round + 1, seconds(took));
            out += &rect(if first.is_wait() { "wait" } else { "busy" }, y, first.start, last.end, &text);
        }
    }
    for (from, to) in links {
        let y = lane(&mut out, format!("{from} \u{2192} {to}"));
        for message in timeline.messages.iter().filter(|m| m.from == from && m.to == to) {
            let took = message.arrived - message.sent;
            let size = bytes(message.bytes as u64);
            let text = format!("{from} to {to}, round {}: {size} in {}", message.round + 1, seconds(took));
            out += &rect("sent", y, message.sent, message.arrived, &text);
        }
    }
    out + "</svg>\n"
}

/// Runs of slices of one round in which the party only waits, or only does something.
fn runs(slices: &[Slice]) -> impl Iterator<Item = &[Slice]> {
    slices.chunk_by(|a, b| a.round == b.round && a.is_wait() == b.is_wait())
}

/// The expressions that slices serve, those with the most time first.
fn lines(report: &Report<'_>, party: Party, slices: &[Slice]) -> String {
    let mut times: Vec<(crate::span::Span, f64)> = Vec::new();
    for slice in slices {
        for (span, part) in served(&report.plan, party, slice) {
            let Some(span) = span else { continue };
            match times.iter_mut().find(|(other, _)| *other == span) {
                Some((_, time)) => *time += part * slice.seconds(),
                None => times.push((span, part * slice.seconds())),
            }
        }
    }
    times.sort_by(|a, b| b.1.total_cmp(&a.1));
    let more = if times.len() > 4 { format!("\nand {} more", times.len() - 4) } else { String::new() };
    let mut named = times
        .iter()
        .take(4)
        .map(|(span, _)| format!("{} {}", report.checked.sources.place(*span), report.checked.one_line(*span, 50)));
    named.join("\n") + &more
}

/// Round numbers from 0 on, about eight.
fn ticks(all: f64) -> Vec<f64> {
    let step = step(all);
    if step <= 0.0 || !step.is_finite() {
        return vec![0.0];
    }
    (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= all).take(50).collect()
}

fn step(all: f64) -> f64 {
    let rough = all / 8.0;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(0.0)
}

/// A tick in seconds, milliseconds or microseconds, as all of them.
fn label(tick: f64, all: f64) -> String {
    let (factor, unit) = match all {
        all if all >= 1.0 => (1.0, "s"),
        all if all >= 1e-3 => (1e3, "ms"),
        _ => (1e6, "\u{b5}s"),
    };
    let text = format!("{:.3}", tick * factor);
    format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(ticks(8.5).len(), 5);
        assert_eq!(step(8.0), 1.0);
        assert_eq!(ticks(0.0), [0.0]);
        assert_eq!((label(0.25, 2.0), label(0.25, 0.9)), ("0.25 s".to_string(), "250 ms".to_string()));
        assert_eq!(label(0.0, 2.0), "0 s");
    }
}
