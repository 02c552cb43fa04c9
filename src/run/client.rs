//! The owners' client: shares the inputs, sends them to the three parties, puts the results together. On one machine one
//! client plays all owners.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::party::{Report, submissions};
use super::{RunError, owner};
use crate::net::owner::{Message, MessageKind, OwnerLink, Room};
use crate::plan::{Party, Plan};

/// The largest report or failure text that is read.
const TEXT: usize = 1 << 16;

/// What the owners have after a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Result name -> values, row-major.
    pub outputs: BTreeMap<String, Vec<f64>>,
    /// What each party counted.
    pub reports: [Report; 3],
    /// Time to encode, share and send the inputs.
    pub share: Duration,
    /// Time from then until the last result.
    pub run: Duration,
}

/// Submits the data and waits for the results.
///
/// # Errors
/// If the data do not fit or a party fails; the first failure that a party reports.
pub fn run<L: OwnerLink>(
    plan: &Plan,
    data: &BTreeMap<String, Vec<f64>>,
    links: &mut [L; 3],
) -> Result<Outcome, RunError> {
    let start = Instant::now();
    let clear = owner::clear_graph(plan)?;
    for (whose, name) in submissions(plan) {
        let parts: [Vec<u8>; 3] = match whose {
            Some(number) => owner::submit(plan, &clear, number, data)?,
            None => {
                let public = owner::publish(plan, &clear, data)?;
                [public.clone(), public.clone(), public]
            }
        };
        for (link, part) in links.iter_mut().zip(parts) {
            link.send(Message::new(MessageKind::Input, name.clone(), part))?;
        }
    }
    let share = start.elapsed();
    let start = Instant::now();
    let mut outcome = Outcome { share, ..Outcome::default() };
    let mut halves: [BTreeMap<String, Vec<u8>>; 3] = Default::default();
    for (party, link) in Party::ALL.into_iter().zip(links) {
        loop {
            let message = link.recv(None, &|kind, name| room(plan, party, kind, name))?;
            match message.kind {
                MessageKind::Output => {
                    halves[party.index()].insert(message.name, message.payload);
                }
                MessageKind::Report => {
                    outcome.reports[party.index()] = serde_json::from_slice(&message.payload).map_err(|e| {
                        RunError::Party { party, text: format!("sent a report that cannot be read: {e}") }
                    })?;
                    break;
                }
                MessageKind::Failure | MessageKind::Input => {
                    let text = String::from_utf8_lossy(&message.payload).into_owned();
                    return Err(RunError::Party { party, text });
                }
            }
        }
    }
    outcome.run = start.elapsed();
    for output in &plan.outputs {
        let half = |party: usize| halves[party].get(&output.name).map(Vec::as_slice);
        let (Some(a), Some(b)) = (half(0), half(1)) else {
            let text = format!("did not send its part of `{}`", output.name);
            let party = if half(0).is_none() { Party(0) } else { Party(1) };
            return Err(RunError::Party { party, text });
        };
        outcome.outputs.insert(output.name.clone(), owner::combine(plan, output, [a, b]));
    }
    Ok(outcome)
}

fn room(plan: &Plan, party: Party, kind: MessageKind, name: &str) -> Option<Room> {
    match kind {
        MessageKind::Output => {
            let output = plan.outputs.iter().find(|o| o.name == name)?;
            let buf = output.bufs.get(party.index())?;
            Some(Room::Exactly(plan.buf(*buf).wire_bytes()))
        }
        MessageKind::Report | MessageKind::Failure => Some(Room::AtMost(TEXT)),
        MessageKind::Input => None,
    }
}
