//! Clocks around a party's device and mesh, and what they saw as a [`Timeline`]. A run without clocks is not touched.
//!
//! Only launches, messages and the arrival of inputs are noted; packing and unpacking are what lies between. Steps that would
//! run as one ([`Backend::joint`]) run one after the other, so that each has its time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::backend::{Backend, BackendError, Fill, Launch, Messages, Parcels, StreamKey};
use crate::net::{AbortReason, Mesh, Nearby, NetError, Parcel, Spares, Traffic};
use crate::plan::cost::timeline::{Message, Slice, Timeline, What};
use crate::plan::layout::Layout;
use crate::plan::{Buf, BufId, Party, Plan};

/// What a clock saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A buffer was filled from outside.
    Written,
    /// A kernel ran: the step with that number in the plan.
    Launched(usize),
    /// A round's message was handed over.
    Sent(usize, Party, usize),
    /// A round's message was taken.
    Received(usize, Party),
    /// So many rounds are done.
    Done(usize),
}

/// When.
#[derive(Clone, Copy, Debug)]
struct Event {
    seen: Seen,
    start: Instant,
    end: Instant,
}

/// A party's events, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    fn note(&self, seen: Seen, start: Instant) {
        let event = Event { seen, start, end: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Notes that so many rounds are done.
    pub fn done(&self, rounds: usize) {
        self.note(Seen::Done(rounds), Instant::now());
    }

    /// The events so far, which are then forgotten.
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something with a clock.
#[derive(Debug)]
pub struct Timed<T> {
    inner: T,
    log: Log,
}

impl<T> Timed<T> {
    /// Notes what `inner` does.
    pub fn new(inner: T, log: Log) -> Timed<T> {
        Timed { inner, log }
    }
}

impl<B: Backend> Backend for Timed<B> {
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        self.inner.reserve(layout)
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError> {
        self.inner.rekey(keys)
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        let start = Instant::now();
        self.inner.write(id, fill)?;
        self.log.note(Seen::Written, start);
        Ok(())
    }

    fn read(&self, id: BufId) -> Result<Cow<'_, [u64]>, BackendError> {
        self.inner.read(id)
    }

    fn pack(&mut self, bufs: &[Buf], ids: &[BufId], message: &mut Vec<u8>) -> Result<(), BackendError> {
        self.inner.pack(bufs, ids, message)
    }

    fn pack_ahead(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<bool, BackendError> {
        self.inner.pack_ahead(bufs, ids)
    }

    fn packed(&mut self, message: &mut Vec<u8>) -> Result<(), BackendError> {
        self.inner.packed(message)
    }

    fn unpack(&mut self, bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
        let start = Instant::now();
        self.inner.unpack(bufs, ids, message)?;
        ids.iter().for_each(|_| self.log.note(Seen::Written, start));
        Ok(())
    }

    fn parcels(&mut self) -> Option<&mut dyn Parcels> {
        if self.inner.parcels().is_some() { Some(self) } else { None }
    }

    fn messages(&mut self) -> Option<&mut dyn Messages> {
        if self.inner.messages().is_some() { Some(self) } else { None }
    }

    fn free(&mut self, id: BufId) {
        self.inner.free(id);
    }

    fn serve(&mut self, site: usize) {
        self.inner.serve(site);
    }

    fn stopped(&self) -> Vec<usize> {
        self.inner.stopped()
    }

    fn settle(&mut self) -> Result<(), BackendError> {
        self.inner.settle()
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        let (start, site) = (Instant::now(), launch.site);
        self.inner.launch(launch)?;
        site.into_iter().for_each(|site| self.log.note(Seen::Launched(site), start));
        Ok(())
    }
}

impl<B: Backend> Parcels for Timed<B> {
    fn begin(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<(), BackendError> {
        self.inner.parcels().ok_or_else(no_parcels)?.begin(bufs, ids)
    }

    fn post(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<Parcel, BackendError> {
        self.inner.parcels().ok_or_else(no_parcels)?.post(bufs, ids)
    }

    fn leave(&mut self) -> Result<(), BackendError> {
        self.inner.parcels().ok_or_else(no_parcels)?.leave()
    }

    fn idle(&mut self) -> Result<(), BackendError> {
        self.inner.parcels().ok_or_else(no_parcels)?.idle()
    }

    fn take(&mut self, bufs: &[Buf], ids: &[BufId], parcel: Parcel) -> Result<(), BackendError> {
        let start = Instant::now();
        self.inner.parcels().ok_or_else(no_parcels)?.take(bufs, ids, parcel)?;
        ids.iter().for_each(|_| self.log.note(Seen::Written, start));
        Ok(())
    }
}

/// The error of a device that had a way for parcels and has none any more.
fn no_parcels() -> BackendError {
    BackendError::Device("it takes no parcels: a mistake in smlc".to_string())
}

impl<B: Backend> Messages for Timed<B> {
    fn is_worth(&mut self, bytes: usize) -> bool {
        self.inner.messages().is_some_and(|messages| messages.is_worth(bytes))
    }

    fn open(&mut self, bufs: &[Buf], ids: &[BufId], message: Vec<u8>) -> Result<usize, BackendError> {
        self.inner.messages().ok_or_else(no_messages)?.open(bufs, ids, message)
    }

    fn close(&mut self, bufs: &[Buf], number: usize) -> Result<Vec<u8>, BackendError> {
        self.inner.messages().ok_or_else(no_messages)?.close(bufs, number)
    }

    fn keep(&mut self, bufs: &[Buf], ids: &[BufId], message: Vec<u8>) -> Result<(), BackendError> {
        let start = Instant::now();
        self.inner.messages().ok_or_else(no_messages)?.keep(bufs, ids, message)?;
        ids.iter().for_each(|_| self.log.note(Seen::Written, start));
        Ok(())
    }

    fn done(&mut self) -> Option<Vec<u8>> {
        self.inner.messages()?.done()
    }
}

/// The error of a device that had a way for messages and has none any more.
fn no_messages() -> BackendError {
    BackendError::Device("it takes no messages: a mistake in smlc".to_string())
}

impl<M: Mesh> Mesh for Timed<M> {
    fn me(&self) -> Party {
        self.inner.me()
    }

    fn send(&mut self, to: Party, round: u32, payload: Vec<u8>) -> Result<(), NetError> {
        let (start, bytes) = (Instant::now(), payload.len());
        self.inner.send(to, round, payload)?;
        self.log.note(Seen::Sent(round as usize, to, bytes), start);
        Ok(())
    }

    fn expect(&mut self, from: Party, round: u32, len: usize) {
        self.inner.expect(from, round, len);
    }

    fn recv(&mut self, from: Party, round: u32, len: usize) -> Result<Vec<u8>, NetError> {
        let start = Instant::now();
        let payload = self.inner.recv(from, round, len)?;
        self.log.note(Seen::Received(round as usize, from), start);
        Ok(payload)
    }

    fn abort(&mut self, reason: AbortReason) {
        self.inner.abort(reason);
    }

    fn finish(&mut self) -> Result<(), NetError> {
        self.inner.finish()
    }

    fn spares(&self) -> &Arc<Spares> {
        self.inner.spares()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }

    fn nearby(&mut self) -> Option<&mut dyn Nearby> {
        if self.inner.nearby().is_some() { Some(self) } else { None }
    }
}

impl<M: Mesh> Nearby for Timed<M> {
    fn hand(&mut self, to: Party, round: u32, len: usize, parcel: Parcel) -> Result<(), NetError> {
        let start = Instant::now();
        self.inner.nearby().ok_or_else(far)?.hand(to, round, len, parcel)?;
        self.log.note(Seen::Sent(round as usize, to, len), start);
        Ok(())
    }

    fn take(&mut self, from: Party, round: u32, len: usize) -> Result<Parcel, NetError> {
        let start = Instant::now();
        let parcel = self.inner.nearby().ok_or_else(far)?.take(from, round, len)?;
        self.log.note(Seen::Received(round as usize, from), start);
        Ok(parcel)
    }
}

/// The error of a mesh that was in one process and is no more.
fn far() -> NetError {
    NetError::Start("peers are not in this process: a mistake in smlc".to_string())
}

/// What three parties' clocks saw of a whole run of the plan, from when the first of them has its inputs. The next run's
/// events are then noted anew.
#[must_use]
pub fn timeline(plan: &Plan, logs: &[Log; 3]) -> Timeline {
    let events = logs.each_ref().map(|log| rounds(plan, log.take()));
    let ready = events.each_ref().map(|(ready, _)| *ready);
    let Some(origin) = ready.into_iter().flatten().min() else { return Timeline::default() };
    let mut timeline = Timeline::default();
    for (party, (ready, events)) in Party::ALL.into_iter().zip(events) {
        let clock = Clock { origin, now: ready.unwrap_or(origin), slices: Vec::new(), messages: Vec::new() };
        let Clock { slices, messages, .. } = clock.follow(plan, party, &events);
        timeline.slices[party.index()] = slices;
        timeline.messages.extend(messages);
    }
    // A receiver that did not have to wait says nothing of when its message came; it had it when it took it.
    for message in &mut timeline.messages {
        let taken = timeline.slices[message.to.index()]
            .iter()
            .find(|slice| slice.round == message.round && slice.what == What::Wait(message.from, message.piece));
        message.arrived = taken.map_or(message.sent, |slice| slice.end.max(message.sent));
    }
    timeline.messages.sort_by(|a, b| a.sent.total_cmp(&b.sent));
    timeline
}

/// When a party had its inputs, and the events of its rounds.
fn rounds(plan: &Plan, events: Vec<Event>) -> (Option<Instant>, Vec<Event>) {
    let in_rounds = |event: &Event| match event.seen {
        Seen::Written => false,
        Seen::Launched(_) | Seen::Done(_) => true,
        Seen::Sent(round, ..) | Seen::Received(round, _) => round < plan.rounds.len(),
    };
    let first = events.iter().position(in_rounds).unwrap_or(events.len());
    let ready = events[..first].iter().rev().find(|event| event.seen == Seen::Written).map(|event| event.end);
    let ready = ready.or_else(|| events.get(first).map(|event| event.start));
    (ready, events.into_iter().filter(in_rounds).collect())
}

/// A party's events on the way to slices.
struct Clock {
    origin: Instant,
    /// The end of what is in slices.
    now: Instant,
    slices: Vec<Slice>,
    messages: Vec<Message>,
}

impl Clock {
    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.origin).as_secs_f64()
    }

    /// A slice from the last one's end.
    fn until(&mut self, end: Instant, what: What, round: usize) {
        let (start, end) = (self.seconds(self.now), self.seconds(end));
        self.slices.push(Slice { what, round, start, end });
    }

    fn follow(mut self, plan: &Plan, party: Party, events: &[Event]) -> Clock {
        let mut round = 0;
        // The number of the round's first step.
        let mut first = 0;
        // The message that is being unpacked.
        let mut unpacking: Option<(Party, usize)> = None;
        // Pieces of each message so far, by the other party and whether it receives.
        let mut pieces: BTreeMap<(usize, Party, bool), usize> = BTreeMap::new();
        let mut piece = |message| {
            let next = pieces.entry(message).or_default();
            *next += 1;
            *next - 1
        };
        if self.now > self.origin {
            let start = self.origin;
            let ready = std::mem::replace(&mut self.now, start);
            self.until(ready, What::Inputs, 0);
            self.now = ready;
        }
        for event in events {
            if let Some((from, round)) = unpacking.take() {
                self.until(event.start, What::Unpack(from), round);
                self.now = event.start;
            }
            match event.seen {
                Seen::Launched(site) => {
                    let Some(step) = site.checked_sub(first) else { continue };
                    self.until(event.end, What::Step(step), round);
                }
                Seen::Sent(round, to, bytes) => {
                    self.until(event.end, What::Pack, round);
                    let (sent, piece) = (self.seconds(event.end), piece((round, to, true)));
                    self.messages.push(Message { from: party, to, round, piece, bytes, sent, arrived: sent });
                }
                Seen::Received(round, from) => {
                    // What lies before is the end of the slice before.
                    self.now = self.now.max(event.start);
                    self.until(event.end, What::Wait(from, piece((round, from, false))), round);
                    unpacking = Some((from, round));
                }
                Seen::Done(rounds) => {
                    round = rounds;
                    first = plan.rounds[..round].iter().map(|round| round.steps.len()).sum();
                    continue;
                }
                Seen::Written => continue,
            }
            self.now = event.end;
        }
        self
    }
}
