//! One party's session over a plan, without sockets or clock: it follows the party's [`Course`] and hands what it sends
//! to a [`Link`], which gives it what it receives.

use smallvec::SmallVec;

use super::RunError;
use crate::backend::{Backend, BackendError, Fill, Launch, Messages, StreamKey};
use crate::net::{Nearby, NetError, Parcel};
use crate::plan::course::{Action, Course, Piece};
use crate::plan::joint::TOGETHER;
use crate::plan::layout::Layout;
use crate::plan::{BufId, Party, Plan, Send, Step, kept};
use crate::span::Span;

/// What lies between a party and the two others.
pub trait Link {
    /// A vector for a payload, with whatever is in it: if possible one that was [`Link::done`] with and has room for so many
    /// bytes.
    fn spare(&mut self, bytes: usize) -> Vec<u8> {
        Vec::with_capacity(bytes)
    }

    /// Takes a payload back that has been read.
    fn done(&mut self, payload: Vec<u8>) {
        drop(payload);
    }

    /// Sends a piece of a message.
    ///
    /// # Errors
    /// [`NetError`], whichever party is at fault.
    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError>;

    /// Says that a piece will be received, so that it can come while the party computes; in the order of [`Link::receive`]
    /// for each sender.
    fn expect(&mut self, piece: &Piece);

    /// Waits for a piece, which has `piece.bytes` bytes.
    ///
    /// # Errors
    /// [`NetError`], whichever party is at fault.
    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError>;

    /// The way to and from a peer whose device is like this party's and in the same process, so that messages need not leave
    /// them.
    fn nearby(&mut self, _peer: Party) -> Option<&mut dyn Nearby> {
        None
    }
}

/// Bytes of payloads that are written or read beside those of a round.
const UNDER_WAY: usize = 1 << 20;

/// A party in the middle of a plan.
#[derive(Debug)]
pub struct Session<'p, B> {
    plan: &'p Plan,
    party: Party,
    backend: B,
    course: Course,
    /// The number of each round's first step among those of the plan, and of its first message, which count on behind all steps.
    sites: Vec<usize>,
    sends: Vec<usize>,
    taken: Vec<Taken>,
    /// Which buffers are on the device for this run, by number.
    held: Vec<bool>,
    /// Which of these were loaded for this run.
    fresh: Vec<bool>,
    /// Bytes of what is held, now and at most.
    live: u64,
    peak: u64,
    /// What stays on the device for the next run, in order.
    kept: Vec<BufId>,
}

/// A message that is being packed while the device is given further launches.
enum Begun {
    /// To leave as bytes.
    Bytes,
    /// To leave as what stands for it.
    Parcel(Parcel),
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

impl<'p, B: Backend> Session<'p, B> {
    /// A session whose inputs are still to be loaded. What further runs need of them stays on the device
    /// ([`Session::again`], [`kept::kept`]) if they are `kept`.
    ///
    /// # Errors
    /// If the device has no room for the plan's buffers, with the line of the model that needs most.
    pub fn new(plan: &'p Plan, party: Party, backend: B, kept: bool) -> Result<Session<'p, B>, RunError> {
        Session::admitted(plan, party, backend, kept, |_| Ok(()))
    }

    /// The same, if `admit` has nothing against so many bytes of buffers.
    pub(super) fn admitted(
        plan: &'p Plan,
        party: Party,
        mut backend: B,
        kept: bool,
        admit: impl FnOnce(u64) -> Result<(), BackendError>,
    ) -> Result<Session<'p, B>, RunError> {
        let layout = Layout::of(plan, party, kept);
        let reserved = admit(layout.bytes()).and_then(|()| backend.reserve(layout));
        reserved.map_err(|error| RunError::room(plan, party, error))?;
        let course = Course::of(plan, party);
        let sends = plan.rounds.iter().flat_map(|round| &round.sends).filter(|send| send.to == party);
        let taken = Vec::with_capacity(sends.count());
        let kept = if kept { kept::kept(plan, party) } else { Vec::new() };
        let (held, fresh) = (vec![false; plan.bufs.len()], vec![false; plan.bufs.len()]);
        let first = |next: &mut usize, steps: usize| Some(std::mem::replace(next, *next + steps));
        let sites = plan.rounds.iter().map(|round| round.steps.len()).scan(0, first).collect();
        let steps = plan.rounds.iter().map(|round| round.steps.len()).sum();
        let sends = plan.rounds.iter().map(|round| round.sends.len()).scan(steps, first).collect();
        Ok(Session { plan, party, backend, course, sites, sends, taken, held, fresh, live: 0, peak: 0, kept })
    }

    /// Begins another run on the inputs that were kept, with other keys: those of the run before must not serve again.
    ///
    /// # Errors
    /// If the device fails.
    pub fn again(&mut self, keys: [StreamKey; 2]) -> Result<(), RunError> {
        let rekeyed = self.backend.rekey(keys);
        rekeyed.map_err(|e| self.located(RunError::before(self.plan, e)))?;
        self.taken.clear();
        for id in (0..self.held.len()).map(|at| BufId(at as u32)) {
            if self.held[id.index()] && !self.fresh[id.index()] {
                self.free(id);
            }
        }
        let kept = std::mem::take(&mut self.kept);
        self.grow(&kept);
        self.kept = kept;
        Ok(())
    }

    /// The party.
    pub fn party(&self) -> Party {
        self.party
    }

    /// What the party does one after the other.
    #[must_use]
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// Bytes of payloads that serve again in further rounds and runs: what comes in a round and leaves in the next, and some that
    /// are on their way.
    #[must_use]
    pub fn spare_bytes(&self) -> usize {
        2 * self.course.most_sent() + UNDER_WAY
    }

    /// Fills one of this party's buffers. In a further run, an owner's inputs come all together or not at all.
    ///
    /// # Errors
    /// If the device refuses.
    pub fn load(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        self.backend.write(id, fill)?;
        self.grow(&[id]);
        self.fresh[id.index()] = true;
        Ok(())
    }

    /// Counts what was written to these buffers, or to the ones of which they are parts.
    fn grow(&mut self, ids: &[BufId]) {
        for id in ids {
            let id = self.plan.buf(*id).storage(*id).0;
            if !std::mem::replace(&mut self.held[id.index()], true) {
                self.live = self.live.saturating_add(self.plan.buf(id).memory_bytes());
            }
        }
        self.peak = self.peak.max(self.live);
    }

    fn free(&mut self, id: BufId) {
        if self.kept.binary_search(&id).is_err() {
            self.backend.free(id);
        }
        if std::mem::replace(&mut self.held[id.index()], false) {
            self.live = self.live.saturating_sub(self.plan.buf(id).memory_bytes());
        }
    }

    /// Does what this party does in a round; in the one behind the last it takes what is left to receive.
    ///
    /// # Errors
    /// The device's or the network's, with the line of the model.
    pub fn round(&mut self, number: usize, link: &mut dyn Link) -> Result<(), RunError> {
        let actions = std::mem::take(&mut self.course.rounds[number]);
        for action in &actions {
            if let Action::Receive(piece) = action {
                link.expect(piece);
            }
        }
        let result = self.follow(number, &actions, link);
        self.course.rounds[number] = actions;
        if number == self.plan.rounds.len() {
            self.fresh.fill(false);
        }
        result.map_err(|error| self.located(error))
    }

    /// An error with the lines of what may have failed, where the device knows.
    fn located(&self, error: RunError) -> RunError {
        let RunError::Device { cause: cause @ BackendError::Launched(_), place } = error else { return error };
        let mut lines: Vec<Span> = self.backend.stopped().into_iter().filter_map(|site| self.line(site)).collect();
        lines.sort();
        match lines[..] {
            [] => RunError::Device { cause, place },
            [first, .., last] => RunError::between(self.plan, cause, [first, last]),
            [one] => RunError::device(self.plan, cause, Some(one)),
        }
    }

    /// The line of a step, or of a message, by its number.
    fn line(&self, site: usize) -> Option<Span> {
        let (steps, sends) = (&self.sites, &self.sends);
        let round = |firsts: &[usize]| firsts.partition_point(|first| *first <= site).checked_sub(1);
        match round(sends) {
            Some(at) => self.plan.rounds[at].sends.get(site - sends[at])?.span,
            None => round(steps).and_then(|at| self.plan.rounds[at].steps.get(site - steps[at])?.span),
        }
    }

    /// The number of a message, by one of its parts that has a line.
    fn site(&self, piece: &Piece) -> Option<usize> {
        let sends = &self.plan.rounds[piece.round].sends;
        let at = piece.sends.iter().find(|at| sends[**at].span.is_some()).or(piece.sends.first())?;
        Some(self.sends[piece.round] + at)
    }

    /// Does a round's actions in order, but for messages that the device packs while it is given further launches: those
    /// leave before the party waits for one, and at the end.
    fn follow(&mut self, number: usize, actions: &[Action], link: &mut dyn Link) -> Result<(), RunError> {
        let plan = self.plan;
        let mut begun: SmallVec<[(&Piece, Begun); 8]> = SmallVec::new();
        let mut open: SmallVec<[(&Piece, usize); 8]> = SmallVec::new();
        for action in actions {
            match action {
                Action::Begin(piece) => {
                    open.extend(self.begin(piece, link)?.map(|message| (piece, message)));
                }
                Action::Launch(steps) => match steps[..] {
                    [at] => self.step(number, at)?,
                    _ => self.together(number, steps)?,
                },
                Action::Send(piece) => {
                    let opened = open.iter().position(|(of, _)| *of == piece).map(|at| open.swap_remove(at).1);
                    begun.extend(self.send(piece, opened, link)?.map(|begun| (piece, begun)));
                }
                Action::Receive(piece) => {
                    self.leave(&mut begun, link)?;
                    self.receive(piece, link)?;
                }
                Action::Free => {
                    let me = self.party;
                    let sends = plan.rounds[number].sends.iter().filter(|send| send.from == me);
                    sends.flat_map(|send| &send.free).for_each(|id| self.free(*id));
                }
            }
        }
        self.leave(&mut begun, link)
    }

    /// Begins a piece that the next step writes something of, if the device writes into messages; its number, if it has one.
    fn begin(&mut self, piece: &Piece, link: &mut dyn Link) -> Result<Option<usize>, RunError> {
        let plan = self.plan;
        let refused = |e| RunError::device(plan, e, span(plan, piece));
        if let Some(device) = self.backend.parcels() {
            return device.begin(&plan.bufs, &piece.sources).map(|()| None).map_err(refused);
        }
        let Some(device) = self.backend.messages() else { return Ok(None) };
        if !device.is_worth(piece.bytes) {
            return Ok(None);
        }
        give_back(device, link);
        let mut payload = link.spare(piece.bytes);
        payload.resize(piece.bytes, 0);
        let opened = device.open(&plan.bufs, &piece.sources, payload);
        opened.map(Some).map_err(refused)
    }

    /// Sends a piece, which was `opened` or not, or tells as what it is still to leave.
    fn send(&mut self, piece: &Piece, opened: Option<usize>, link: &mut dyn Link) -> Result<Option<Begun>, RunError> {
        let plan = self.plan;
        let ids = &piece.sources[..];
        self.site(piece).into_iter().for_each(|site| self.backend.serve(site));
        let refused = |e| RunError::device(plan, e, span(plan, piece));
        let lost = |e| failed(plan, piece, e);
        if let (Some(number), Some(device)) = (opened, self.backend.messages()) {
            let payload = device.close(&plan.bufs, number).map_err(refused)?;
            link.send(piece, payload).map_err(lost)?;
            return Ok(None);
        }
        if let (Some(_), Some(device)) = (link.nearby(piece.to), self.backend.parcels()) {
            return device.post(&plan.bufs, ids).map(|parcel| Some(Begun::Parcel(parcel))).map_err(refused);
        }
        if self.backend.pack_ahead(&plan.bufs, ids).map_err(refused)? {
            return Ok(Some(Begun::Bytes));
        }
        let mut payload = link.spare(piece.bytes);
        payload.clear();
        self.backend.pack(&plan.bufs, ids, &mut payload).map_err(refused)?;
        link.send(piece, payload).map_err(lost)?;
        Ok(None)
    }

    /// Waits for a piece and takes it.
    fn receive(&mut self, piece: &Piece, link: &mut dyn Link) -> Result<(), RunError> {
        let plan = self.plan;
        let ids = &piece.targets[..];
        self.site(piece).into_iter().for_each(|site| self.backend.serve(site));
        let refused = |e| RunError::device(plan, e, span(plan, piece));
        let lost = |e| failed(plan, piece, e);
        if let (Some(near), Some(device)) = (link.nearby(piece.from), self.backend.parcels()) {
            device.idle().map_err(refused)?;
            let parcel = near.take(piece.from, piece.round as u32, piece.bytes).map_err(lost)?;
            device.take(&plan.bufs, ids, parcel).map_err(refused)?;
        } else {
            if let Some(device) = self.backend.parcels() {
                device.leave().map_err(refused)?;
            }
            let payload = link.receive(piece).map_err(lost)?;
            if let Some(device) = self.backend.messages() {
                device.keep(&plan.bufs, ids, payload).map_err(refused)?;
                give_back(device, link);
            } else {
                self.backend.unpack(&plan.bufs, ids, &payload).map_err(refused)?;
                link.done(payload);
            }
        }
        self.grow(ids);
        for number in &piece.sends {
            let Send { target, opening, .. } = &plan.rounds[piece.round].sends[*number];
            let (round, bytes) = (piece.round, plan.buf(*target).wire_bytes());
            self.taken.push(Taken { round, send: *number, by: self.party, bytes, opening: *opening });
        }
        Ok(())
    }

    /// Sends the messages that were begun.
    fn leave(&mut self, begun: &mut SmallVec<[(&Piece, Begun); 8]>, link: &mut dyn Link) -> Result<(), RunError> {
        let plan = self.plan;
        let refused = |piece: &Piece, e| RunError::device(plan, e, span(plan, piece));
        if let (Some((piece, _)), Some(device)) = (begun.first(), self.backend.parcels()) {
            device.leave().map_err(|e| refused(piece, e))?;
        }
        for (piece, begun) in begun.drain(..) {
            let lost = |e| failed(plan, piece, e);
            if let (Begun::Parcel(parcel), Some(near)) = (begun, link.nearby(piece.to)) {
                near.hand(piece.to, piece.round as u32, piece.bytes, parcel).map_err(lost)?;
                continue;
            }
            let mut payload = link.spare(piece.bytes);
            payload.clear();
            self.backend.packed(&mut payload).map_err(|e| refused(piece, e))?;
            link.send(piece, payload).map_err(lost)?;
        }
        Ok(())
    }

    /// Launches steps that may run as one, if the device can.
    fn together(&mut self, number: usize, launched: &[usize]) -> Result<(), RunError> {
        let plan = self.plan;
        let steps = || launched.iter().map(|at| &plan.rounds[number].steps[*at]);
        let refused = |step: &Step, e| RunError::device(plan, e, step.span);
        let launches: SmallVec<[Launch<'p>; TOGETHER]> = launched.iter().map(|at| self.launch(number, *at)).collect();
        if let Some(device) = self.backend.joint() {
            device
                .launch_together(&launches)
                .map_err(|(at, e)| refused(&plan.rounds[number].steps[launched[at]], e))?;
        } else {
            for (launch, step) in launches.into_iter().zip(steps()) {
                self.backend.launch(launch).map_err(|e| refused(step, e))?;
            }
        }
        steps().for_each(|step| self.grow(&step.outs));
        steps().flat_map(|step| &step.free).for_each(|id| self.free(*id));
        Ok(())
    }

    fn launch(&self, number: usize, at: usize) -> Launch<'p> {
        let Plan { rounds, bufs, .. } = self.plan;
        let Step { kernel, ins, streams, outs, .. } = &rounds[number].steps[at];
        Launch { kernel, ins, streams, outs, bufs, site: Some(self.sites[number] + at) }
    }

    fn step(&mut self, number: usize, at: usize) -> Result<(), RunError> {
        let step = &self.plan.rounds[number].steps[at];
        let storage = |id: BufId| self.plan.buf(id).storage(id).0.index();
        let known = || step.outs.iter().all(|id| self.held[storage(*id)]);
        if step.once && known() && !step.ins.iter().any(|operand| self.fresh[storage(operand.buf)]) {
            return Ok(());
        }
        let launched = self.backend.launch(self.launch(number, at));
        launched.map_err(|e| RunError::device(self.plan, e, step.span))?;
        self.grow(&step.outs);
        step.free.iter().for_each(|id| self.free(*id));
        Ok(())
    }

    /// Waits until all rounds so far have been computed.
    ///
    /// # Errors
    /// If a launch failed, with the lines of what was not known to have run, or that of the last.
    pub fn settle(&mut self) -> Result<(), RunError> {
        let settled = self.backend.settle();
        settled.map_err(|e| self.located(RunError::device(self.plan, e, self.last())))
    }

    /// The line of the last step.
    fn last(&self) -> Option<Span> {
        let steps = self.plan.rounds.iter().rev().flat_map(|round| round.steps.iter().rev());
        steps.filter(|step| step.party == self.party).find_map(|step| step.span)
    }

    /// The packed output buffers this party contributes, in the plan's order; none for P2. The first that fits into `room`,
    /// which is empty, is written there.
    ///
    /// # Errors
    /// If a buffer is missing or the device fails, with the line as for [`Session::settle`].
    pub fn outputs(&mut self, room: Vec<u8>) -> Result<Vec<Vec<u8>>, RunError> {
        let (plan, last, mut room) = (self.plan, self.last(), Some(room));
        let me = self.party.index();
        let mine = plan.outputs.iter().filter_map(|o| o.bufs.get(me));
        mine.map(|id| {
            let size = plan.buf(*id).wire_bytes();
            let mut bytes = room.take_if(|room| room.capacity() >= size).unwrap_or_default();
            let packed = self.backend.pack(&plan.bufs, &[*id], &mut bytes);
            packed.map(|()| bytes).map_err(|e| self.located(RunError::device(plan, e, last)))
        })
        .collect()
    }

    /// The transfers that arrived so far.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// The most bytes of buffers that were on the device at once, in any run.
    pub fn live_bytes(&self) -> u64 {
        self.peak
    }

    /// The device, to inspect a run in tests.
    pub fn backend(&self) -> &B {
        &self.backend
    }
}

/// Gives payloads back that the device has read to the end.
fn give_back(device: &mut dyn Messages, link: &mut dyn Link) {
    while let Some(payload) = device.done() {
        link.done(payload);
    }
}

/// A network error, with the line of the model that the message serves.
fn failed(plan: &Plan, piece: &Piece, cause: NetError) -> RunError {
    RunError::net(plan, cause, Some((piece.round, span(plan, piece))))
}

/// The line that a message serves, or another of its round.
fn span(plan: &Plan, piece: &Piece) -> Option<Span> {
    let sends = &plan.rounds[piece.round].sends;
    piece.sends.iter().find_map(|at| sends[*at].span).or_else(|| sends.iter().find_map(|s| s.span))
}
