//! The cost report as one page for a browser: no scripts, no other files, light and dark.
//!
//! ```text
//! boxes     the dataflow graph by expressions, as SVG
//! layout    where its boxes and edges go
//! rounds    the predicted course of a run, as SVG
//! svg       text for XML
//! ```
//!
//! The page is XML too, so that a test can read it.

mod boxes;
mod layout;
mod rounds;
mod svg;

use std::fmt::Write as _;

use super::Failure;
use super::cost::{Report, bytes, count, nanoseconds, seconds};
use crate::graph::Graph;
use crate::plan::cost::LineCost;
use crate::plan::cost::timeline::Spent;
use svg::escape;

/// Colours and sizes.
const STYLE: &str = include_str!("style.css");

/// The whole page; `graph` is what the plan was made from.
pub(super) fn page(report: &Report<'_>, graph: &Graph) -> Result<String, Failure> {
    let title = format!("{} {}", report.checked.path.display(), report.entry);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{0}: cost</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header><h1>{0}</h1>\n",
        escape(&title)
    );
    let dims: Vec<String> = report.dims.iter().map(|(name, size)| format!("{name} = {size}")).collect();
    if !dims.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escape(&dims.join(", ")));
    }
    out += "</header>\n";
    totals(&mut out, report);
    predictions(&mut out, report);
    lines(&mut out, report);
    out += "<section id=\"rounds\"><h2>Rounds</h2>\n\
        <p class=\"key\"><i class=\"busy\"></i> computes <i class=\"wait\"></i> waits <i class=\"sent\"></i> a message \
        is on its way</p>\n";
    for prediction in &report.predictions {
        let _ = writeln!(out, "<h3>{}</h3>\n{}", escape(&prediction.title()), rounds::svg(report, prediction));
    }
    out += "</section>\n<section id=\"graph\"><h2>Graph</h2>\n\
        <p class=\"key\"><i class=\"shared\"></i> on shares <i class=\"owner\"></i> at an owner, in the clear \
        <i class=\"public\"></i> public <i class=\"end\"></i> comes in, goes out</p>\n<div class=\"scroll\">\n";
    out += &boxes::svg(report, graph);
    out += "</div></section>\n</body>\n</html>\n";
    Ok(out)
}

fn totals(out: &mut String, report: &Report<'_>) {
    let cost = &report.cost;
    let adds = cost.multiply_adds.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
    let drawn: u64 = cost.stream_bytes.iter().sum();
    let each = |values: [u64; 3]| {
        let all: Vec<String> = values.iter().enumerate().map(|(i, n)| format!("P{i} {}", bytes(*n))).collect();
        all.join(", ")
    };
    let peak = cost.peak_bytes.iter().max().copied().unwrap_or(0);
    let facts = [
        ("rounds", cost.rounds as u64, cost.rounds.to_string(), format!("{} messages", cost.messages)),
        ("bytes", cost.bytes_total, bytes(cost.bytes_total), each(cost.bytes_per_party)),
        ("multiply-adds", adds, count(adds, ""), "of all parties".to_string()),
        ("keystream", drawn, bytes(drawn), each(cost.stream_bytes)),
        ("peak memory", peak, bytes(peak), each(cost.peak_bytes)),
        ("owners send", cost.owner_bytes_in, bytes(cost.owner_bytes_in), "shares of the inputs".to_string()),
        ("owners receive", cost.owner_bytes_out, bytes(cost.owner_bytes_out), "shares of the results".to_string()),
    ];
    *out += "<section id=\"totals\"><dl>\n";
    for (name, exact, shown, note) in facts {
        let _ = writeln!(
            out,
            "<div><dt>{name}</dt><dd data-value=\"{exact}\">{}</dd><dd class=\"note\">{}</dd></div>",
            escape(&shown),
            escape(&note)
        );
    }
    *out += "</dl></section>\n";
}

/// A bar, in percent of its cell.
fn bar(class: &str, part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    format!("<i class=\"{class}\" style=\"width:{percent:.2}%\"></i>")
}

fn predictions(out: &mut String, report: &Report<'_>) {
    let longest = report.predictions.iter().map(|p| p.summary.seconds).fold(0.0, f64::max);
    let _ = writeln!(
        out,
        "<section id=\"time\"><h2>Predicted time</h2>\n<p class=\"basis\">{}</p>\n<table>\n<tr><th>network</th>\
         <th class=\"number\">time</th><th class=\"number\">computing</th><th class=\"number\">network</th>\
         <th class=\"wide\"></th></tr>",
        escape(&report.basis())
    );
    for prediction in &report.predictions {
        let summary = &prediction.summary;
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"number\" data-value=\"{}\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"bars\">{}{}</td></tr>",
            escape(&prediction.title()),
            nanoseconds(summary.seconds),
            seconds(summary.seconds),
            seconds(summary.compute),
            seconds(summary.network),
            bar("busy", summary.compute, longest),
            bar("sent", summary.network, longest)
        );
    }
    *out += "</table>\n<p class=\"key\"><i class=\"busy\"></i> computing <i class=\"sent\"></i> on the network</p>\n</section>\n";
}

/// What a column shows of a line, and how.
type Column = (fn(&LineCost) -> u64, fn(u64) -> String);

fn lines(out: &mut String, report: &Report<'_>) {
    let lines = &report.cost.lines;
    *out += "<section id=\"lines\"><h2>Lines</h2>\n<p>Lines that share rounds each count them. Times are what the whole run \
        is longer for the line.</p>\n<div class=\"scroll\"><table>\n<tr><th>line</th><th>source</th><th class=\"number\">rounds</th>\
        <th>bytes</th><th>multiply-adds</th><th>most memory</th>";
    for prediction in &report.predictions {
        let _ = write!(out, "<th>{}</th>", escape(&prediction.name));
    }
    *out += "</tr>\n";
    let most = |of: fn(&LineCost) -> u64| lines.iter().map(of).max().unwrap_or(0) as f64;
    let columns: [Column; 3] =
        [(|l| l.bytes, bytes), (|l| l.multiply_adds, |n| count(n, "")), (|l| l.peak_bytes, bytes)];
    let spent = |line: &LineCost, at: usize| -> Spent {
        report.predictions[at].summary.lines.get(&line.span).copied().unwrap_or_default()
    };
    let longest: Vec<f64> = (0..report.predictions.len())
        .map(|at| lines.iter().map(|line| spent(line, at).seconds()).fold(0.0, f64::max))
        .collect();
    for (row, line) in lines.iter().enumerate() {
        let text = line.span.map(|span| report.checked.one_line(span, 60)).unwrap_or_default();
        let _ = write!(
            out,
            "<tr id=\"line{row}\"><td class=\"place\">{}</td><td><code>{}</code></td><td class=\"number\" data-value=\"{2}\">{2}</td>",
            escape(&line.place),
            escape(&text),
            line.rounds
        );
        for (of, shown) in columns {
            let value = of(line);
            let shown = if value == 0 { String::new() } else { shown(value) };
            let _ = write!(
                out,
                "<td class=\"chart\" data-value=\"{value}\"><span>{}</span>{}</td>",
                escape(&shown),
                bar("plain", value as f64, most(of))
            );
        }
        for (at, longest) in longest.iter().enumerate() {
            let spent = spent(line, at);
            let all = spent.seconds();
            let shown = if all > 0.0 { seconds(all) } else { String::new() };
            let _ = write!(
                out,
                "<td class=\"chart\" data-value=\"{}\"><span>{shown}</span>{}{}</td>",
                nanoseconds(spent.compute) + nanoseconds(spent.network),
                bar("busy", spent.compute, *longest),
                bar("sent", spent.network, *longest)
            );
        }
        *out += "</tr>\n";
    }
    *out += "</table></div></section>\n";
}
