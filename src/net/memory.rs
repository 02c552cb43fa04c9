//! The mesh within one process: three endpoints and a queue to each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::error::{Abort, AbortReason, Loss, NetError};
use crate::net::frame::{Expect, Header, Kind};
use crate::net::queue::Queue;
use crate::net::shape::{Pacer, Shape, sleep_until};
use crate::net::{Mesh, Nearby, Parcel, Spares, Traffic, peers};
use crate::plan::Party;

/// How long a thread that waits for a parcel stays awake.
const PATIENCE: Duration = Duration::from_micros(50);

/// What travels between endpoints.
enum Packet {
    Data { round: u32, len: usize, payload: Payload, arrival: Option<Instant> },
    Abort(Abort),
    Bye,
}

/// A payload, or what stands for it.
enum Payload {
    Bytes(Vec<u8>),
    Parcel(Parcel),
}

/// One party's endpoint.
pub struct MemoryMesh {
    me: Party,
    inbox: Queue<(Party, Packet)>,
    /// To each party; the entry for this one is unused.
    outboxes: [Queue<(Party, Packet)>; 3],
    /// Data that came before it was asked for, by sender.
    waiting: [VecDeque<Packet>; 3],
    pacers: Option<[Pacer; 3]>,
    failure: Option<NetError>,
    finished: bool,
    traffic: Traffic,
    spares: Arc<Spares>,
}

impl MemoryMesh {
    /// Three connected endpoints, in order of the parties; delayed and paced when a shape is given.
    #[must_use]
    pub fn new(shape: Option<Shape>) -> [MemoryMesh; 3] {
        let outboxes: [Queue<_>; 3] = Default::default();
        // What one party sends another one gives back: together they have what all need.
        let spares: Arc<Spares> = Arc::default();
        let mut me = Party(0);
        outboxes.clone().map(|inbox| {
            let endpoint = MemoryMesh {
                me,
                inbox,
                outboxes: outboxes.clone(),
                waiting: Default::default(),
                pacers: shape.map(|shape| [Pacer::new(shape); 3]),
                failure: None,
                finished: false,
                traffic: Traffic::default(),
                spares: Arc::clone(&spares),
            };
            me = me.plus(1);
            endpoint
        })
    }

    /// Hands a packet over; an endpoint that is gone has said why in its last packet.
    fn post(&self, to: Party, packet: Packet) {
        self.outboxes[to.index()].push((self.me, packet));
    }

    /// Remembers the first failure and tells the others.
    fn fail(&mut self, error: NetError) -> NetError {
        if self.failure.is_none() {
            let abort = error.abort(self.me);
            for peer in peers(self.me) {
                self.post(peer, Packet::Abort(abort));
            }
            self.failure = Some(error.clone());
        }
        error
    }

    /// Sorts a packet into its queue, or fails on an abort.
    fn sort(&mut self, from: Party, packet: Packet) -> Result<(), NetError> {
        match packet {
            Packet::Abort(abort) => Err(self.fail(abort.error(self.me))),
            Packet::Data { .. } | Packet::Bye => {
                self.waiting[from.index()].push_back(packet);
                Ok(())
            }
        }
    }

    /// The failure, if one has become known; after the end, nothing can be sent or received.
    fn check(&mut self) -> Result<(), NetError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.finished {
            return Err(NetError::Lost(self.me, Loss::Finished));
        }
        while let Some((from, packet)) = self.inbox.try_pop() {
            self.sort(from, packet)?;
        }
        Ok(())
    }

    /// Waits for a packet without sleeping, for a little while: to wake takes longer than most parcels.
    fn watch(&mut self, from: Party) -> Result<(), NetError> {
        let start = Instant::now();
        while self.waiting[from.index()].is_empty() && start.elapsed() < PATIENCE {
            match self.inbox.try_pop() {
                Some((from, packet)) => self.sort(from, packet)?,
                None => (0..16).for_each(|_| std::hint::spin_loop()),
            }
        }
        Ok(())
    }

    fn next(&mut self, from: Party) -> Result<Packet, NetError> {
        loop {
            if let Some(packet) = self.waiting[from.index()].pop_front() {
                return Ok(packet);
            }
            // Peers that are dropped send an abort.
            let (from, packet) = self.inbox.pop();
            self.sort(from, packet)?;
        }
    }

    fn queue(&mut self, to: Party, round: u32, len: usize, payload: Payload) -> Result<(), NetError> {
        self.check()?;
        self.traffic.sent[to.index()].count(len);
        let now = Instant::now();
        let arrival = self.pacers.as_mut().map(|pacers| pacers[to.index()].arrival(now, len));
        self.post(to, Packet::Data { round, len, payload, arrival });
        Ok(())
    }

    /// Waits for what `of` says is of the right kind.
    fn dequeue<T>(
        &mut self,
        from: Party,
        round: u32,
        len: usize,
        of: impl FnOnce(Payload) -> Option<T>,
    ) -> Result<T, NetError> {
        self.check()?;
        match self.next(from)? {
            Packet::Data { round: found, len: bytes, payload, arrival } => {
                let expect = Expect { kind: Kind::Data, round, len };
                let header = Header { kind: Kind::Data, round: found, len: bytes as u64 };
                expect.check(header).map_err(|error| self.fail(NetError::Frame(from, error)))?;
                arrival.into_iter().for_each(sleep_until);
                self.traffic.received[from.index()].count(len);
                let mixed = || Loss::Broken("bytes and parcels were mixed up: a mistake in smlc".to_string());
                of(payload).ok_or_else(|| self.fail(NetError::Lost(from, mixed())))
            }
            Packet::Bye => Err(self.fail(NetError::Lost(from, Loss::Finished))),
            Packet::Abort(abort) => Err(self.fail(abort.error(self.me))),
        }
    }
}

impl Mesh for MemoryMesh {
    fn me(&self) -> Party {
        self.me
    }

    fn send(&mut self, to: Party, round: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.queue(to, round, payload.len(), Payload::Bytes(payload))
    }

    fn expect(&mut self, _: Party, _: u32, _: usize) {}

    fn recv(&mut self, from: Party, round: u32, len: usize) -> Result<Vec<u8>, NetError> {
        self.dequeue(from, round, len, |payload| match payload {
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Parcel(_) => None,
        })
    }

    fn abort(&mut self, reason: AbortReason) {
        self.fail(NetError::Aborted { by: self.me, reason });
    }

    fn finish(&mut self) -> Result<(), NetError> {
        if self.finished {
            return Ok(());
        }
        self.check()?;
        self.finished = true;
        for peer in peers(self.me) {
            self.post(peer, Packet::Bye);
        }
        Ok(())
    }

    fn spares(&self) -> &Arc<Spares> {
        &self.spares
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn nearby(&mut self) -> Option<&mut dyn Nearby> {
        if self.pacers.is_some() { None } else { Some(self) }
    }
}

impl Nearby for MemoryMesh {
    fn hand(&mut self, to: Party, round: u32, len: usize, parcel: Parcel) -> Result<(), NetError> {
        self.queue(to, round, len, Payload::Parcel(parcel))
    }

    fn take(&mut self, from: Party, round: u32, len: usize) -> Result<Parcel, NetError> {
        // What parcels stand for is computed elsewhere, and processors have little to do.
        self.watch(from)?;
        self.dequeue(from, round, len, |payload| match payload {
            Payload::Parcel(parcel) => Some(parcel),
            Payload::Bytes(_) => None,
        })
    }
}

impl Drop for MemoryMesh {
    fn drop(&mut self) {
        if !self.finished {
            self.abort(AbortReason::Left);
        }
    }
}
