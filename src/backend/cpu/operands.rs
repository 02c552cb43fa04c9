//! What a launch reads and writes: its buffers, and their words in memory or their bytes in a message.

use smallvec::SmallVec;

use super::Site;
use super::memory::{Memory, Ranges, Split};
use super::messages::{self, Bytes};
use crate::backend::held::Held;
use crate::backend::{BackendError, Launch};
use crate::plan::Buf;
use crate::plan::program::ROOM;

/// An operand of a launch, checked: its description and its words, `buf.words()` of them.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub buf: &'a Buf,
    pub words: &'a [u64],
    /// Of one that an element program reads from a message: its bytes, which then count instead of the words.
    pub bytes: &'a [u8],
}

/// A result of a launch. Its words start out arbitrary; kernels write all of them.
pub(super) struct Output<'a> {
    pub buf: &'a Buf,
    pub words: &'a mut [u64],
    /// Where an element program packs it, if it is in a message.
    pub bytes: &'a mut [u8],
}

impl<'a> Input<'a> {
    /// An operand with words in memory, and with bytes if it is in a message; whether it is read as these bytes.
    fn new(buf: &'a Buf, (words, bytes): (&'a [u64], &'a [u8]), packed: bool) -> Input<'a> {
        if packed || bytes.is_empty() {
            return Input { buf, words, bytes };
        }
        Input { buf, words: bytemuck::cast_slice(bytes), bytes: &[] }
    }
}

impl<'a> Output<'a> {
    /// A result with words in memory, and with bytes if it is in a message; whether it is packed to these bytes.
    fn new(buf: &'a Buf, (words, bytes): (&'a mut [u64], &'a mut [u8]), packed: bool) -> Output<'a> {
        if packed || bytes.is_empty() {
            return Output { buf, words, bytes };
        }
        Output { buf, words: bytemuck::cast_slice_mut(bytes), bytes: &mut [] }
    }
}

/// A launch's operands and results.
pub(super) type Handed<'m> = (SmallVec<[Input<'m>; ROOM]>, SmallVec<[Output<'m>; ROOM]>);

/// Hands out what launches read and write at the same time. What an operand is that is a result of an earlier one of them, is
/// not said.
pub(super) fn handed<'m>(
    memory: &'m mut Memory,
    held: &'m mut Held<Vec<u8>>,
    launches: &[(&Launch<'m>, &Site)],
) -> Result<impl Iterator<Item = Handed<'m>>, BackendError> {
    let (mut ins, mut outs) = (Ranges::new(), Ranges::new());
    for (number, (launch, site)) in launches.iter().enumerate() {
        let made = |id| launches[..number].iter().any(|(earlier, _)| earlier.outs.contains(&id));
        let read = launch.ins.iter().zip(&site.ins);
        ins.extend(read.map(|(operand, range)| if made(operand.buf) { 0..0 } else { range.clone() }));
        outs.extend(site.outs.iter().cloned());
    }
    let Split { ins, outs } = memory.split(&ins, &outs)?;
    let Bytes { ins: read, outs: written } = messages::bytes(held, launches.iter().map(|(launch, _)| *launch));
    let (mut ins, mut outs) = (ins.into_iter().zip(read), outs.into_iter().zip(written));
    // What is in a message is read and written there, as words where it can be.
    Ok(launches.iter().map(move |(launch, site)| {
        let forms = site.program.as_ref().map(|(_, forms)| forms);
        let packed_in = |at: usize| forms.is_none_or(|forms| forms.ins[at]);
        let packed_out = |at: usize| forms.is_none_or(|forms| forms.outs[at].is_packed());
        let ins = launch.ins.iter().enumerate().zip(&mut ins);
        let ins = ins.map(|((at, op), stored)| Input::new(&launch.bufs[op.buf.index()], stored, packed_in(at)));
        let outs = launch.outs.iter().enumerate().zip(&mut outs);
        let outs = outs.map(|((at, id), stored)| Output::new(&launch.bufs[id.index()], stored, packed_out(at)));
        (ins.collect(), outs.collect())
    }))
}
