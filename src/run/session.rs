//! One party's session over a plan, without sockets or clock: it says what to send and takes what came.

use std::collections::BTreeSet;

use super::wire;
use crate::backend::{Backend, BackendError, Launch};
use crate::plan::{BufId, Party, Plan, Send, Step};

/// A party in the middle of a plan.
#[derive(Debug)]
pub struct Session<'p, B> {
    plan: &'p Plan,
    party: Party,
    backend: B,
    taken: Vec<Taken>,
    /// Bytes of buffers on the device, now and at most.
    /// Buffers with storage on the device.
    held: BTreeSet<BufId>,
    live: u64,
    peak: u64,
}

/// A transfer that a party took out of a peer's payload: counted where it arrives, not read off the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// The round.
    pub round: usize,
    /// Which of the round's [`Send`]s.
    pub send: usize,
    /// Who received it.
    pub by: Party,
    /// Its bytes.
    pub bytes: usize,
    /// The stream of the random bit when it is a summand of an opened value.
    pub opening: Option<u32>,
}

/// The payload for each peer in one round; `None` where nothing is sent.
pub type Messages = [Option<Vec<u8>>; 3];

impl<'p, B: Backend> Session<'p, B> {
    /// A session whose inputs are still to be loaded.
    pub fn new(plan: &'p Plan, party: Party, backend: B) -> Session<'p, B> {
        Session { plan, party, backend, taken: Vec::new(), held: BTreeSet::new(), live: 0, peak: 0 }
    }

    /// The party.
    pub fn party(&self) -> Party {
        self.party
    }

    /// Puts an input's words into one of this party's buffers.
    ///
    /// # Errors
    /// If the device refuses them.
    pub fn load(&mut self, id: BufId, words: Vec<u64>) -> Result<(), BackendError> {
        self.write(id, words)
    }

    fn write(&mut self, id: BufId, words: Vec<u64>) -> Result<(), BackendError> {
        self.backend.write(id, words)?;
        self.grow(&[id]);
        Ok(())
    }

    /// Counts what was written to these buffers, or to the ones of which they are parts.
    fn grow(&mut self, ids: &[BufId]) {
        for id in ids {
            let id = self.plan.buf(*id).storage(*id).0;
            if self.held.insert(id) {
                self.live = self.live.saturating_add(self.plan.buf(id).memory_bytes());
            }
        }
        self.peak = self.peak.max(self.live);
    }

    fn free(&mut self, id: BufId) {
        self.backend.free(id);
        if self.held.remove(&id) {
            self.live = self.live.saturating_sub(self.plan.buf(id).memory_bytes());
        }
    }

    /// Runs this party's steps of a round and packs what it sends.
    ///
    /// # Errors
    /// If a launch fails; `place` of the error is the step's.
    pub fn compute(&mut self, round: usize) -> Result<Messages, (BackendError, Option<crate::span::Span>)> {
        let (round, party) = (&self.plan.rounds[round], self.party);
        for step in round.steps.iter().filter(|s| s.party == party) {
            self.step(step).map_err(|e| (e, step.span))?;
        }
        let mut messages = Messages::default();
        for send in round.sends.iter().filter(|s| s.from == party) {
            let words = self.backend.read(send.source).map_err(|e| (e, send.span))?;
            let payload = messages[send.to.index()].get_or_insert_default();
            wire::pack(self.plan.buf(send.source), words, payload);
            send.free.iter().for_each(|id| self.free(*id));
        }
        Ok(messages)
    }

    fn step(&mut self, step: &Step) -> Result<(), BackendError> {
        self.backend.launch(Launch {
            kernel: &step.kernel,
            ins: &step.ins,
            streams: &step.streams,
            outs: &step.outs,
            bufs: &self.plan.bufs,
        })?;
        self.grow(&step.outs);
        step.free.iter().for_each(|id| self.free(*id));
        Ok(())
    }

    /// Takes the payload of a peer in a round; its length was checked against [`expected`].
    ///
    /// # Errors
    /// If the device refuses the words.
    pub fn receive(&mut self, round: usize, from: Party, payload: &[u8]) -> Result<(), BackendError> {
        let mut at = 0;
        for (number, send) in numbered(self.plan, round, from, self.party) {
            let buf = self.plan.buf(send.target);
            let bytes = buf.wire_bytes();
            self.write(send.target, wire::unpack(buf, &payload[at..at + bytes]))?;
            self.taken.push(Taken { round, send: number, by: self.party, bytes, opening: send.opening });
            at += bytes;
        }
        Ok(())
    }

    /// The packed output buffers this party contributes, in the plan's order; none for P2.
    ///
    /// # Errors
    /// If a buffer is missing.
    pub fn outputs(&self) -> Result<Vec<Vec<u8>>, BackendError> {
        let mine = self.plan.outputs.iter().filter_map(|o| o.bufs.get(self.party.index()));
        mine.map(|id| {
            let mut bytes = Vec::new();
            wire::pack(self.plan.buf(*id), self.backend.read(*id)?, &mut bytes);
            Ok(bytes)
        })
        .collect()
    }

    /// The transfers that arrived so far.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// The most bytes of buffers that were on the device at once.
    pub fn peak_bytes(&self) -> u64 {
        self.peak
    }

    /// The device, to inspect a run in tests.
    pub fn backend(&self) -> &B {
        &self.backend
    }
}

/// Transfers between two parties in a round, in packing order.
pub fn incoming(plan: &Plan, round: usize, from: Party, to: Party) -> impl Iterator<Item = &Send> {
    numbered(plan, round, from, to).map(|(_, send)| send)
}

/// The same with their numbers among the round's transfers.
pub fn numbered(plan: &Plan, round: usize, from: Party, to: Party) -> impl Iterator<Item = (usize, &Send)> {
    plan.rounds[round].sends.iter().enumerate().filter(move |(_, s)| s.from == from && s.to == to)
}

/// Payload bytes between two parties in a round; 0: no message.
#[must_use]
pub fn expected(plan: &Plan, round: usize, from: Party, to: Party) -> usize {
    incoming(plan, round, from, to).map(|s| plan.buf(s.source).wire_bytes()).sum()
}
