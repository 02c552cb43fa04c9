//! Three sessions in one thread, round by round: no transport, no clock. For tests that look at every message.

use std::collections::BTreeMap;

use super::session::{Session, Taken, expected};
use super::{RunError, owner};
use crate::backend::cpu::Cpu;
use crate::backend::{Backend, StreamKey};
use crate::plan::{BufId, Party, Plan};

/// Results and traffic of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Result name -> values, row-major.
    pub outputs: BTreeMap<String, Vec<f64>>,
    /// Payload bytes from party (row) to party (column).
    pub bytes_per_link: [[u64; 3]; 3],
    /// Rounds in which something was sent.
    pub rounds: usize,
    /// What P0 and P1 give to the receivers of the outputs, in the plan's order.
    pub halves: [Vec<Vec<u8>>; 2],
    /// The most bytes of buffers that were live at each party.
    pub peak_bytes: [u64; 3],
    /// Every transfer that a party took.
    pub taken: Vec<Taken>,
}

/// What lies in each party's buffers before the first round.
pub type Loads = [Vec<(BufId, Vec<u64>)>; 3];

/// Called with round, sender, receiver and payload of every message.
pub type Observer<'o> = &'o mut dyn FnMut(usize, Party, Party, &[u8]);

/// Runs a plan on the owners' data (path -> values).
///
/// # Errors
/// If data do not fit or the plan is damaged.
pub fn run(plan: &Plan, data: &BTreeMap<String, Vec<f64>>, observe: Observer<'_>) -> Result<Outcome, RunError> {
    let keys = [owner::random_key()?, owner::random_key()?, owner::random_key()?];
    run_with_keys(plan, data, &keys, observe)
}

/// The same with given stream keys.
///
/// # Errors
/// If data do not fit or the plan is damaged.
pub fn run_with_keys(
    plan: &Plan,
    data: &BTreeMap<String, Vec<f64>>,
    keys: &[StreamKey; 3],
    observe: Observer<'_>,
) -> Result<Outcome, RunError> {
    execute(plan, devices(keys), share(plan, data)?, observe)
}

/// A processor for each party with its two keys.
#[must_use]
pub fn devices(keys: &[StreamKey; 3]) -> [Cpu; 3] {
    Party::ALL.map(|p| Cpu::new(p, [keys[p.index()].clone(), keys[p.plus(1).index()].clone()]))
}

/// Shares the owners' data, with fresh seeds, and hands public data to everybody.
///
/// # Errors
/// If data do not fit.
pub fn share(plan: &Plan, data: &BTreeMap<String, Vec<f64>>) -> Result<Loads, RunError> {
    let clear = owner::clear_graph(plan)?;
    let mut loads = Loads::default();
    for owner in 0..plan.owners.len() as u32 {
        let parts = owner::submit(plan, &clear, owner, data)?;
        for ((party, load), part) in Party::ALL.into_iter().zip(&mut loads).zip(&parts) {
            load.extend(owner::accept(plan, Some(owner), party, part)?);
        }
    }
    let public = owner::publish(plan, &clear, data)?;
    for (party, load) in Party::ALL.into_iter().zip(&mut loads) {
        load.extend(owner::accept(plan, None, party, &public)?);
    }
    Ok(loads)
}

/// Runs a plan, which need not have passed `plan::verify`, on the caller's devices and loads.
///
/// # Errors
/// If the plan is damaged.
pub fn execute<B: Backend>(
    plan: &Plan,
    devices: [B; 3],
    loads: Loads,
    observe: Observer<'_>,
) -> Result<Outcome, RunError> {
    let mut party = Party(0);
    let mut sessions = devices.map(|device| {
        let session = Session::new(plan, party, device);
        party = party.plus(1);
        session
    });
    let failed = |e| RunError::Device { cause: e, place: String::new() };
    for (session, load) in sessions.iter_mut().zip(loads) {
        for (id, words) in load {
            session.load(id, words).map_err(failed)?;
        }
    }
    let mut outcome = Outcome::default();
    for round in 0..plan.rounds.len() {
        let mut sent = Vec::new();
        for session in &mut sessions {
            sent.push(session.compute(round).map_err(|(e, span)| RunError::device(plan, e, span))?);
        }
        let mut any = false;
        for (from, messages) in Party::ALL.into_iter().zip(&sent) {
            for (to, payload) in Party::ALL.into_iter().zip(messages) {
                let Some(payload) = payload else { continue };
                debug_assert_eq!(payload.len(), expected(plan, round, from, to));
                observe(round, from, to, payload);
                outcome.bytes_per_link[from.index()][to.index()] += payload.len() as u64;
                sessions[to.index()].receive(round, from, payload).map_err(failed)?;
                any = true;
            }
        }
        outcome.rounds += usize::from(any);
    }
    outcome.halves = [sessions[0].outputs().map_err(failed)?, sessions[1].outputs().map_err(failed)?];
    for (at, output) in plan.outputs.iter().enumerate() {
        let values = owner::combine(plan, output, [&outcome.halves[0][at], &outcome.halves[1][at]]);
        outcome.outputs.insert(output.name.clone(), values);
    }
    outcome.peak_bytes = sessions.each_ref().map(Session::peak_bytes);
    outcome.taken = sessions.iter().flat_map(Session::taken).copied().collect();
    Ok(outcome)
}
