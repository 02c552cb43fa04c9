//! One party's run over a mesh: inputs from the owners' client, keys with the peers, the rounds, outputs.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::device::Device;
use super::session::{Link, Session};
use super::{RunError, memory, owner};
use crate::backend::cpu::Threads;
use crate::backend::{Backend, BackendError, StreamKey};
use crate::net::owner::{Message, MessageKind, OwnerLink, Room};
use crate::net::{AbortReason, Mesh, Nearby, NetError};
use crate::plan::course::Piece;
use crate::plan::{BufId, Input, Party, Plan, Step};
use crate::span::Span;

/// The round number of the key exchange, which no plan reaches.
const KEY_ROUND: u32 = u32::MAX;

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
    pub live_bytes: u64,
}

/// Called after each round with the rounds done.
pub type Progress<'p> = &'p (dyn Fn(usize) + Sync);

/// How a party serves the owners.
#[derive(Clone, Copy)]
pub struct Service<'s> {
    /// Runs, each of which the owners' client asks for. What the parties need of the inputs is kept until the last.
    pub runs: u32,
    /// How long to wait for an owner's next byte.
    pub patience: Option<Duration>,
    /// Told of rounds.
    pub progress: Progress<'s>,
    /// What it computes on.
    pub device: &'s Device,
    /// Threads for large launches of a processor.
    pub threads: &'s Threads,
    /// Which parties compute on GPUs, where all are in one process: messages between these may stay on them.
    pub gpus: [bool; 3],
}

impl Service<'_> {
    /// One run, as patient as can be.
    pub const ONCE: Service<'static> = Service {
        runs: 1,
        patience: None,
        progress: &|_| {},
        device: &Device::Cpu,
        threads: &Threads::ONE,
        gpus: [false; 3],
    };
}

/// Serves the owners: takes inputs, runs, gives outputs, as often as agreed. On failure the
/// peers are told to stop and the owners' client why.
///
/// # Errors
/// Names the party at fault, the round and the line of the model.
pub fn run(plan: &Plan, mesh: &mut dyn Mesh, owners: &mut dyn OwnerLink, service: Service<'_>) -> Result<(), RunError> {
    run_on(plan, mesh, owners, service, |party, keys| service.device.make(party, keys, service.threads))
}

/// The same on a device that is made from the party and its keys.
///
/// # Errors
/// Names the party at fault, the round and the line of the model.
pub fn run_on<B: Backend>(
    plan: &Plan,
    mesh: &mut dyn Mesh,
    owners: &mut dyn OwnerLink,
    service: Service<'_>,
    device: impl FnOnce(Party, [StreamKey; 2]) -> Result<B, BackendError> + Send,
) -> Result<(), RunError> {
    let served = service.threads.pool(|| serve(plan, &mut *mesh, &mut *owners, service, device));
    let result = served.unwrap_or_else(|error| Err(RunError::Thread(error.to_string())));
    if let Err(error) = &result {
        abort(mesh, error);
        // The client may be gone as well; the error at hand is the one to report.
        let of = match error {
            RunError::Net { cause: NetError::Aborted { by, reason: AbortReason::Failed }, .. } => by.to_string(),
            _ => String::new(),
        };
        let _told = owners.send(Message::new(MessageKind::Failure, of, error.to_string().into_bytes()));
    }
    result
}

fn serve<B: Backend>(
    plan: &Plan,
    mesh: &mut dyn Mesh,
    owners: &mut dyn OwnerLink,
    service: Service<'_>,
    device: impl FnOnce(Party, [StreamKey; 2]) -> Result<B, BackendError>,
) -> Result<(), RunError> {
    let me = mesh.me();
    let net = |cause| RunError::net(plan, cause, None);
    let refused = |error| RunError::before(plan, error);
    let own = give_key(mesh).map_err(net)?;
    let keys = take_key(mesh, own).map_err(net)?;
    let device = device(me, keys).map_err(refused)?;
    let mut taken = None;
    let mut session = Session::admitted(plan, me, device, service.runs > 1, |bytes| {
        if service.device.gpu().is_none() {
            taken = Some(memory::Taken::new(bytes)?);
        }
        Ok(())
    })?;
    let result = runs(plan, &mut session, mesh, owners, service);
    if let Err(error) = &result {
        // Before the device ends, which may take as long as what is in line there.
        abort(mesh, error);
    }
    result
}

/// Tells the peers to stop.
fn abort(mesh: &mut dyn Mesh, error: &RunError) {
    mesh.abort(match error {
        RunError::Link(_) | RunError::Unfinished { .. } => AbortReason::Owners,
        _ => AbortReason::Failed,
    });
}

/// All runs of a session.
fn runs<B: Backend>(
    plan: &Plan,
    session: &mut Session<'_, B>,
    mesh: &mut dyn Mesh,
    owners: &mut dyn OwnerLink,
    service: Service<'_>,
) -> Result<(), RunError> {
    let net = |cause| RunError::net(plan, cause, None);
    let mut awaited: Vec<&Input> = plan.inputs.iter().collect();
    mesh.spares().keep(session.spare_bytes());
    let mut next = None;
    // What reading or compiling the plan took makes room for the inputs.
    memory::give_back();
    for number in 0..service.runs {
        let room = take_inputs(plan, session, owners, service.patience, &mut awaited).map_err(|error| match error {
            RunError::Link(cause) if number > 0 => RunError::Unfinished { cause, done: number, runs: service.runs },
            other => other,
        })?;
        if number == 0 {
            // And what sharing took for what a run needs.
            memory::give_back();
        }
        if let Some(own) = next.take() {
            session.again(take_key(mesh, own).map_err(net)?)?;
        }
        let base = mesh.traffic();
        let mut link = OverMesh { mesh: &mut *mesh, gpus: service.gpus };
        let mut report = Report::default();
        for (number, round) in plan.rounds.iter().enumerate() {
            session.round(number, &mut link)?;
            report.rounds += usize::from(!round.sends.is_empty());
            (service.progress)(number + 1);
        }
        session.round(plan.rounds.len(), &mut link)?;
        session.settle()?;
        let traffic = mesh.traffic();
        for party in Party::ALL.map(Party::index) {
            report.sent[party] = traffic.sent[party].payload_bytes - base.sent[party].payload_bytes;
            report.received[party] = traffic.received[party].payload_bytes - base.received[party].payload_bytes;
        }
        report.openings = session.taken().iter().filter(|t| t.opening.is_some()).count();
        report.live_bytes = session.live_bytes();
        if number + 1 == service.runs {
            mesh.finish().map_err(net)?;
        } else {
            // Before the owners have their results, after which they may leave: between two runs no party waits for another.
            next = Some(give_key(mesh).map_err(net)?);
        }
        let outputs = session.outputs(room)?;
        for (output, payload) in plan.outputs.iter().zip(outputs) {
            owners.send(Message::new(MessageKind::Output, output.name.clone(), payload))?;
        }
        let json = serde_json::to_vec(&report).expect("a report is plain numbers");
        owners.send(Message::new(MessageKind::Report, "", json))?;
    }
    Ok(())
}

/// Takes inputs until a run is asked for, which needs all that are `awaited`. An owner's come in the plan's order, and once
/// one has come anew, all of them. Gives back an empty payload, which may have room for a result.
fn take_inputs<'p, B: Backend>(
    plan: &'p Plan,
    session: &mut Session<'_, B>,
    owners: &mut dyn OwnerLink,
    patience: Option<Duration>,
    awaited: &mut Vec<&'p Input>,
) -> Result<Vec<u8>, RunError> {
    let me = session.party();
    loop {
        // The one that a submission of this name is of.
        let next = |awaited: &[&'p Input], name: &str| {
            let named = |input: &&Input| owner::submission_name(plan, input) == name;
            awaited.iter().copied().find(named).or_else(|| plan.inputs.iter().find(named))
        };
        let room = |kind, name: &str| match kind {
            MessageKind::Input => Some(Room::Exactly(owner::submission_bytes(plan, next(awaited, name)?, me))),
            MessageKind::Run if awaited.is_empty() => Some(Room::Exactly(0)),
            _ => None,
        };
        let message = owners.recv(patience, &room)?;
        if message.kind == MessageKind::Run {
            return Ok(message.payload);
        }
        let input = next(awaited, &message.name).expect("only these names are admitted");
        if !awaited.iter().any(|other| other.owner == input.owner) {
            awaited.extend(plan.inputs.iter().filter(|other| other.owner == input.owner));
        }
        awaited.retain(|other| !std::ptr::eq(*other, input));
        let mut payload = message.payload;
        let accepted = load(session, plan, input, &payload);
        // The seeds; a share alone is noise.
        payload.iter_mut().take(2 * owner::SEED).for_each(Zeroize::zeroize);
        accepted?;
    }
}

/// Fills an input's buffers.
fn load<B: Backend>(session: &mut Session<'_, B>, plan: &Plan, input: &Input, payload: &[u8]) -> Result<(), RunError> {
    for (id, share) in owner::accept(plan, input, session.party(), payload)? {
        session.load(id, &mut |words| share.fill(words)).map_err(|e| match reader(plan, id) {
            Some(line) => RunError::device(plan, e, Some(line)),
            None => RunError::before(plan, e),
        })?;
    }
    Ok(())
}

/// The first line that reads a buffer.
fn reader(plan: &Plan, id: BufId) -> Option<Span> {
    let reads = |step: &&Step| step.ins.iter().any(|operand| plan.buf(operand.buf).storage(operand.buf).0 == id);
    plan.rounds.iter().flat_map(|round| &round.steps).filter(reads).find_map(|step| step.span)
}

/// A mesh as a session's link.
pub struct OverMesh<'m> {
    /// The mesh.
    pub mesh: &'m mut dyn Mesh,
    /// As in [`Service::gpus`].
    pub gpus: [bool; 3],
}

impl Link for OverMesh<'_> {
    fn spare(&mut self, bytes: usize) -> Vec<u8> {
        self.mesh.spares().take(bytes)
    }

    fn done(&mut self, payload: Vec<u8>) {
        self.mesh.spares().put(payload);
    }

    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        self.mesh.send(piece.to, piece.round as u32, payload)
    }

    fn expect(&mut self, piece: &Piece) {
        self.mesh.expect(piece.from, piece.round as u32, piece.bytes);
    }

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        self.mesh.recv(piece.from, piece.round as u32, piece.bytes)
    }

    fn nearby(&mut self, peer: Party) -> Option<&mut dyn Nearby> {
        let both = self.gpus[peer.index()] && self.gpus[self.mesh.me().index()];
        if both { self.mesh.nearby() } else { None }
    }
}

/// Each party draws its own key and gives it to the party before it, which holds it too.
///
/// # Errors
/// If the system has no random numbers, or the network fails.
pub fn give_key(mesh: &mut dyn Mesh) -> Result<StreamKey, NetError> {
    let own = owner::random_key().map_err(|e| NetError::Start(e.to_string()))?;
    mesh.send(mesh.me().plus(2), KEY_ROUND, own.0.to_vec())?;
    Ok(own)
}

/// The keys of a run: the party's own, and that of the party after it.
///
/// # Errors
/// If the network fails.
pub fn take_key(mesh: &mut dyn Mesh, own: StreamKey) -> Result<[StreamKey; 2], NetError> {
    let mut next = mesh.recv(mesh.me().plus(1), KEY_ROUND, own.0.len())?;
    let mut key = StreamKey([0; 16]);
    key.0.copy_from_slice(&next);
    next.zeroize();
    // It may have been a spare one.
    mesh.spares().put(next);
    Ok([own, key])
}
