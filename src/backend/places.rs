//! Where a device's buffers are in its memory, and which of them are there.

use std::ops::Range;

use smallvec::SmallVec;

use crate::backend::check::misfit;
use crate::backend::{BackendError, Launch};
use crate::plan::layout::Layout;
use crate::plan::program::ROOM;
use crate::plan::{Buf, BufId};

/// Places of buffers.
#[derive(Debug, Default)]
pub(super) struct Places {
    layout: Layout,
    /// Whether each buffer has been written and not freed.
    there: Vec<bool>,
}

impl Places {
    /// Forgets all buffers, for others with these places.
    pub(super) fn reset(&mut self, layout: Layout) {
        self.there.clear();
        self.there.resize(layout.buffers(), false);
        self.layout = layout;
    }

    /// Where a buffer is that has been written.
    pub(super) fn find(&self, id: BufId) -> Result<Range<usize>, BackendError> {
        match (self.there.get(id.index()), self.layout.place(id)) {
            (Some(true), Some(place)) => Ok(place),
            _ => Err(BackendError::Missing(id)),
        }
    }

    /// Where a buffer can be written; it is there from now on.
    pub(super) fn make(&mut self, id: BufId) -> Result<Range<usize>, BackendError> {
        let place = self.layout.place(id).ok_or(BackendError::Missing(id))?;
        self.there[id.index()] = true;
        Ok(place)
    }

    /// Whether a buffer needs no words where messages are written and read in place, or joint steps run as one.
    pub(super) fn passes(&self, id: BufId) -> bool {
        self.layout.passes(id)
    }

    /// Whether a buffer stays for all runs and is read by one product alone.
    pub(super) fn is_factor(&self, id: BufId) -> bool {
        self.layout.is_factor(id)
    }

    /// Forgets a buffer.
    pub(super) fn free(&mut self, id: BufId) {
        if let Some(there) = self.there.get_mut(id.index()) {
            *there = false;
        }
    }

    /// Where an operand's words are, which [`describe`](super::check::describe) found sound.
    pub(super) fn operand(&self, bufs: &[Buf], id: BufId) -> Result<Range<usize>, BackendError> {
        let buf = &bufs[id.index()];
        let (whole, start) = buf.storage(id);
        let (place, expected) = (self.find(whole)?, bufs[whole.index()].words());
        if place.len() != expected {
            return misfit(format!("buffer {whole} holds {} words, expected {expected}", place.len()));
        }
        Ok(place.start + start..place.start + start + buf.words())
    }

    /// Makes the results of a launch, whose words are neither operands nor those of another result.
    pub(super) fn launch(&mut self, launch: &Launch<'_>) -> Result<(), BackendError> {
        for operand in launch.ins {
            self.operand(launch.bufs, operand.buf)?;
        }
        let mut written: SmallVec<[Range<usize>; ROOM]> = SmallVec::new();
        for id in launch.outs {
            let place = self.result(launch.bufs, *id)?;
            let meet = |other: &Range<usize>| place.start < other.end && other.start < place.end;
            if written.iter().any(meet) {
                return misfit("words are written twice");
            }
            for operand in launch.ins {
                if meet(&self.operand(launch.bufs, operand.buf)?) {
                    return misfit("words are written while they are in use");
                }
            }
            written.push(place);
        }
        Ok(())
    }

    /// A launch that was found to be sound before: its operands are there, and its results are from now on.
    pub(super) fn again(&mut self, launch: &Launch<'_>) -> Result<(), BackendError> {
        let whole = |id: BufId| launch.bufs[id.index()].storage(id).0;
        if let Some(missing) = launch.ins.iter().map(|op| whole(op.buf)).find(|id| !self.there[id.index()]) {
            return Err(BackendError::Missing(missing));
        }
        launch.outs.iter().for_each(|id| self.there[whole(*id).index()] = true);
        Ok(())
    }

    /// Where a result's words are, which is there from now on.
    pub(super) fn result(&mut self, bufs: &[Buf], id: BufId) -> Result<Range<usize>, BackendError> {
        self.make(bufs[id.index()].storage(id).0)?;
        self.operand(bufs, id)
    }
}
