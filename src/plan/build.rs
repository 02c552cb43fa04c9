//! Writes a plan: places each step in the earliest round in which its party has the operands.
//!
//! Protocols say what is computed and sent, in order; rounds follow from that. Independent operations therefore share
//! rounds, and a party that needs no message for its part (P0 in most protocols) is not held up by the others.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
use super::Plan;
use super::{Access, Buf, BufId, Kernel, Operand, Part, Party, Round, Send, Step, program};
use crate::fixed::Format;
use crate::span::Span;

mod both;
mod dead;
mod fuse;
mod into_parts;
mod map;
mod order;
#[cfg(test)]
pub(crate) mod samples;
mod split;

pub use map::{Map, Output};

/// A plan under construction.
#[derive(Debug)]
pub struct Builder {
    /// The number format; its ring width is K.
    pub format: Format,
    /// The expression that steps are written for.
    pub span: Option<Span>,
    bufs: Vec<Buf>,
    /// Round from which each buffer may be used.
    ready: Vec<u32>,
    rounds: Vec<Round>,
    parts: into_parts::Parts,
    /// Ring buffers that an element program wrote and that neither travel nor have parts: their storage can be elsewhere.
    movable: BTreeSet<BufId>,
    /// Of what buffers were joined: lengths, by the whole.
    joined: BTreeMap<BufId, Vec<usize>>,
    /// Buffers that are there before the first round.
    inputs: BTreeSet<BufId>,
    sent: [[u64; 3]; 3],
    streams: u32,
    floor: u32,
}

/// A fresh stream number: with each of the three keys it names one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId(pub u32);

impl Builder {
    /// An empty plan.
    #[must_use]
    pub fn new(format: Format) -> Builder {
        Builder {
            format,
            span: None,
            bufs: Vec::new(),
            ready: Vec::new(),
            rounds: Vec::new(),
            parts: BTreeMap::new(),
            movable: BTreeSet::new(),
            joined: BTreeMap::new(),
            inputs: BTreeSet::new(),
            sent: [[0; 3]; 3],
            streams: 0,
            floor: 0,
        }
    }

    /// Ring width K in bits.
    #[must_use]
    pub fn ring(&self) -> u32 {
        self.format.ring
    }

    /// A stream number never used before.
    pub fn stream(&mut self) -> StreamId {
        self.streams += 1;
        StreamId(self.streams - 1)
    }

    /// A buffer that is there before the first round.
    pub fn input(&mut self, party: Party, len: usize) -> BufId {
        let id = self.buf(Buf::ring(party, len, self.format.ring), 0);
        self.inputs.insert(id);
        id
    }

    /// Whether a buffer is there before the first round.
    #[must_use]
    pub fn is_input(&self, id: BufId) -> bool {
        self.inputs.contains(&id)
    }

    /// The round from which a buffer may be used.
    #[must_use]
    pub fn ready(&self, id: BufId) -> u32 {
        self.ready[id.index()]
    }

    /// Elements a plane of a buffer.
    #[must_use]
    pub fn len(&self, id: BufId) -> usize {
        self.bufs[id.index()].len
    }

    /// Elements `start..start + len` of a ring buffer, where they are. They are used so many rounds later than the buffer could
    /// be, unless the part is known already.
    pub fn part(&mut self, id: BufId, start: usize, len: usize, later: u32) -> BufId {
        let (of, offset) = self.bufs[id.index()].storage(id);
        if start == 0 && len == self.len(id) {
            return id;
        }
        let start = offset + start;
        if let Some(known) = self.parts.get(&(of, start, len)) {
            return *known;
        }
        self.movable.remove(&of);
        let whole = &self.bufs[of.index()];
        debug_assert!(whole.width > 1 && start + len <= whole.len, "{start} + {len} of {of}");
        let part = whole.section(of, start, len);
        let part = self.buf(part, self.ready(id) + later);
        self.parts.insert((of, start, len), part);
        part
    }

    /// The part that [`Builder::part`] gave or will give, if it is known; else the whole.
    #[must_use]
    pub fn known_part(&self, id: BufId, start: usize, len: usize) -> BufId {
        let (of, offset) = self.bufs[id.index()].storage(id);
        self.parts.get(&(of, offset + start, len)).copied().unwrap_or(id)
    }

    /// One buffer of what are buffers one after the other. No elements move when element programs wrote all of them,
    /// each to a buffer that it has for itself: those then become parts.
    pub fn join(&mut self, parts: &[BufId]) -> BufId {
        let [first, ..] = parts else { unreachable!("something is joined") };
        if parts.len() == 1 {
            return *first;
        }
        let Buf { party, width, .. } = self.bufs[first.index()];
        let lens: Vec<usize> = parts.iter().map(|id| self.len(*id)).collect();
        let len = lens.iter().sum();
        if parts.iter().any(|id| !self.movable.contains(id)) {
            let kernel = Kernel::Concat { outer: 1, chunks: lens };
            return self.launch_planes(party, kernel, parts, Buf::ring(party, len, width));
        }
        let ready = parts.iter().map(|id| self.ready(*id)).fold(0, u32::max);
        let whole = self.buf(Buf::ring(party, len, width), ready);
        self.joined.insert(whole, lens.clone());
        let mut start = 0;
        for (id, len) in parts.iter().zip(lens) {
            self.movable.remove(id);
            self.bufs[id.index()].part = Some(Part { of: whole, start });
            self.parts.insert((whole, start, len), *id);
            start += len;
        }
        whole
    }

    /// The lengths of what a buffer was joined of.
    #[must_use]
    pub fn seams(&self, id: BufId) -> Option<&[usize]> {
        self.joined.get(&id).map(Vec::as_slice)
    }

    /// Bytes that one party has to send another so far.
    #[must_use]
    pub fn sent(&self, from: Party, to: Party) -> u64 {
        self.sent[from.index()][to.index()]
    }

    /// No step is placed before the given round until the next call. Steps without operands (random bits) would
    /// otherwise all run, and send, at the very beginning.
    pub fn not_before(&mut self, round: u32) {
        self.floor = round;
    }

    fn buf(&mut self, buf: Buf, ready: u32) -> BufId {
        self.bufs.push(buf);
        self.ready.push(ready);
        BufId(self.bufs.len() as u32 - 1)
    }

    fn round(&mut self, index: u32) -> &mut Round {
        let index = index as usize;
        if self.rounds.len() <= index {
            self.rounds.resize_with(index + 1, Round::default);
        }
        &mut self.rounds[index]
    }

    fn place(&mut self, step: Step) {
        let round = step.ins.iter().map(|o| self.ready(o.buf)).fold(self.floor, u32::max);
        debug_assert!(step.ins.iter().all(|o| self.bufs[o.buf.index()].party == step.party), "{step:?}");
        for out in &step.outs {
            self.ready[out.index()] = round;
        }
        self.round(round).steps.push(step);
    }

    /// Launches a kernel other than `Map` on ring buffers; the result is a ring buffer of `len` elements.
    pub fn launch(&mut self, party: Party, kernel: Kernel, ins: &[BufId], len: usize) -> BufId {
        self.launch_planes(party, kernel, ins, Buf::ring(party, len, self.format.ring))
    }

    /// Launches a table lookup; each of its terms is a ring buffer of `len` elements.
    pub fn launch_all(&mut self, party: Party, kernel: Kernel, ins: &[BufId], len: usize) -> Vec<BufId> {
        let terms = if let Kernel::Lookup(table) = &kernel { table.terms.len() } else { 1 };
        let width = self.format.ring;
        let outs: Vec<BufId> = (0..terms).map(|_| self.buf(Buf::ring(party, len, width), 0)).collect();
        let ins = ins.iter().map(|b| Operand::from(*b)).collect();
        let span = self.span;
        let (streams, outs_too) = (Vec::new(), outs.clone());
        self.place(Step { party, kernel, ins, streams, outs: outs_too, once: false, span, free: Vec::new() });
        outs
    }

    /// Planes of a buffer.
    #[must_use]
    pub fn planes(&self, id: BufId) -> usize {
        self.bufs[id.index()].planes
    }

    /// Launches a kernel that moves bits; the result is one plane of `len` elements.
    pub fn launch_bits(&mut self, party: Party, kernel: Kernel, ins: &[BufId], len: usize) -> BufId {
        self.launch_planes(party, kernel, ins, Buf::bits(party, len, 1))
    }

    fn launch_planes(&mut self, party: Party, kernel: Kernel, ins: &[BufId], out: Buf) -> BufId {
        let out = self.buf(out, 0);
        let ins = ins.iter().map(|b| Operand::from(*b)).collect();
        let span = self.span;
        let (streams, outs) = (Vec::new(), vec![out]);
        self.place(Step { party, kernel, ins, streams, outs, once: false, span, free: Vec::new() });
        out
    }

    /// Sends a buffer to a peer in the round in which it is ready; it arrives for the next.
    pub fn send(&mut self, source: BufId, to: Party, name: &str) -> BufId {
        self.transfer(source, to, name, None)
    }

    /// Sends a summand of a value that is opened on purpose under the random bit `r`.
    pub fn send_opening(&mut self, source: BufId, to: Party, name: &str, r: StreamId) -> BufId {
        self.transfer(source, to, name, Some(r.0))
    }

    fn transfer(&mut self, source: BufId, to: Party, name: &str, opening: Option<u32>) -> BufId {
        let (from, round) = (self.bufs[source.index()].party, self.ready(source));
        self.movable.remove(&source);
        debug_assert!(self.bufs[source.index()].part.is_none(), "a part of a buffer does not travel");
        self.sent[from.index()][to.index()] += self.bufs[source.index()].wire_bytes() as u64;
        let target = self.buf(Buf { party: to, ..self.bufs[source.index()].clone() }, round + 1);
        let send =
            Send { from, to, source, target, name: name.to_string(), opening, span: self.span, free: Vec::new() };
        self.round(round).sends.push(send);
        target
    }

    /// Starts an element program over `len` ring elements.
    pub fn ring_map(&mut self, party: Party, name: &str, len: usize) -> Map<'_> {
        Map::new(self, party, name, len, false)
    }

    /// Starts an element program over the bit planes of `len` elements.
    pub fn plane_map(&mut self, party: Party, name: &str, len: usize) -> Map<'_> {
        Map::new(self, party, name, len, true)
    }

    /// A plan of nothing but what was built, for tests.
    #[cfg(test)]
    pub(crate) fn into_plan(self, kept: &[BufId]) -> Plan {
        let format = self.format;
        let (bufs, rounds) = self.finish(kept, false);
        let (entry, clear) = ("built".to_string(), String::new());
        Plan { entry, format, owners: vec![], clear, bufs, inputs: vec![], rounds, outputs: vec![], places: vec![] }
    }

    /// The finished parts: buffers and rounds, each step and transfer listing the buffers that die with it.
    /// `kept` outlive the last round. What nobody wants is left out. Element programs are `fused` where they can be; what is then never written keeps its
    /// number.
    #[must_use]
    pub fn finish(mut self, kept: &[BufId], fused: bool) -> (Vec<Buf>, Vec<Round>) {
        dead::drop(&self.bufs, &mut self.rounds, kept);
        for round in &mut self.rounds {
            order::sends_first(&self.bufs, round);
            order::once_first(&self.bufs, round);
        }
        if fused {
            split::split(&mut self.bufs, &mut self.parts, &mut self.rounds, kept);
            into_parts::merge(&mut self.bufs, &mut self.parts, &mut self.rounds, kept);
            fuse::fuse(&self.bufs, &mut self.rounds, kept);
            order::joint_next(&self.bufs, &mut self.rounds);
        }
        program::unite(&mut self.rounds);
        let storage: Vec<BufId> =
            self.bufs.iter().enumerate().map(|(id, buf)| buf.storage(BufId(id as u32)).0).collect();
        let mut dead: Vec<bool> = vec![true; self.bufs.len()];
        for id in kept {
            dead[storage[id.index()].index()] = false;
        }
        let mut last_use = |ids: &mut dyn Iterator<Item = BufId>, free: &mut Vec<BufId>| {
            for id in ids.map(|id| storage[id.index()]) {
                if std::mem::replace(&mut dead[id.index()], false) {
                    free.push(id);
                }
            }
        };
        for round in self.rounds.iter_mut().rev() {
            for send in round.sends.iter_mut().rev() {
                // A received buffer that nothing reads is the receiver's to forget; its later uses were seen already.
                last_use(&mut [send.source].into_iter(), &mut send.free);
            }
            for step in round.steps.iter_mut().rev() {
                let mut ids = step.ins.iter().map(|o| o.buf).chain(step.outs.iter().copied());
                last_use(&mut ids, &mut step.free);
            }
        }
        (self.bufs, self.rounds)
    }
}

impl From<BufId> for Operand {
    fn from(buf: BufId) -> Operand {
        Operand { buf, access: Access::Dense }
    }
}
