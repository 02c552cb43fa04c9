//! Devices that hold buffers and launch kernels. Every backend computes the same words, bit for bit.
//!
//! A backend knows one party's buffers and the party's two stream keys; it knows nothing of peers, rounds or models.

mod aes;
pub mod cases;
pub mod ceilings;
mod check;
pub mod cpu;
pub mod cuda;
mod held;
mod places;
mod view;
pub mod wire;

use std::any::Any;
use std::borrow::Cow;

use crate::plan::layout::Layout;
use crate::plan::{Buf, BufId, Kernel, Operand, Stream};

/// A 128-bit AES key of one stream family; zeroised on drop, never printed.
#[derive(Clone, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct StreamKey(pub [u8; 16]);

impl std::fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamKey(..)")
    }
}

/// Why a device could not go on.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A kernel read a buffer that is not there; the plan is wrong.
    #[error("buffer {0} is not on the device: the plan is damaged")]
    Missing(BufId),
    /// The plan uses a stream whose key this party does not hold.
    #[error("stream key k{0} is not this party's: the plan is damaged")]
    Key(u8),
    /// There is no room.
    #[error("no {bytes} bytes of memory for {what}: {cause}")]
    Memory {
        /// How much was wanted.
        bytes: u64,
        /// What for.
        what: &'static str,
        /// Why there is none, and what helps.
        cause: String,
    },
    /// The device itself failed.
    #[error("the GPU failed: {0}")]
    Device(String),
    /// The device failed, now or in something that was launched before: [`Backend::stopped`].
    #[error("the GPU failed: {0}")]
    Launched(String),
    /// Kernels cannot be made from the sources that were asked for.
    #[error("kernels from sources: {0}")]
    Kernels(String),
    /// The plan is sound, and too large for the device in some way.
    #[error("{0} than a GPU's kernels can count; `--device cpu` can")]
    Limit(String),
    /// A kernel's operands do not fit it.
    #[error("{0}: the plan is damaged")]
    Shape(String),
}

/// What a plan's memory is for.
pub(crate) const BUFFERS: &str = "the plan's buffers";

/// What helps where memory is missing.
pub(crate) const LESS: &str = "fewer inputs at a time take less";

/// A kernel launch with everything it needs to know about its buffers.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What to run.
    pub kernel: &'a Kernel,
    /// Operands in order.
    pub ins: &'a [Operand],
    /// Streams in order.
    pub streams: &'a [Stream],
    /// Results in order.
    pub outs: &'a [BufId],
    /// All buffers of the plan, by id.
    pub bufs: &'a [Buf],
    /// Its number in the plan, by which [`Backend::stopped`] names it: launches with the same number between two calls of
    /// [`Backend::reserve`] are the same in all else, and what the first of them found to be sound is not looked at again.
    /// `None`: it stands for itself.
    pub site: Option<usize>,
}

/// Writes all words of a buffer. What they were may be seen on a processor, for tests that change some; else they are arbitrary.
pub type Fill<'f> = &'f mut dyn FnMut(&mut [u64]);

/// A device.
pub trait Backend {
    /// Takes memory for buffers with these places; what was there is forgotten.
    ///
    /// # Errors
    /// If the device has not so much.
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError>;

    /// Draws from other keys from now on: stream keys `party` and `party + 1` (mod 3).
    ///
    /// # Errors
    /// If the device fails.
    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError>;

    /// Fills a buffer (`bufs[id].words()` of them).
    ///
    /// # Errors
    /// If it has no place.
    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError>;

    /// Reads a buffer, or what it is a part of.
    ///
    /// # Errors
    /// If the buffer is not there, or an earlier launch failed.
    fn read(&self, id: BufId) -> Result<Cow<'_, [u64]>, BackendError>;

    /// Appends buffers to a message, one after the other, as [`wire`] packs them.
    ///
    /// # Errors
    /// If a buffer is not there, or an earlier launch failed.
    fn pack(&mut self, bufs: &[Buf], ids: &[BufId], message: &mut Vec<u8>) -> Result<(), BackendError> {
        for id in ids {
            wire::pack(&bufs[id.index()], &self.read(*id)?, message);
        }
        Ok(())
    }

    /// Begins to pack buffers, to go on meanwhile: [`Backend::packed`] has the message later. `false`: it is packed at once
    /// by [`Backend::pack`] instead.
    ///
    /// # Errors
    /// If a buffer is not there, or an earlier launch failed.
    fn pack_ahead(&mut self, _bufs: &[Buf], _ids: &[BufId]) -> Result<bool, BackendError> {
        Ok(false)
    }

    /// Appends to `message` what was begun first of what was not yet asked for.
    ///
    /// # Errors
    /// If nothing was begun, or an earlier launch failed.
    fn packed(&mut self, _message: &mut Vec<u8>) -> Result<(), BackendError> {
        Err(BackendError::Device("no message was begun: a mistake in smlc".to_string()))
    }

    /// Fills buffers from a message, which has exactly their bytes ([`Buf::wire_bytes`]).
    ///
    /// # Errors
    /// If a buffer has no place, or the message another length.
    fn unpack(&mut self, bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
        let mut rest = message;
        for (id, buf) in ids.iter().map(|id| (*id, &bufs[id.index()])) {
            let (mine, behind) = rest.split_at_checked(buf.wire_bytes()).ok_or_else(|| too_short(message.len()))?;
            self.write(id, &mut |words| wire::unpack_to(buf, mine, words))?;
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(too_short(message.len())) }
    }

    /// The way in which messages go to devices of the kind in this process.
    fn parcels(&mut self) -> Option<&mut dyn Parcels> {
        None
    }

    /// The device as one whose units can be measured, if it is.
    fn ceilings(&mut self) -> Option<&mut dyn ceilings::Ceilings> {
        None
    }

    /// The way in which launches write into messages and read from them.
    fn messages(&mut self) -> Option<&mut dyn Messages> {
        None
    }

    /// The way in which several launches are one.
    fn joint(&mut self) -> Option<&mut dyn Joint> {
        None
    }

    /// Forgets a buffer.
    fn free(&mut self, id: BufId);

    /// What is put in line from here on, until the next launch that has a site, is for this one.
    fn serve(&mut self, _site: usize) {}

    /// After a failure ([`BackendError::Launched`]) the sites of what may have failed, in any order and more than once: all that
    /// is known to have run is left out. None: nothing is known.
    fn stopped(&self) -> Vec<usize> {
        Vec::new()
    }

    /// Waits until all that is in line has run.
    ///
    /// # Errors
    /// If any of it failed.
    fn settle(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Runs a kernel, or puts it in line: what is read later is as if it had run to its end.
    ///
    /// # Errors
    /// If the launch does not fit its buffers or the device fails, now or in an earlier launch.
    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError>;
}

/// A message that is on a device.
pub type Parcel = Box<dyn Any + Send>;

/// A device whose messages can go to others of its kind in this process as they are, without passing through bytes of the
/// host: like [`Backend::pack`] on one side and [`Backend::unpack`] on the other.
pub trait Parcels {
    /// Begins a message of buffers that are still to be computed, and will then be posted together or packed: launches may
    /// write there.
    ///
    /// # Errors
    /// If the device fails or has no memory.
    fn begin(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<(), BackendError>;

    /// Packs buffers, or puts that in line.
    ///
    /// # Errors
    /// If a buffer is not there, or an earlier launch failed.
    fn post(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<Parcel, BackendError>;

    /// Lets parcels that were posted go, only then may others take them, and begins what launches have not begun: the party
    /// will wait for something.
    ///
    /// # Errors
    /// If an earlier launch failed.
    fn leave(&mut self) -> Result<(), BackendError>;

    /// Begins what launches have not begun, if that is worth it: the party will wait for a parcel, maybe for no time.
    ///
    /// # Errors
    /// If an earlier launch failed.
    fn idle(&mut self) -> Result<(), BackendError>;

    /// Fills buffers from what another device posted, which has exactly their bytes, or puts that in line.
    ///
    /// # Errors
    /// If a buffer has no place, or the parcel is none of such a device or has another length.
    fn take(&mut self, bufs: &[Buf], ids: &[BufId], parcel: Parcel) -> Result<(), BackendError>;
}

/// A device that computes into the messages it sends and from those it receives, so that buffers which pass through these
/// only ([`Layout::passes`]) are never written out; messages are as [`Backend::pack`] makes them.
pub trait Messages {
    /// Whether it is worth to begin a message of so many bytes: a small one is sooner packed when it is sent.
    fn is_worth(&mut self, bytes: usize) -> bool;

    /// Begins a message of buffers that are still to be computed; its number. `message` has as many bytes as they, whatever
    /// these are.
    ///
    /// # Errors
    /// If it has another length.
    fn open(&mut self, bufs: &[Buf], ids: &[BufId], message: Vec<u8>) -> Result<usize, BackendError>;

    /// Ends a message, once its buffers are computed. Those that pass are gone with it.
    ///
    /// # Errors
    /// If a buffer is not there, or no message has the number.
    fn close(&mut self, bufs: &[Buf], number: usize) -> Result<Vec<u8>, BackendError>;

    /// Fills buffers from a message like [`Backend::unpack`], and keeps it as long as any are read from it.
    ///
    /// # Errors
    /// If a buffer has no place, or the message another length.
    fn keep(&mut self, bufs: &[Buf], ids: &[BufId], message: Vec<u8>) -> Result<(), BackendError>;

    /// A message that was kept and from which nothing is read any more.
    fn done(&mut self) -> Option<Vec<u8>>;
}

/// A device that runs several element programs in one pass over their elements.
pub trait Joint {
    /// Runs up to [`TOGETHER`](crate::plan::joint::TOGETHER) launches, of which each next one
    /// [joins](crate::plan::joint::joins) those before it, as if one after the other. What they only take bits of
    /// ([`Layout::passes`]) is never written out.
    ///
    /// # Errors
    /// If a launch does not fit its buffers or the others, or writes where another reads: its position, too.
    fn launch_together(&mut self, launches: &[Launch<'_>]) -> Result<(), (usize, BackendError)>;
}

/// The error for a message of another length than its buffers'.
fn too_short(bytes: usize) -> BackendError {
    BackendError::Shape(format!("a message has {bytes} bytes, which are not those of its buffers"))
}

/// A device whose launches go through a function, which sees them or changes what comes of them.
pub struct Around<B, F> {
    /// The device.
    pub inner: B,
    /// Called instead of its [`Backend::launch`].
    pub launch: F,
}

impl<B: Backend, F: FnMut(&mut B, Launch<'_>) -> Result<(), BackendError>> Backend for Around<B, F> {
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        self.inner.reserve(layout)
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError> {
        self.inner.rekey(keys)
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        self.inner.write(id, fill)
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
        self.inner.unpack(bufs, ids, message)
    }

    fn parcels(&mut self) -> Option<&mut dyn Parcels> {
        self.inner.parcels()
    }

    fn messages(&mut self) -> Option<&mut dyn Messages> {
        self.inner.messages()
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
        (self.launch)(&mut self.inner, launch)
    }
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        (**self).reserve(layout)
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError> {
        (**self).rekey(keys)
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        (**self).write(id, fill)
    }

    fn read(&self, id: BufId) -> Result<Cow<'_, [u64]>, BackendError> {
        (**self).read(id)
    }

    fn pack(&mut self, bufs: &[Buf], ids: &[BufId], message: &mut Vec<u8>) -> Result<(), BackendError> {
        (**self).pack(bufs, ids, message)
    }

    fn pack_ahead(&mut self, bufs: &[Buf], ids: &[BufId]) -> Result<bool, BackendError> {
        (**self).pack_ahead(bufs, ids)
    }

    fn packed(&mut self, message: &mut Vec<u8>) -> Result<(), BackendError> {
        (**self).packed(message)
    }

    fn unpack(&mut self, bufs: &[Buf], ids: &[BufId], message: &[u8]) -> Result<(), BackendError> {
        (**self).unpack(bufs, ids, message)
    }

    fn parcels(&mut self) -> Option<&mut dyn Parcels> {
        (**self).parcels()
    }

    fn ceilings(&mut self) -> Option<&mut dyn ceilings::Ceilings> {
        (**self).ceilings()
    }

    fn messages(&mut self) -> Option<&mut dyn Messages> {
        (**self).messages()
    }

    fn joint(&mut self) -> Option<&mut dyn Joint> {
        (**self).joint()
    }

    fn free(&mut self, id: BufId) {
        (**self).free(id);
    }

    fn serve(&mut self, site: usize) {
        (**self).serve(site);
    }

    fn stopped(&self) -> Vec<usize> {
        (**self).stopped()
    }

    fn settle(&mut self) -> Result<(), BackendError> {
        (**self).settle()
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        (**self).launch(launch)
    }
}
