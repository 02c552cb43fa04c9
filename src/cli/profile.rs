//! `smlc run --profile` and `--trace`: where the time went, beside where it was predicted to go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::compile::Checked;
use super::cost::{nanoseconds, seconds};
use super::machine::Known;
use crate::net::Shape;
use crate::plan::cost::time::{Network, Place, predict};
use crate::plan::cost::timeline::{Spent, Summary, Timeline, What, served};
use crate::plan::{Party, Plan};
use crate::span::Span;

/// Rounds that the table shows.
const SHOWN: usize = 10;

/// Two times of the same thing.
#[derive(Clone, Copy, Default)]
struct Pair {
    measured: Spent,
    predicted: Spent,
}

/// The profile of all runs of a command.
pub(super) struct Profile {
    known: Known,
    network: Network,
    /// In order of the text; what serves no expression stands first.
    lines: BTreeMap<Option<Span>, Pair>,
    rounds: Vec<Pair>,
    measured: Summary,
    predicted: Summary,
    /// Events of the trace, and where the next run begins, in microseconds.
    events: Vec<Value>,
    origin: f64,
}

impl Profile {
    /// Predictions are for three parties on this machine.
    pub fn new(known: Known, net: Option<Shape>) -> Profile {
        Profile {
            known,
            network: net.map_or(Network::NONE, Network::from),
            lines: BTreeMap::new(),
            rounds: Vec::new(),
            measured: Summary::default(),
            predicted: Summary::default(),
            events: Vec::new(),
            origin: 0.0,
        }
    }

    /// Adds a run.
    pub fn add(&mut self, checked: &Checked, plan: &Plan, timeline: &Timeline) {
        let measured = timeline.summary(plan);
        let predicted = predict(plan, &self.known.machine, self.network, Place::Together).summary(plan);
        self.rounds.resize(self.rounds.len().max(plan.rounds.len()), Pair::default());
        for (summary, of) in [(&measured, 0), (&predicted, 1)] {
            let of = |pair: &mut Pair, spent: Spent| {
                let to = if of == 0 { &mut pair.measured } else { &mut pair.predicted };
                to.compute += spent.compute;
                to.network += spent.network;
            };
            summary.lines.iter().for_each(|(span, spent)| of(self.lines.entry(*span).or_default(), *spent));
            summary.rounds.iter().zip(&mut self.rounds).for_each(|(spent, pair)| of(pair, *spent));
        }
        self.trace(checked, plan, timeline);
        self.origin += 1e6 * measured.seconds;
        sum(&mut self.measured, &measured);
        sum(&mut self.predicted, &predicted);
    }

    /// For people.
    pub fn table(&self, checked: &Checked) -> String {
        let place = |span: &Option<Span>| span.map_or("(no line)".to_string(), |span| checked.sources.place(span));
        let width = self.lines.keys().map(|span| place(span).len()).max().unwrap_or(0).max(5);
        let mut out = String::new();
        let heads = ["time", "computing", "network", "predicted"].map(|head| format!("{head:>10}")).join("");
        let row = |name: &str, measured: Spent, predicted: f64, text: &str| {
            let times = [measured.seconds(), measured.compute, measured.network, predicted];
            let times: String = times.map(|time| format!("{:>10}", seconds(time))).concat();
            format!("{name:width$}{times}  {text}").trim_end().to_string()
        };
        let _ = writeln!(out, "\n{:width$}{heads}", "line");
        for (span, pair) in &self.lines {
            let text = span.map(|span| checked.one_line(span, 40)).unwrap_or_default();
            let _ = writeln!(out, "{}", row(&place(span), pair.measured, pair.predicted.seconds(), &text));
        }
        let all = Spent { compute: self.measured.compute, network: self.measured.network };
        let _ = writeln!(out, "{}", row("all", all, self.predicted.seconds, ""));
        let _ = writeln!(out, "\n{:width$}{heads}", "round");
        let mut longest: Vec<usize> = (0..self.rounds.len()).collect();
        longest.sort_by(|a, b| {
            let time = |round: usize| self.rounds[round].measured.seconds();
            time(*b).total_cmp(&time(*a)).then(a.cmp(b))
        });
        longest.truncate(SHOWN);
        longest.sort_unstable();
        for round in &longest {
            let pair = self.rounds[*round];
            let _ = writeln!(out, "{}", row(&(round + 1).to_string(), pair.measured, pair.predicted.seconds(), ""));
        }
        if self.rounds.len() > SHOWN {
            let _ = writeln!(out, "the {SHOWN} longest of {} rounds", self.rounds.len());
        }
        let heads = ["computing", "predicted", "waiting", "predicted"].map(|head| format!("{head:>10}")).join("");
        let _ = writeln!(out, "\n{:width$}{heads}", "party");
        for party in Party::ALL {
            let [(busy, waits), (busy_too, waits_too)] =
                [&self.measured, &self.predicted].map(|summary| summary.parties[party.index()]);
            let times = [busy, busy_too, waits, waits_too].map(|time| format!("{:>10}", seconds(time))).concat();
            let _ = writeln!(out, "{:width$}{times}", party.to_string());
        }
        let _ = writeln!(out, "\nthree parties on one machine; predicted for {}", self.known.title());
        out
    }

    /// For programs.
    pub fn json(&self, checked: &Checked) -> Value {
        let pair = |pair: &Pair| {
            let spent =
                |spent: Spent| json!({ "compute": nanoseconds(spent.compute), "network": nanoseconds(spent.network) });
            json!({ "measured": spent(pair.measured), "predicted": spent(pair.predicted) })
        };
        let line = |(span, times): (&Option<Span>, &Pair)| {
            let mut line = pair(times);
            line["place"] = span.map(|span| checked.sources.place(span)).into();
            line
        };
        let whole = |summary: &Summary| {
            json!({
                "seconds": nanoseconds(summary.seconds),
                "compute": nanoseconds(summary.compute),
                "network": nanoseconds(summary.network),
                "busy_per_party": summary.parties.map(|(busy, _)| nanoseconds(busy)),
                "waiting_per_party": summary.parties.map(|(_, waiting)| nanoseconds(waiting)),
            })
        };
        json!({
            "machine": { "name": self.known.machine.name, "calibrated": self.known.file.is_some() },
            "measured": whole(&self.measured),
            "predicted": whole(&self.predicted),
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
            "rounds": self.rounds.iter().map(pair).collect::<Vec<_>>(),
        })
    }

    /// The trace of all runs, in the format of Chrome and Perfetto.
    pub fn trace_file(&self) -> String {
        let name = |pid: usize, tid: usize, what: &str, name: &str| json!({ "ph": "M", "name": what, "pid": pid, "tid": tid, "args": { "name": name } });
        let mut events = vec![name(PARTIES, 0, "process_name", "parties"), name(NETWORK, 0, "process_name", "network")];
        for party in Party::ALL {
            events.push(name(PARTIES, party.index(), "thread_name", &party.to_string()));
            for to in [party.plus(1), party.plus(2)] {
                events.push(name(NETWORK, link(party, to), "thread_name", &format!("{party} -> {to}")));
            }
        }
        events.extend(self.events.iter().cloned());
        json!({ "displayTimeUnit": "ms", "traceEvents": events }).to_string()
    }

    fn trace(&mut self, checked: &Checked, plan: &Plan, timeline: &Timeline) {
        let at = |seconds: f64| self.origin + 1e6 * seconds;
        let line = |lines: &[(Option<Span>, f64)]| match lines {
            [(Some(span), _)] => checked.sources.place(*span),
            [(None, _)] | [] => String::new(),
            [(_, _), ..] => format!("{} lines", lines.len()),
        };
        let mut events = Vec::new();
        for party in Party::ALL {
            for slice in &timeline.slices[party.index()] {
                let (category, what) = match slice.what {
                    What::Inputs => ("inputs", "inputs".to_string()),
                    What::Step(step) => ("compute", plan.rounds[slice.round].steps[step].kernel.name().to_string()),
                    What::Pack => ("pack", "pack".to_string()),
                    What::Wait(from, _) => ("wait", format!("wait for {from}")),
                    What::Unpack(from) => ("unpack", format!("unpack from {from}")),
                };
                let place = line(&served(plan, party, slice));
                let name = if place.is_empty() || slice.is_wait() { what.clone() } else { format!("{place} {what}") };
                events.push(json!({
                    "ph": "X", "cat": category, "name": name, "pid": PARTIES, "tid": party.index(),
                    "ts": at(slice.start), "dur": 1e6 * slice.seconds(),
                    "args": { "round": slice.round + 1, "line": place, "kernel": what },
                }));
            }
        }
        for message in &timeline.messages {
            let id = self.events.len() + events.len();
            events.push(json!({
                "ph": "X", "cat": "network", "name": format!("{} bytes", message.bytes), "pid": NETWORK,
                "tid": link(message.from, message.to), "ts": at(message.sent),
                "dur": 1e6 * (message.arrived - message.sent),
                "args": { "round": message.round + 1, "bytes": message.bytes },
            }));
            let flow = |phase: &str, party: Party, seconds: f64| {
                json!({
                    "ph": phase, "cat": "network", "name": "message", "id": id, "pid": PARTIES, "tid": party.index(),
                    "ts": at(seconds), "bp": "e",
                })
            };
            events.push(flow("s", message.from, message.sent));
            events.push(flow("f", message.to, message.arrived));
        }
        self.events.append(&mut events);
    }
}

/// Process numbers of the trace.
const PARTIES: usize = 0;
const NETWORK: usize = 1;

/// The track of a directed link.
fn link(from: Party, to: Party) -> usize {
    3 * from.index() + to.index()
}

fn sum(all: &mut Summary, one: &Summary) {
    all.seconds += one.seconds;
    all.compute += one.compute;
    all.network += one.network;
    for (all, one) in all.parties.iter_mut().zip(&one.parties) {
        all.0 += one.0;
        all.1 += one.1;
    }
}
