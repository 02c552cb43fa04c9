//! What kernels read beside buffers: descriptions of buffers and streams, lists of indices, coefficients. They stay on the
//! GPU, by what is in them, so that a plan that runs again finds all of its tables there.

use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream};

use super::gpu::failed;
use super::out_of_memory;
use super::staging::Ring;
use crate::backend::BackendError;

/// Words that are taken at a time.
const BLOCK: usize = 1 << 16;

/// Words from which on all tables are forgotten, for those that are in use to come anew.
const MOST: usize = 8 << 20;

/// A party's tables.
pub(super) struct Tables {
    /// Where each is.
    at: HashMap<Box<[u64]>, u64>,
    /// Memory; the last one has room from `next` on.
    blocks: Vec<CudaSlice<u64>>,
    next: usize,
    words: usize,
    /// Tables on their way.
    ring: Ring,
}

impl Tables {
    pub(super) fn new(stream: &Arc<CudaStream>) -> Result<Tables, BackendError> {
        Ok(Tables { at: HashMap::new(), blocks: Vec::new(), next: 0, words: 0, ring: Ring::new(stream)? })
    }

    /// Where kernels in line behind find a table, until the next [`Tables::forget`].
    #[allow(unsafe_code, reason = "memory that is written before it is read")]
    pub(super) fn place(&mut self, stream: &Arc<CudaStream>, table: &[u64]) -> Result<u64, BackendError> {
        if let Some(at) = self.at.get(table) {
            return Ok(*at);
        }
        if self.blocks.last().is_none_or(|block| block.len() - self.next < table.len()) {
            let words = BLOCK.max(table.len());
            // SAFETY: a table is copied there before it is read.
            let block = unsafe { stream.alloc(words) };
            self.blocks.push(block.map_err(|error| out_of_memory("what kernels need", words, error))?);
            (self.next, self.words) = (0, self.words + words);
        }
        let Some(block) = self.blocks.last_mut() else { return Err(super::no_memory()) };
        let place = self.next..self.next + table.len();
        self.ring.copy(stream, table, &mut block.slice_mut(place.clone()))?;
        let at = super::address(block, stream) + 8 * place.start as u64;
        self.next = place.end;
        self.at.insert(table.into(), at);
        Ok(at)
    }

    /// Whether there are so many that they should be forgotten.
    pub(super) fn are_many(&self) -> bool {
        self.words >= MOST
    }

    /// Forgets all tables. Kernels in line on the GPU still find theirs.
    pub(super) fn forget(&mut self, stream: &Arc<CudaStream>) -> Result<(), BackendError> {
        self.at.clear();
        self.words = 0;
        self.blocks.drain(..).try_for_each(|mut block| stream.memset_zeros(&mut block)).map_err(failed)
    }

    /// Their memory.
    pub(super) fn blocks(&mut self) -> &mut [CudaSlice<u64>] {
        &mut self.blocks
    }
}
