//! Element programs: the kernel of each, its keystream, and its launch.

use std::sync::Arc;

use smallvec::SmallVec;

use super::element::{self, Read, Shape};
use super::gpu::{Function, Grid};
use super::kernels::Words;
use super::keystream::{DRAWN, Draw};
use super::params::LongDivisor;
use super::{Cuda, product};
use crate::backend::held::Forms;
use crate::backend::{BackendError, Launch, check};
use crate::plan::{Access, Program};

/// Words that a launch of an element program computes at least before it is cut for its keystream.
const PIECE: usize = 1 << 12;

impl Cuda {
    /// The kernel of an element program whose operands and results are stored like this.
    pub(super) fn compiled(
        &mut self,
        program: &Program,
        launch: &Launch<'_>,
        forms: &Forms,
    ) -> Result<Arc<Function>, BackendError> {
        let ins = launch.ins.iter().zip(&forms.ins).zip(program.taken(launch.ins));
        let reads =
            ins.map(|((operand, packed), planes)| match (operand.access, launch.bufs[operand.buf.index()].width) {
                (Access::Dense, width @ 2..=63) if *packed => Ok(Read::Packed(width)),
                (Access::Dense, _) => Ok(Read::Dense),
                _ if *packed => check::misfit(format!("{} is in a message only", operand.buf)),
                (Access::Repeat { .. }, _) => Ok(Read::Repeated),
                (Access::Bits { add, from }, _) => Ok(Read::Bits { add, from, planes }),
            });
        let outs = launch.outs.iter().zip(&forms.outs);
        let writes = outs.map(|(id, form)| element::written(&launch.bufs[id.index()], *form)).collect();
        let shape = Shape::of(program, reads.collect::<Result<_, _>>()?, writes);
        let at = program.code.as_ptr() as usize;
        match self.elements.get(&at) {
            Some((known, function)) if *known == shape => Ok(function.clone()),
            _ => {
                let function = self.gpu.element(program, &shape)?;
                self.elements.insert(at, (shape, function.clone()));
                Ok(function)
            }
        }
    }

    /// Runs an element program, whose kernel this is.
    #[allow(unsafe_code, reason = "a launch of a kernel")]
    pub(super) fn element(
        &mut self,
        program: &Program,
        (function, forms): &(Arc<Function>, Forms),
        launch: &Launch<'_>,
    ) -> Result<(), BackendError> {
        let bufs = launch.bufs;
        let words = bufs[launch.outs[0].index()].stride();
        let drawn = element::drawn(program);
        let threads = element::threads(program.taken(launch.ins).sum());
        let whole = |words: usize| words / element::THREADS as usize * element::THREADS as usize;
        let piece = if drawn.is_empty() { words } else { whole(DRAWN / drawn.len()).max(PIECE) };
        let mut operands: SmallVec<[u64; 32]> = SmallVec::new();
        for operand in launch.ins {
            operands.extend(self.source(bufs, operand.buf)?);
            match operand.access {
                Access::Dense => {}
                Access::Repeat { inner, len, start } => {
                    operands.push(start as u64);
                    for divisor in [inner, len].map(|d| LongDivisor::by(d as u64)) {
                        operands.extend([divisor.mul, u64::from(divisor.shift)]);
                    }
                    operands.push(len as u64);
                }
                Access::Bits { .. } => operands.push(bufs[operand.buf.index()].len as u64),
            }
        }
        let mut results: SmallVec<[u64; 16]> = SmallVec::new();
        for (id, form) in launch.outs.iter().zip(&forms.outs) {
            results.extend(self.targets(bufs, *id, *form)?);
        }
        for first in (0..words).step_by(piece.max(1)) {
            let count = piece.min(words - first);
            let blocks = product::size(count.div_ceil(threads as usize))?;
            let draw = Draw { planes: &drawn, streams: launch.streams, stride: words, first, count };
            let streams = self.line.draw(draw)?;
            let mut parameters = Words::from_slice(&[count as u64, first as u64]);
            parameters.extend_from_slice(&operands);
            parameters.push(streams);
            parameters.extend_from_slice(&results);
            let grid = Grid { blocks: [blocks, 1, 1], threads, shared: 0 };
            // SAFETY: operands and results are buffers of this device that `check::launch` found to have a word for each thread, or
            // lie in messages that have room for as much; and the keystream has `count` words for each plane that is drawn.
            unsafe { self.line.launch(function, grid, &parameters) }?;
        }
        Ok(())
    }
}
