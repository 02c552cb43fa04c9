//! Messages that a device writes into as it computes, and that it reads from: which buffers are where in them.

use smallvec::SmallVec;

use super::check::misfit;
use super::{BackendError, Launch};
use crate::plan::program::ROOM;
use crate::plan::{Buf, BufId, Kernel};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To a peer.
    Out,
    /// From a peer.
    In,
}

/// Where a buffer is in a message.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub way: Way,
    /// The message's number among those that go the same way.
    pub message: usize,
    /// The buffer's first byte there.
    pub start: usize,
    /// Whether these bytes are the buffer's by now.
    pub written: bool,
    /// Whether it has no words besides.
    pub alone: bool,
    pub buf: Buf,
}

/// A message, or where there was one.
#[derive(Debug)]
struct Slot<M> {
    message: Option<M>,
    /// Of one to send: its buffers.
    ids: SmallVec<[BufId; 8]>,
    /// Of one that was received: how many buffers are still read from it.
    left: usize,
}

impl<M> Default for Slot<M> {
    fn default() -> Slot<M> {
        Slot { message: None, ids: SmallVec::new(), left: 0 }
    }
}

/// Where buffers are: of a plan's many, few are in messages at a time.
#[derive(Debug, Default)]
struct Whereabouts {
    /// For each buffer its number among `at`, from 1 on; 0 for those that are nowhere.
    numbers: Vec<u32>,
    at: Vec<At>,
    /// Numbers to give.
    free: Vec<u32>,
}

impl Whereabouts {
    fn reset(&mut self, buffers: usize) {
        self.numbers.clear();
        self.numbers.resize(buffers, 0);
        self.at.clear();
        self.free.clear();
    }

    fn place(&self, id: BufId) -> Option<usize> {
        let number = *self.numbers.get(id.index())?;
        (number as usize).checked_sub(1)
    }

    fn get(&self, id: BufId) -> Option<&At> {
        self.at.get(self.place(id)?)
    }

    fn get_mut(&mut self, id: BufId) -> Option<&mut At> {
        let place = self.place(id)?;
        self.at.get_mut(place)
    }

    /// Notes where a buffer is, and no longer where it was.
    fn put(&mut self, id: BufId, at: At) {
        match self.get_mut(id) {
            Some(place) => *place = at,
            None => {
                let number = self.free.pop().unwrap_or(self.at.len() as u32 + 1);
                self.numbers[id.index()] = number;
                match self.at.get_mut(number as usize - 1) {
                    Some(place) => *place = at,
                    None => self.at.push(at),
                }
            }
        }
    }

    /// Forgets where a buffer is, if it is so.
    fn take_if(&mut self, id: BufId, so: impl FnOnce(&At) -> bool) -> Option<At> {
        let at = self.get(id).filter(|at| so(at))?.clone();
        self.free.push(std::mem::take(&mut self.numbers[id.index()]));
        Some(at)
    }
}

/// A device's messages.
#[derive(Debug)]
pub(super) struct Held<M> {
    at: Whereabouts,
    sent: Vec<Slot<M>>,
    received: Vec<Slot<M>>,
}

impl<M> Default for Held<M> {
    fn default() -> Held<M> {
        Held { at: Whereabouts::default(), sent: Vec::new(), received: Vec::new() }
    }
}

/// How an element program writes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As words.
    Words,
    /// Into a message.
    Packed,
    /// Both.
    Both,
}

impl Form {
    pub(super) fn has_words(self) -> bool {
        self != Form::Packed
    }

    pub(super) fn is_packed(self) -> bool {
        self != Form::Words
    }
}

/// How the operands and the results of an element program are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    /// Whether each operand is read from a message.
    pub ins: SmallVec<[bool; ROOM]>,
    pub outs: SmallVec<[Form; ROOM]>,
}

impl<M> Held<M> {
    /// Forgets all messages, for so many buffers; those that were received.
    pub(super) fn reset(&mut self, buffers: usize) -> impl Iterator<Item = M> {
        self.at.reset(buffers);
        self.sent.clear();
        self.received.drain(..).filter_map(|slot| slot.message)
    }

    /// Where a buffer is, if a message of that way has it.
    pub(super) fn at(&self, id: BufId, way: Way) -> Option<&At> {
        self.at.get(id).filter(|at| at.way == way)
    }

    /// The message where a buffer is.
    pub(super) fn message(&self, at: &At) -> Option<&M> {
        let all = if at.way == Way::Out { &self.sent } else { &self.received };
        all.get(at.message)?.message.as_ref()
    }

    /// All messages to send, by number.
    pub(super) fn sent_mut(&mut self) -> (impl Iterator<Item = (usize, &mut M)>, Received<'_, M>) {
        let sent = self.sent.iter_mut().enumerate().filter_map(|(number, slot)| Some((number, slot.message.as_mut()?)));
        (sent, Received { at: &self.at, slots: &self.received })
    }

    /// Where a buffer is that has no words.
    pub(super) fn alone(&self, id: BufId) -> Option<&At> {
        self.at.get(id).filter(|at| at.written && at.alone)
    }

    /// Refuses a launch of anything but an element program on what is in a message only.
    pub(super) fn expect_words(&self, launch: &Launch<'_>) -> Result<(), BackendError> {
        let program = matches!(launch.kernel, Kernel::Map(_));
        match launch.ins.iter().find(|operand| !program && self.alone(operand.buf).is_some()) {
            Some(operand) => misfit(format!("{}: operand {} is in a message only", launch.kernel.name(), operand.buf)),
            None => Ok(()),
        }
    }

    /// How the operands and the results of an element program are stored. What lies in its message just as words would is
    /// words there if it has no others: `alike` says so.
    pub(super) fn forms(&self, launch: &Launch<'_>, alike: impl Fn(&At, &M) -> bool) -> Forms {
        let alike = |at: &At| self.message(at).is_some_and(|message| alike(at, message));
        let out = |id: &BufId| match self.at(*id, Way::Out) {
            None => Form::Words,
            Some(at @ At { alone: true, .. }) => {
                if alike(at) {
                    Form::Words
                } else {
                    Form::Packed
                }
            }
            Some(_) => Form::Both,
        };
        let packed = |id| self.at(id, Way::In).is_some_and(|at| !alike(at));
        Forms {
            ins: launch.ins.iter().map(|operand| packed(operand.buf)).collect(),
            outs: launch.outs.iter().map(out).collect(),
        }
    }

    /// Notes that a result is in its message now, if it is one of a message; where.
    pub(super) fn write(&mut self, id: BufId) -> Option<&At> {
        let at = self.at.get_mut(id).filter(|at| at.way == Way::Out)?;
        at.written = true;
        Some(at)
    }

    /// Begins a message to send of these buffers, one after the other; its number. Those that `pass` will have no words.
    pub(super) fn open(&mut self, bufs: &[Buf], ids: &[BufId], message: M, pass: impl Fn(BufId) -> bool) -> usize {
        let number = free(&mut self.sent);
        let slot = &mut self.sent[number];
        slot.message = Some(message);
        slot.ids.clear();
        slot.ids.extend_from_slice(ids);
        let mut start = 0;
        for id in ids {
            let buf = &bufs[id.index()];
            // What is sent to both others is packed for the second from its words.
            if self.at.get(*id).is_none() {
                let (alone, buf) = (pass(*id), buf.clone());
                self.at.put(*id, At { way: Way::Out, message: number, start, written: false, alone, buf });
            }
            start += buf.wire_bytes();
        }
        number
    }

    /// The number of a message that was begun with these buffers.
    pub(super) fn opened(&self, ids: &[BufId]) -> Option<usize> {
        self.sent.iter().position(|slot| slot.message.is_some() && slot.ids[..] == *ids)
    }

    /// Ends a message to send. `each` is told of each of its buffers: where it is written, or nothing if it has still to be.
    pub(super) fn close<E>(
        &mut self,
        number: usize,
        mut each: impl FnMut(&mut M, BufId, Option<At>) -> Result<(), E>,
    ) -> Option<Result<M, E>> {
        let slot = self.sent.get_mut(number)?;
        let mut message = slot.message.take()?;
        let mut told = Ok(());
        for id in &slot.ids {
            let at = self.at.take_if(*id, |at| at.way == Way::Out && at.message == number);
            told = told.and_then(|()| each(&mut message, *id, at.filter(|at| at.written)));
        }
        Some(told.map(|()| message))
    }

    /// Keeps a message that was received, from which these buffers are read, which begin at such bytes; gives it back if
    /// there are none.
    pub(super) fn keep(&mut self, bufs: &[Buf], ids: &[(BufId, usize)], message: M) -> Option<M> {
        if ids.is_empty() {
            return Some(message);
        }
        let number = free(&mut self.received);
        for (id, start) in ids {
            let (start, buf) = (*start, bufs[id.index()].clone());
            self.at.put(*id, At { way: Way::In, message: number, start, written: true, alone: true, buf });
        }
        let slot = &mut self.received[number];
        (slot.message, slot.left) = (Some(message), ids.len());
        None
    }

    /// Notes that a buffer is written anew, as words: one to send is packed from these, one that was received is no longer
    /// read from its message, which is given back if no other is.
    pub(super) fn rewrite(&mut self, id: BufId) -> Option<M> {
        if let Some(at @ At { way: Way::Out, .. }) = self.at.get_mut(id) {
            (at.written, at.alone) = (false, false);
        }
        self.free(id)
    }

    /// Forgets a buffer that was received; gives the message back from which no other is read.
    pub(super) fn free(&mut self, id: BufId) -> Option<M> {
        let At { message, .. } = self.at.take_if(id, |at| at.way == Way::In)?;
        let slot = &mut self.received[message];
        slot.left -= 1;
        if slot.left == 0 { slot.message.take() } else { None }
    }
}

/// Messages that were received.
pub(super) struct Received<'h, M> {
    at: &'h Whereabouts,
    slots: &'h [Slot<M>],
}

impl<'h, M> Received<'h, M> {
    /// Where a buffer is that is read from one, and this.
    pub(super) fn find(&self, id: BufId) -> Option<(&'h At, &'h M)> {
        let at = self.at.get(id).filter(|at| at.way == Way::In)?;
        Some((at, self.slots.get(at.message)?.message.as_ref()?))
    }
}

/// A number that no message has.
fn free<M>(slots: &mut Vec<Slot<M>>) -> usize {
    let free = slots.iter().position(|slot| slot.message.is_none());
    free.unwrap_or_else(|| {
        slots.push(Slot::default());
        slots.len() - 1
    })
}
