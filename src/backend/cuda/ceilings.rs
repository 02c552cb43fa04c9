//! What a GPU's units do at most, by kernels that need hardly anything but one (`kernels/probe.cu`), and what launches need of
//! them.

use super::element;
use super::gpu::Grid;
use super::kernels::{PROBE_BYTES, PROBE_LOOKUPS, PROBE_MULTIPLY_ADDS};
use super::lane::Queue as _;
use super::{Cuda, address, room};
use crate::backend::ceilings::{Ceilings, Unit, Work};
use crate::backend::{BackendError, Launch};
use crate::plan::Kernel;

/// Operations of a warp, or of each of its threads, in a round of a probe; and products of bytes of such an operation.
const CHAINS: u64 = 8;
const PRODUCTS: u64 = 16 * 32 * 8;

/// Blocks of a probe that a multiprocessor holds.
const RESIDENT: u32 = 2;

/// Lookups for a byte of keystream: 160 for each block of 16.
const LOOKUPS: f64 = 10.0;

impl Ceilings for Cuda {
    fn exert(&mut self, unit: Unit, rounds: u32) -> Result<Option<f64>, BackendError> {
        let (kernel, threads, of_warp) = match unit {
            Unit::Memory => return Ok(None),
            Unit::ByteProducts => (PROBE_BYTES, 256, PRODUCTS),
            Unit::MultiplyAdds => (PROBE_MULTIPLY_ADDS, 512, 32),
            Unit::Lookups => (PROBE_LOOKUPS, 512, 32),
        };
        let blocks = RESIDENT * self.gpu.multiprocessors();
        let all = blocks * threads;
        let out = address(room(&mut self.scratch, &self.line, all as usize / 2)?, self.line.ahead());
        self.call(kernel, Grid { blocks: [blocks, 1, 1], threads, shared: 0 }, (out, rounds))?;
        Ok(Some((u64::from(all / 32) * CHAINS * of_warp * u64::from(rounds)) as f64))
    }

    fn needs(&self, launch: &Launch<'_>) -> Work {
        let mut work = Work::default();
        let mut ids: Vec<_> = launch.ins.iter().map(|operand| operand.buf).chain(launch.outs.iter().copied()).collect();
        ids.sort();
        ids.dedup();
        let words: usize = ids.iter().map(|id| launch.bufs[id.index()].words()).sum();
        work.add(Unit::Memory, 8.0 * words as f64);
        match launch.kernel {
            Kernel::Map(program) => {
                let elements = launch.bufs[launch.outs[0].index()].stride() as f64;
                for (stream, _) in element::drawn(program) {
                    let stream = launch.streams[usize::from(stream)];
                    let bits = if stream.bits == 1 { 64 } else { stream.class() };
                    work.add(Unit::Lookups, LOOKUPS * elements * f64::from(bits) / 8.0);
                    work.add(Unit::Memory, 16.0 * elements);
                }
            }
            Kernel::Product(product) => self.multiplications(product, false, launch, &mut work),
            Kernel::ProductOfSums(product, _) => self.multiplications(product, true, launch, &mut work),
            _ => {}
        }
        work
    }
}
