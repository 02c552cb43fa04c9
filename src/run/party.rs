//! One party's run over a mesh: inputs from the owners' client, keys with the peers, the rounds, outputs.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::session::{Session, expected, incoming};
use super::{RunError, owner};
use crate::backend::cpu::Cpu;
use crate::backend::{Backend, StreamKey};
use crate::net::owner::{Message, MessageKind, OwnerLink, Room};
use crate::net::{AbortReason, Mesh, NetError};
use crate::plan::{Party, Plan};

/// The round number of the key exchange, which no plan reaches.
const KEY_ROUND: u32 = u32::MAX;

/// The submission that holds the public inputs.
pub const PUBLIC: &str = "public inputs";

/// What a party counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Rounds in which it sent or received something.
    pub rounds: usize,
    /// Payload bytes to each party.
    pub sent: [u64; 3],
    /// Payload bytes from each party.
    pub received: [u64; 3],
    /// Transfers it took that open a value.
    pub openings: usize,
    /// The most bytes of buffers that were live at once.
    pub peak_bytes: u64,
}

/// Called after each round with the rounds done.
pub type Progress<'p> = &'p (dyn Fn(usize) + Sync);

/// Submissions that a plan asks for: the owner (`None`: public) and the message's name.
#[must_use]
pub fn submissions(plan: &Plan) -> Vec<(Option<u32>, String)> {
    let owners = (0..plan.owners.len() as u32).filter(|o| plan.inputs.iter().any(|i| i.owner == Some(*o)));
    let mut all: Vec<(Option<u32>, String)> = owners.map(|o| (Some(o), plan.owners[o as usize].clone())).collect();
    if plan.inputs.iter().any(|i| i.owner.is_none()) {
        all.push((None, PUBLIC.to_string()));
    }
    all
}

/// Runs a party from inputs to outputs. On failure the peers are told to stop and the owners' client why.
///
/// # Errors
/// Names the party at fault, the round and the line of the model.
pub fn run(
    plan: &Plan,
    mesh: &mut dyn Mesh,
    owners: &mut dyn OwnerLink,
    patience: Option<Duration>,
    progress: Progress<'_>,
) -> Result<Report, RunError> {
    run_on(plan, mesh, owners, patience, progress, Cpu::new)
}

/// The same on a device that is made from the party and its keys.
///
/// # Errors
/// Names the party at fault, the round and the line of the model.
pub fn run_on<B: Backend>(
    plan: &Plan,
    mesh: &mut dyn Mesh,
    owners: &mut dyn OwnerLink,
    patience: Option<Duration>,
    progress: Progress<'_>,
    device: impl FnOnce(Party, [StreamKey; 2]) -> B,
) -> Result<Report, RunError> {
    let result = steps(plan, mesh, owners, patience, progress, device);
    match &result {
        Ok(_) => {}
        Err(error) => {
            mesh.abort(AbortReason::Failed);
            // The client may be gone as well; the error at hand is the one to report.
            let _told = owners.send(Message::new(MessageKind::Failure, "", error.to_string().into_bytes()));
        }
    }
    result
}

fn steps<B: Backend>(
    plan: &Plan,
    mesh: &mut dyn Mesh,
    owners: &mut dyn OwnerLink,
    patience: Option<Duration>,
    progress: Progress<'_>,
    device: impl FnOnce(Party, [StreamKey; 2]) -> B,
) -> Result<Report, RunError> {
    let me = mesh.me();
    let keys = agree_keys(mesh).map_err(|cause| RunError::net(plan, cause, None))?;
    let base = mesh.traffic();
    let mut session = Session::new(plan, me, device(me, keys));
    let mut awaited = submissions(plan);
    while !awaited.is_empty() {
        let room = |kind, name: &str| {
            let found = awaited.iter().find(|(_, n)| kind == MessageKind::Input && n == name)?;
            Some(Room::Exactly(owner::submission_bytes(plan, found.0, me)))
        };
        let message = owners.recv(patience, &room)?;
        let at = awaited.iter().position(|(_, n)| *n == message.name).expect("only awaited names are admitted");
        let (whose, _) = awaited.swap_remove(at);
        let mut payload = message.payload;
        let accepted = owner::accept(plan, whose, me, &payload);
        // The seeds; a share alone is noise.
        payload.iter_mut().take(2 * owner::SEED).for_each(Zeroize::zeroize);
        for (id, words) in accepted? {
            session.load(id, words).map_err(|e| RunError::device(plan, e, None))?;
        }
    }
    let mut report = Report::default();
    for round in 0..plan.rounds.len() {
        report.rounds += usize::from(exchange(plan, mesh, &mut session, round)?);
        progress(round + 1);
    }
    let traffic = mesh.traffic();
    for party in Party::ALL.map(Party::index) {
        report.sent[party] = traffic.sent[party].payload_bytes - base.sent[party].payload_bytes;
        report.received[party] = traffic.received[party].payload_bytes - base.received[party].payload_bytes;
    }
    report.openings = session.taken().iter().filter(|t| t.opening.is_some()).count();
    report.peak_bytes = session.peak_bytes();
    mesh.finish().map_err(|cause| RunError::net(plan, cause, None))?;
    let outputs = session.outputs().map_err(|e| RunError::device(plan, e, None))?;
    for (output, payload) in plan.outputs.iter().zip(outputs) {
        owners.send(Message::new(MessageKind::Output, output.name.clone(), payload))?;
    }
    let json = serde_json::to_vec(&report).expect("a report is plain numbers");
    owners.send(Message::new(MessageKind::Report, "", json))?;
    Ok(report)
}

/// Compute, send, receive. Whether anything travelled in the round between any two parties.
fn exchange<B: Backend>(
    plan: &Plan,
    mesh: &mut dyn Mesh,
    session: &mut Session<'_, B>,
    round: usize,
) -> Result<bool, RunError> {
    let me = session.party();
    let messages = session.compute(round).map_err(|(e, span)| RunError::device(plan, e, span))?;
    for (to, payload) in Party::ALL.into_iter().zip(messages) {
        if let Some(payload) = payload {
            mesh.send(to, round as u32, payload).map_err(|e| failed(plan, round, me, to, e))?;
        }
    }
    for from in [me.plus(1), me.plus(2)] {
        let len = expected(plan, round, from, me);
        if len > 0 {
            let payload = mesh.recv(from, round as u32, len).map_err(|e| failed(plan, round, from, me, e))?;
            session.receive(round, from, &payload).map_err(|e| RunError::device(plan, e, None))?;
        }
    }
    Ok(!plan.rounds[round].sends.is_empty())
}

/// A network error in a round, with the line of the model that the round serves.
fn failed(plan: &Plan, round: usize, from: Party, to: Party, cause: NetError) -> RunError {
    let span = incoming(plan, round, from, to).find_map(|s| s.span);
    let span = span.or_else(|| plan.rounds[round].sends.iter().find_map(|s| s.span));
    RunError::net(plan, cause, Some((round, span)))
}

/// Each party draws its own key and gives it to the party before it, which holds it too.
fn agree_keys(mesh: &mut dyn Mesh) -> Result<[StreamKey; 2], NetError> {
    let me = mesh.me();
    let own = owner::random_key().map_err(|e| NetError::Start(e.to_string()))?;
    mesh.send(me.plus(2), KEY_ROUND, own.0.to_vec())?;
    let next = Zeroizing::new(mesh.recv(me.plus(1), KEY_ROUND, own.0.len())?);
    let mut key = StreamKey([0; 16]);
    key.0.copy_from_slice(&next);
    Ok([own, key])
}
