//! Packing and unpacking of messages, which leave by memory of the host or go to another GPU as they are.

use bytemuck::{bytes_of, cast_slice};

use super::gpu::failed;
use super::outbox::Packet;
use super::params::{LongDivisor, Packed};
use super::staging::Staging;
use super::{Cuda, ON_THEIR_WAY, address, no_memory};
use crate::backend::{BackendError, Parcel, Parcels, too_short};
use crate::plan::{Buf, BufId};

impl Cuda {
    /// Puts the packing of a message in line, to a place on the GPU.
    fn pack_to(&mut self, buffers: &[Packed], bytes: u64, out: u64) -> Result<(), BackendError> {
        let table = self.tables.place(&self.stream, cast_slice(buffers))?;
        let count = buffers.len() as u32;
        let parameters = [bytes_of(&table), bytes_of(&count), bytes_of(&out), bytes_of(&bytes)];
        self.call("pack", self.through(bytes.div_ceil(8) as usize), &parameters)
    }

    /// Puts the unpacking of a message in line, which has so many bytes and is at a place on the GPU.
    fn unpack_from(&mut self, bufs: &[Buf], ids: &[BufId], bytes: u64, from: u64) -> Result<(), BackendError> {
        for id in ids {
            self.places.make(*id)?;
        }
        let (buffers, wanted, all) = self.packing(bufs, ids)?;
        if bytes != wanted {
            return Err(too_short(bytes as usize));
        }
        if bytes == 0 {
            return Ok(());
        }
        let table = self.tables.place(&self.stream, cast_slice(&buffers))?;
        let count = buffers.len() as u32;
        let parameters = [bytes_of(&table), bytes_of(&count), bytes_of(&from), bytes_of(&bytes), bytes_of(&all)];
        self.call("unpack", self.through(all as usize), &parameters)
    }

    /// Puts the packing of a message in line, to memory that peers and copies can take it from.
    fn post_packet(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<Packet, BackendError> {
        let (buffers, bytes, _) = self.packing(bufs, ids)?;
        let (outbox, stream) = (self.outbox.clone(), self.stream.clone());
        outbox.pack(
            bytes,
            |words| {
                if bytes == 0 { Ok(()) } else { self.pack_to(&buffers, bytes, address(words, &stream)) }
            },
        )
    }

    /// Takes a message from where it was put, when it is there.
    fn take_packet(&mut self, bufs: &[Buf], ids: &[BufId], packet: Packet) -> Result<(), BackendError> {
        let from = packet.arrive(&self.stream, &mut self.message)?;
        let unpacked = self.unpack_from(bufs, ids, packet.bytes, from);
        packet.was_read(&self.stream)?;
        unpacked
    }

    /// Puts the packing of a message and its copy to the host in line.
    #[allow(unsafe_code, reason = "a copy that runs while the host goes on")]
    pub(super) fn begin(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<(), BackendError> {
        let packet = self.post_packet(bufs, ids)?;
        let bytes = packet.bytes as usize;
        let mut staging = self.spare.pop();
        Staging::with_room(&mut staging, &self.copying, bytes.div_ceil(8))?;
        let mut staging = staging.ok_or_else(no_memory)?;
        let from = packet.arrive(&self.copying, &mut self.message)?;
        // SAFETY: the packet has so many bytes there, until `was_read` comes on the same queue; memory is spare, or new, when nothing
        // is under way there.
        let fetched = if bytes > 0 { unsafe { staging.fetch(&self.copying, from, bytes) } } else { Ok(()) };
        packet.was_read(&self.copying)?;
        self.leaving.push_back((staging, bytes));
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
        self.stream.context().check_err().map_err(failed)
    }

    /// [`crate::backend::Backend::pack`].
    pub(super) fn pack_out(&mut self, bufs: &[Buf], ids: &[BufId], message: &mut Vec<u8>) -> Result<(), BackendError> {
        self.begin(bufs, ids)?;
        let begun = self.leaving.pop_back();
        self.finish(begun, message)
    }

    /// [`crate::backend::Backend::unpack`].
    pub(super) fn unpack_in(&mut self, bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
        let (inbox, copying) = (self.inbox.clone(), self.copying.clone());
        let packet = inbox.pack(message.len() as u64, |words| {
            if message.is_empty() {
                return Ok(());
            }
            self.next = (self.next + 1) % ON_THEIR_WAY;
            let staging = &mut self.arriving[self.next];
            Staging::with_room(staging, &copying, message.len().div_ceil(8))?.send(&copying, message, words)
        })?;
        self.take_packet(bufs, ids, packet)
    }

    /// What `pack` and `unpack` know of buffers, which are not empty, and the bytes and words of all.
    fn packing(&self, bufs: &[Buf], ids: &[BufId]) -> Result<(Vec<Packed>, u64, u64), BackendError> {
        let (mut byte, mut word) = (0, 0);
        let mut all = Vec::with_capacity(ids.len());
        for (id, buf) in ids.iter().map(|id| (*id, &bufs[id.index()])).filter(|(_, buf)| buf.words() > 0) {
            let (len, stride, planes) = (buf.len as u64, buf.stride() as u64, buf.planes as u64);
            let plane_bytes = buf.wire_bytes() as u64 / planes;
            all.push(Packed {
                words: self.address(self.places.find(id)?.start),
                len,
                stride,
                plane_bytes,
                byte,
                word,
                by_plane: LongDivisor::by(plane_bytes),
                by_stride: LongDivisor::by(stride),
                by_width: LongDivisor::by(u64::from(buf.width)),
                planes: buf.planes as u32,
                width: buf.width,
            });
            byte += buf.wire_bytes() as u64;
            word += buf.words() as u64;
        }
        Ok((all, byte, word))
    }
}

impl Parcels for Cuda {
    fn post(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<Parcel, BackendError> {
        Ok(Box::new(self.post_packet(bufs, ids)?))
    }

    fn take(&mut self, bufs: &[Buf], ids: &[BufId], parcel: Parcel) -> Result<(), BackendError> {
        let packet: Box<Packet> = parcel.downcast().map_err(|_| {
            BackendError::Device("a peer handed over what is no message: a mistake in smlc".to_string())
        })?;
        self.take_packet(bufs, ids, *packet)
    }
}
