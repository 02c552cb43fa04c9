//! Three sessions in one thread, round by round: no transport, no clock. For tests that look at every message.

use std::collections::{BTreeMap, VecDeque};

use super::session::{Link, Session, Taken};
use super::{RunError, owner};
use crate::backend::cpu::Cpu;
use crate::backend::{Backend, BackendError, StreamKey};
use crate::net::{Loss, NetError};
use crate::plan::course::Piece;
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
    pub live_bytes: [u64; 3],
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

/// A processor for each party with its two keys. Steps that may run as one do so whatever their size.
#[must_use]
pub fn devices(keys: &[StreamKey; 3]) -> [Cpu; 3] {
    let keys = |p: Party| [keys[p.index()].clone(), keys[p.plus(1).index()].clone()];
    Party::ALL.map(|p| Cpu::new(p, keys(p)).with_joint_from(0))
}

/// Shares the owners' data, with fresh seeds, and hands public data to everybody.
///
/// # Errors
/// If data do not fit.
pub fn share(plan: &Plan, data: &BTreeMap<String, Vec<f64>>) -> Result<Loads, RunError> {
    let clear = owner::clear_graph(plan)?;
    let mut loads = Loads::default();
    let words = |(id, share): (BufId, owner::Share<'_>)| {
        let mut words = vec![0; plan.buf(id).words()];
        share.fill(&mut words);
        (id, words)
    };
    for input in &plan.inputs {
        let parts = owner::submit(plan, &clear, input, data)?;
        for ((party, load), part) in Party::ALL.into_iter().zip(&mut loads).zip(&parts) {
            load.extend(owner::accept(plan, input, party, part)?.into_iter().map(words));
        }
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
    Parties::new(plan, devices)?.run(loads, observe)
}

/// The three parties of a plan, for one run or more.
#[derive(Debug)]
pub struct Parties<'p, B> {
    plan: &'p Plan,
    sessions: [Session<'p, B>; 3],
}

impl<'p, B: Backend> Parties<'p, B> {
    /// Parties of a plan, which need not have passed `plan::verify`, on these devices.
    ///
    /// # Errors
    /// If a device has no room.
    pub fn new(plan: &'p Plan, devices: [B; 3]) -> Result<Parties<'p, B>, RunError> {
        let [p0, p1, p2] = devices;
        let session = |party, device| Session::new(plan, Party(party), device, false);
        Ok(Parties { plan, sessions: [session(0, p0)?, session(1, p1)?, session(2, p2)?] })
    }

    /// Gets ready for another run, with other stream keys.
    ///
    /// # Errors
    /// If a device fails.
    pub fn again(&mut self, keys: &[StreamKey; 3]) -> Result<(), RunError> {
        self.sessions.iter_mut().try_for_each(|session| {
            let party = session.party();
            session.again([party, party.plus(1)].map(|p| keys[p.index()].clone()))
        })
    }

    /// One run.
    ///
    /// # Errors
    /// If the plan is damaged.
    pub fn run(&mut self, loads: Loads, observe: Observer<'_>) -> Result<Outcome, RunError> {
        let Parties { plan, sessions } = self;
        for (session, load) in sessions.iter_mut().zip(loads) {
            for (id, words) in load {
                let mut fits = true;
                let fill = &mut |to: &mut [u64]| {
                    fits = to.len() == words.len();
                    to.iter_mut().zip(&words).for_each(|(to, word)| *to = *word);
                };
                session.load(id, fill).map_err(failed)?;
                if !fits {
                    return Err(failed(BackendError::Shape(format!("{id} has not {} words", words.len()))));
                }
            }
        }
        let mut outcome = Outcome::default();
        let mut queues = Queues::default();
        for number in 0..=plan.rounds.len() {
            for session in &mut *sessions {
                session.round(number, &mut queues)?;
            }
            outcome.rounds += usize::from(!queues.sent.is_empty());
            for ((from, to), payload) in std::mem::take(&mut queues.sent) {
                outcome.bytes_per_link[from.index()][to.index()] += payload.len() as u64;
                observe(number, from, to, &payload);
            }
        }
        outcome.halves = [sessions[0].outputs(Vec::new())?, sessions[1].outputs(Vec::new())?];
        for (at, output) in plan.outputs.iter().enumerate() {
            let values = owner::combine(plan, output, [&outcome.halves[0][at], &outcome.halves[1][at]]);
            outcome.outputs.insert(output.name.clone(), values);
        }
        outcome.live_bytes = sessions.each_ref().map(Session::live_bytes);
        outcome.taken = sessions.iter().flat_map(Session::taken).copied().collect();
        Ok(outcome)
    }
}

fn failed(cause: BackendError) -> RunError {
    RunError::Device { cause, place: String::new() }
}

/// The links between all three.
#[derive(Default)]
struct Queues {
    /// Pieces on their way, by sender and receiver.
    pieces: BTreeMap<(Party, Party), VecDeque<Vec<u8>>>,
    /// The round's messages, whole.
    sent: BTreeMap<(Party, Party), Vec<u8>>,
}

impl Link for Queues {
    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        let link = (piece.from, piece.to);
        self.sent.entry(link).or_default().extend_from_slice(&payload);
        self.pieces.entry(link).or_default().push_back(payload);
        Ok(())
    }

    fn expect(&mut self, _: &Piece) {}

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        let queue = self.pieces.entry((piece.from, piece.to)).or_default();
        queue.pop_front().ok_or(NetError::Lost(piece.from, Loss::Closed))
    }
}
