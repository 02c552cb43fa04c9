//! Packing and unpacking of messages, which leave by memory of the host or go to another GPU as they are.

use std::convert::Infallible;

use bytemuck::cast_slice;
use smallvec::SmallVec;

use super::gpu::failed;
use super::lane::Queue;
use super::outbox::Packet;
use super::params::{LongDivisor, Packed};
use super::staging::Staging;
use super::{Cuda, ON_THEIR_WAY, element, kernels, no_memory};
use crate::backend::held::{At, Form, Way};
use crate::backend::{BackendError, Parcel, Parcels, too_short, wire};
use crate::plan::{Buf, BufId};

/// Whether a buffer's elements fill whole words of a message.
fn fills_words(buf: &Buf) -> bool {
    (buf.len as u64 * u64::from(buf.width)).is_multiple_of(64)
}

/// Where each of these buffers begins in the message of all, and the bytes of this.
fn begins(bufs: &[Buf], ids: &[BufId]) -> (SmallVec<[(BufId, usize); 8]>, u64) {
    let mut bytes = 0;
    let mut begins = SmallVec::with_capacity(ids.len());
    for id in ids {
        begins.push((*id, bytes));
        bytes += bufs[id.index()].wire_bytes();
    }
    (begins, bytes as u64)
}

impl Cuda {
    /// Puts the packing of buffers in line that begin at such bytes of a message, to a place on the GPU. They are the whole
    /// message, or fill whole words of it.
    fn pack_to(&mut self, bufs: &[Buf], begins: &[(BufId, usize)], bytes: u64, out: u64) -> Result<(), BackendError> {
        if bytes == 0 {
            return Ok(());
        }
        let (buffers, _) = self.packing(bufs, begins)?;
        let table = self.line.table(cast_slice(&buffers))?;
        let count = buffers.len() as u32;
        self.call(kernels::PACK, self.through(bytes.div_ceil(8) as usize), (table, count, out, bytes))
    }

    /// Puts the unpacking of buffers in line that begin at such bytes of a message, which has so many and is at a place on the
    /// GPU.
    fn unpack_from(
        &mut self,
        bufs: &[Buf],
        begins: &[(BufId, usize)],
        bytes: u64,
        from: u64,
    ) -> Result<(), BackendError> {
        let (buffers, all) = self.packing(bufs, begins)?;
        if all == 0 {
            return Ok(());
        }
        let table = self.line.table(cast_slice(&buffers))?;
        let count = buffers.len() as u32;
        self.call(kernels::UNPACK, self.through(all as usize), (table, count, from, bytes, all))
    }

    /// Begins a message of buffers that are still to be computed, where these fill whole words: element programs pack them.
    fn open(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<(), BackendError> {
        let (_, bytes) = begins(bufs, ids);
        if bytes > 0 && ids.iter().all(|id| fills_words(&bufs[id.index()])) {
            let packet = self.outbox.begin(&self.line, bytes)?;
            let places = &self.places;
            self.messages.open(bufs, ids, packet, |id| places.passes(id));
        }
        Ok(())
    }

    /// Puts the packing of a message in line, to memory that peers and copies can take it from; of one that was begun, of
    /// what is not packed yet.
    fn post_packet(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<Packet, BackendError> {
        let (all, bytes) = begins(bufs, ids);
        let mut packet = match self.close(ids) {
            Some((packet, unwritten)) => {
                for (id, begin) in all.into_iter().filter(|(id, _)| unwritten.contains(id)) {
                    let bytes = bufs[id.index()].wire_bytes() as u64;
                    self.pack_to(bufs, &[(id, 0)], bytes, packet.address() + begin as u64)?;
                }
                packet
            }
            None => {
                let packet = self.outbox.begin(&self.line, bytes)?;
                self.pack_to(bufs, &all, bytes, packet.address())?;
                packet
            }
        };
        packet.ready(&self.line)?;
        Ok(packet)
    }

    /// A message that was begun with these buffers, and those of them that are not packed yet.
    fn close(&mut self, ids: &[BufId]) -> Option<(Packet, SmallVec<[BufId; 8]>)> {
        let number = self.messages.opened(ids)?;
        let mut unwritten = SmallVec::new();
        let places = &mut self.places;
        let packet = self.messages.close(number, |_, id, at| {
            match at {
                Some(At { alone: true, .. }) => places.free(id),
                Some(_) => {}
                None => unwritten.push(id),
            }
            Ok::<(), Infallible>(())
        })?;
        packet.ok().map(|packet| (packet, unwritten))
    }

    /// Takes a message from where it was put, when it is there. What passes stays there, if that is on this GPU.
    fn take_packet(&mut self, bufs: &[Buf], ids: &[BufId], packet: Packet) -> Result<(), BackendError> {
        let from = packet.arrive(&self.gpu, &self.line, &mut self.message)?;
        let (all, bytes) = begins(bufs, ids);
        let here = packet.is_on(self.line.ahead());
        let stays = |(id, begin): &(BufId, usize)| {
            here && self.places.passes(*id) && begin.is_multiple_of(8) && fills_words(&bufs[id.index()])
        };
        let (passing, others): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) = all.into_iter().partition(stays);
        let unpacked = if packet.bytes == bytes {
            let made = ids.iter().try_for_each(|id| self.places.make(*id).map(drop));
            made.and_then(|()| self.unpack_from(bufs, &others, bytes, from))
        } else {
            Err(too_short(packet.bytes as usize))
        };
        let passing = if unpacked.is_ok() { &passing[..] } else { &[] };
        if let Some(packet) = self.messages.keep(bufs, passing, packet) {
            self.line.was_read(packet);
        }
        unpacked
    }

    /// Where an operand of an element program is, and the bytes of a plane.
    pub(super) fn source(&self, bufs: &[Buf], id: BufId) -> Result<[u64; 2], BackendError> {
        let buf = &bufs[id.index()];
        match self.messages.at(id, Way::In).and_then(|at| Some((at, self.messages.message(at)?))) {
            Some((at, packet)) => Ok([packet.address() + at.start as u64, wire::plane_bytes(buf) as u64]),
            None => Ok([self.operand(bufs, id)?, 8 * buf.stride() as u64]),
        }
    }

    /// Where a result of an element program goes, which is there from now on: the places of its words, each with the bytes of
    /// a plane, and the place where it is packed.
    pub(super) fn targets(&mut self, bufs: &[Buf], id: BufId, form: Form) -> Result<SmallVec<[u64; 4]>, BackendError> {
        let buf = &bufs[id.index()];
        let mut all = SmallVec::new();
        if form.has_words() {
            all.extend([self.operand(bufs, id)?, 8 * buf.stride() as u64]);
        }
        if form.is_packed() {
            let at = self.messages.write(id).cloned();
            let to = at.and_then(|at| Some(self.messages.message(&at)?.address() + at.start as u64));
            all.push(to.ok_or(BackendError::Missing(id))?);
            if element::written(buf, form).packed.is_none() {
                all.push(wire::plane_bytes(buf) as u64);
            }
        }
        Ok(all)
    }

    /// The words of a buffer that is in a message only.
    pub(super) fn in_message(&self, id: BufId) -> Result<Option<Vec<u64>>, BackendError> {
        let Some(at) = self.messages.alone(id) else { return Ok(None) };
        let Some(words) = self.messages.message(at).and_then(Packet::memory) else { return Ok(None) };
        let size = at.buf.wire_bytes();
        let part = words.slice(at.start / 8..(at.start + size) / 8);
        let stream = self.line.stream()?;
        let packed = stream.clone_dtoh(&part).map_err(failed)?;
        stream.synchronize().map_err(failed)?;
        Ok(Some(wire::unpack(&at.buf, cast_slice(&packed))))
    }

    /// Puts the packing of a message and its copy to the host in line.
    #[allow(unsafe_code, reason = "a copy that runs while the host goes on")]
    pub(super) fn pack_to_host(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<(), BackendError> {
        let packet = self.post_packet(bufs, ids)?;
        self.line.flush()?;
        let bytes = packet.bytes as usize;
        let mut staging = self.spare.pop();
        Staging::with_room(&mut staging, self.copying.stream(), bytes.div_ceil(8))?;
        let mut staging = staging.ok_or_else(no_memory)?;
        let from = packet.arrive(&self.gpu, &self.copying, &mut self.message)?;
        let stream = self.copying.stream();
        // SAFETY: the packet has so many bytes there, until it goes back behind the copy on the same queue; memory is spare, or new, when nothing
        // is under way there.
        let fetched = if bytes > 0 { unsafe { staging.fetch(stream, from, bytes) } } else { Ok(()) };
        packet.goes_back(&self.copying.mark()?);
        match fetched {
            Ok(()) => self.leaving.push_back((staging, bytes)),
            Err(_) => self.spare.push(staging),
        }
        fetched
    }

    /// Appends a message that was begun, when it is there.
    pub(super) fn finish(
        &mut self,
        begun: Option<(Staging, usize)>,
        message: &mut Vec<u8>,
    ) -> Result<(), BackendError> {
        let Some((mut staging, bytes)) = begun else {
            return Err(BackendError::Device("no message was begun: a mistake in smlc".to_string()));
        };
        message.extend_from_slice(staging.fetched(bytes)?);
        self.spare.push(staging);
        self.line.ahead().context().check_err().map_err(failed)
    }

    /// [`crate::backend::Backend::pack`].
    pub(super) fn pack_out(&mut self, bufs: &[Buf], ids: &[BufId], message: &mut Vec<u8>) -> Result<(), BackendError> {
        self.pack_to_host(bufs, ids)?;
        let begun = self.leaving.pop_back();
        self.finish(begun, message)
    }

    /// [`crate::backend::Backend::unpack`].
    pub(super) fn unpack_in(&mut self, bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
        let mut packet = self.inbox.begin(&self.copying, message.len() as u64)?;
        if let Some(words) = packet.words().filter(|_| !message.is_empty()) {
            self.next = (self.next + 1) % ON_THEIR_WAY;
            let staging = &mut self.arriving[self.next];
            let stream = self.copying.stream();
            Staging::with_room(staging, stream, message.len().div_ceil(8))?.send(stream, message, words)?;
        }
        packet.ready(&self.copying)?;
        self.take_packet(bufs, ids, packet)
    }

    /// What `pack` and `unpack` know of the buffers that are not empty, which begin at such bytes of a message; and the words
    /// of all.
    fn packing(&self, bufs: &[Buf], begins: &[(BufId, usize)]) -> Result<(Vec<Packed>, u64), BackendError> {
        let mut word = 0;
        let mut all = Vec::with_capacity(begins.len());
        for (id, begin) in begins {
            let buf = &bufs[id.index()];
            if buf.words() == 0 {
                continue;
            }
            let (len, stride) = (buf.len as u64, buf.stride() as u64);
            let plane_bytes = wire::plane_bytes(buf) as u64;
            all.push(Packed {
                words: self.address(self.places.find(*id)?.start)?,
                len,
                stride,
                plane_bytes,
                byte: *begin as u64,
                word,
                by_plane: LongDivisor::by(plane_bytes),
                by_stride: LongDivisor::by(stride),
                by_width: LongDivisor::by(u64::from(buf.width)),
                planes: buf.planes as u32,
                width: buf.width,
            });
            word += buf.words() as u64;
        }
        Ok((all, word))
    }
}

impl Parcels for Cuda {
    fn begin(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<(), BackendError> {
        self.open(bufs, ids)
    }

    fn post(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<Parcel, BackendError> {
        Ok(Box::new(self.post_packet(bufs, ids)?))
    }

    fn leave(&mut self) -> Result<(), BackendError> {
        self.line.flush()
    }

    fn idle(&mut self) -> Result<(), BackendError> {
        self.line.idle()
    }

    fn take(&mut self, bufs: &[Buf], ids: &[BufId], parcel: Parcel) -> Result<(), BackendError> {
        let packet: Box<Packet> = parcel.downcast().map_err(|_| {
            BackendError::Device("a peer handed over what is no message: a mistake in smlc".to_string())
        })?;
        self.take_packet(bufs, ids, *packet)
    }
}
