//! Three sessions in one thread, round by round: no transport, no clock. For tests that look at every message.

use std::collections::BTreeMap;

use super::session::{Session, expected};
use super::{RunError, owner};
use crate::backend::StreamKey;
use crate::backend::cpu::Cpu;
use crate::plan::{Party, Plan};

/// Results and traffic of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Result name -> values, row-major.
    pub outputs: BTreeMap<String, Vec<f64>>,
    /// Payload bytes from party (row) to party (column).
    pub bytes_per_link: [[u64; 3]; 3],
    /// Rounds in which something was sent.
    pub rounds: usize,
}

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
    let clear = owner::clear_graph(plan)?;
    let mut sessions = Party::ALL.map(|p| {
        let own = [keys[p.index()].clone(), keys[p.plus(1).index()].clone()];
        Session::new(plan, p, Cpu::new(p, own))
    });
    let failed = |e| RunError::Device { cause: e, place: String::new() };
    for owner in 0..plan.owners.len() as u32 {
        let parts = owner::submit(plan, &clear, owner, data)?;
        for (session, part) in sessions.iter_mut().zip(&parts) {
            for (id, words) in owner::accept(plan, Some(owner), session.party(), part)? {
                session.load(id, words).map_err(failed)?;
            }
        }
    }
    let public = owner::publish(plan, &clear, data)?;
    for session in &mut sessions {
        for (id, words) in owner::accept(plan, None, session.party(), &public)? {
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
    let halves = [sessions[0].outputs().map_err(failed)?, sessions[1].outputs().map_err(failed)?];
    for (at, output) in plan.outputs.iter().enumerate() {
        let values = owner::combine(plan, output, [&halves[0][at], &halves[1][at]]);
        outcome.outputs.insert(output.name.clone(), values);
    }
    Ok(outcome)
}
