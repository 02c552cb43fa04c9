//! Messages that element programs write into and read from: what is only sent, or only received, is never written out as
//! words.

use smallvec::SmallVec;

use super::Cpu;
use crate::backend::held::{At, Held};
use crate::backend::{BackendError, Launch, Messages, too_short, wire};
use crate::plan::program::ROOM;
use crate::plan::{Buf, BufId, Kernel};

/// Bytes of each operand and each result of launches; none for those that are in no message.
#[derive(Default)]
pub(super) struct Bytes<'m> {
    pub ins: SmallVec<[&'m [u8]; ROOM]>,
    pub outs: SmallVec<[&'m mut [u8]; ROOM]>,
}

/// The bytes of launches' operands and, of element programs, results, to lists that are empty: these are the buffers' from now on.
pub(super) fn bytes<'m, 'l>(
    held: &'m mut Held<Vec<u8>>,
    launches: impl Iterator<Item = &'l Launch<'l>> + Clone,
    Bytes { ins, outs }: &mut Bytes<'m>,
) {
    let mut order: SmallVec<[(usize, usize, usize, usize); ROOM]> = SmallVec::new();
    let results = launches.clone().flat_map(|launch| launch.outs.iter().map(move |id| (*id, launch.kernel)));
    for (number, (id, kernel)) in results.enumerate() {
        outs.push(&mut []);
        if let Kernel::Map(_) = kernel {
            order.extend(held.write(id).map(|at| (at.message, at.start, at.buf.wire_bytes(), number)));
        }
    }
    order.sort_unstable();
    let mut order = order.into_iter().peekable();
    let (sent, received) = held.sent_mut();
    for (message, bytes) in sent {
        let (mut rest, mut passed) = (&mut bytes[..], 0);
        while let Some((_, start, size, number)) = order.next_if(|(of, ..)| *of == message) {
            let (mine, behind) = rest[start - passed..].split_at_mut(size);
            outs[number] = mine;
            (rest, passed) = (behind, start + size);
        }
    }
    ins.extend(launches.flat_map(|launch| launch.ins).map(|operand| match received.find(operand.buf) {
        Some((at, message)) => packed(at, message),
        None => &[][..],
    }));
}

/// Whether a buffer's bytes in a message are its words, where words can lie.
pub(super) fn alike(at: &At, message: &[u8]) -> bool {
    let whole = match at.buf.width {
        1 => at.buf.len.is_multiple_of(64),
        width => width == 64,
    };
    cfg!(target_endian = "little") && whole && bytemuck::try_cast_slice::<u8, u64>(packed(at, message)).is_ok()
}

/// The bytes of a buffer in a message.
pub(super) fn packed<'m>(at: &At, message: &'m [u8]) -> &'m [u8] {
    &message[at.start..at.start + at.buf.wire_bytes()]
}

/// Refuses a message of another length than its buffers'.
fn expect(bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
    let bytes: usize = ids.iter().map(|id| bufs[id.index()].wire_bytes()).sum();
    if message.len() == bytes { Ok(()) } else { Err(too_short(message.len())) }
}

/// Messages, and buffers of received ones, from so many bytes on are written and read in place: what is smaller stays in the
/// nearest caches in any case, and launches take longer to find it in a message than to copy it.
pub(super) const LEAST: usize = 16 << 10;

impl Messages for Cpu {
    fn is_worth(&mut self, bytes: usize) -> bool {
        bytes >= self.least
    }

    fn open(&mut self, bufs: &[Buf], ids: &[BufId], message: Vec<u8>) -> Result<usize, BackendError> {
        expect(bufs, ids, &message)?;
        let places = &self.memory.places;
        Ok(self.messages.open(bufs, ids, message, |id| places.passes(id)))
    }

    fn close(&mut self, bufs: &[Buf], number: usize) -> Result<Vec<u8>, BackendError> {
        let memory = &mut self.memory;
        let mut start = 0;
        let closed = self.messages.close(number, |message, id, at| {
            let buf = &bufs[id.index()];
            let end = start + buf.wire_bytes();
            match at {
                Some(At { alone: true, .. }) => memory.places.free(id),
                Some(_) => {}
                None => wire::pack_to(buf, &memory.words()[memory.places.find(id)?], &mut message[start..end]),
            }
            start = end;
            Ok(())
        });
        closed.unwrap_or_else(|| Err(BackendError::Device("no message was begun: a mistake in smlc".to_string())))
    }

    fn keep(&mut self, bufs: &[Buf], ids: &[BufId], message: Vec<u8>) -> Result<(), BackendError> {
        expect(bufs, ids, &message)?;
        let memory = &mut self.memory;
        let mut passing: SmallVec<[(BufId, usize); ROOM]> = SmallVec::new();
        let mut start = 0;
        for id in ids {
            let buf = &bufs[id.index()];
            let end = start + buf.wire_bytes();
            let place = memory.places.make(*id)?;
            if memory.places.passes(*id) && end - start >= self.least {
                passing.push((*id, start));
            } else {
                wire::unpack_to(buf, &message[start..end], &mut memory.words_mut()[place]);
            }
            start = end;
        }
        self.done.extend(self.messages.keep(bufs, &passing, message));
        Ok(())
    }

    fn done(&mut self) -> Option<Vec<u8>> {
        self.done.pop()
    }
}
