//! What a party computes on.

use std::sync::Arc;

use crate::backend::cpu::{Cpu, Threads};
use crate::backend::cuda::{Cuda, Gpu};
use crate::backend::{Backend, BackendError, StreamKey};
use crate::plan::Party;

/// A processor or a GPU. Parties of one run may have unlike ones: shares and streams are the same words on all.
#[derive(Clone, Debug, Default)]
pub enum Device {
    /// This machine's processor.
    #[default]
    Cpu,
    /// A GPU, which several parties may share.
    Cuda(Arc<Gpu>),
}

impl Device {
    /// What a GPU calls itself.
    #[must_use]
    pub fn gpu(&self) -> Option<&str> {
        match self {
            Device::Cpu => None,
            Device::Cuda(gpu) => Some(gpu.name()),
        }
    }

    /// A party's device without buffers. `keys` are stream keys `party` and `party + 1` (mod 3); a processor uses these
    /// threads for large launches.
    ///
    /// # Errors
    /// If a GPU fails.
    pub fn make(
        &self,
        party: Party,
        keys: [StreamKey; 2],
        threads: &Threads,
    ) -> Result<Box<dyn Backend>, BackendError> {
        match self {
            Device::Cpu => Ok(Box::new(Cpu::new(party, keys).with_threads(threads))),
            Device::Cuda(gpu) => Ok(Box::new(Cuda::new(gpu, party, &keys)?)),
        }
    }
}
