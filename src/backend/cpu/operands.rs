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

/// Hands out what a launch reads and writes at the same time to lists that are empty.
pub(super) fn hand_out<'m>(
    memory: &'m mut Memory,
    held: &'m mut Held<Vec<u8>>,
    launch: &Launch<'m>,
    site: &Site,
    (ins, outs): &mut Handed<'m>,
) -> Result<(), BackendError> {
    let (mut split, mut bytes) = (Split::default(), Bytes::default());
    memory.split(&site.ins, &site.outs, &mut split)?;
    messages::bytes(held, std::iter::once(launch), &mut bytes);
    let read = split.ins.iter().copied().zip(bytes.ins.iter().copied());
    let written = split.outs.iter_mut().map(std::mem::take).zip(bytes.outs.iter_mut().map(std::mem::take));
    ins.extend(inputs(launch, site, read));
    outs.extend(outputs(launch, site, written));
    Ok(())
}

/// The same for launches that run as one. What an operand is that is a result of an earlier one of them, is not said.
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
    let (mut split, mut bytes) = (Split::default(), Bytes::default());
    memory.split(&ins, &outs, &mut split)?;
    messages::bytes(held, launches.iter().map(|(launch, _)| *launch), &mut bytes);
    let (mut read, mut written) = (split.ins.into_iter().zip(bytes.ins), split.outs.into_iter().zip(bytes.outs));
    Ok(launches.iter().map(move |(launch, site)| {
        (inputs(launch, site, &mut read).collect(), outputs(launch, site, &mut written).collect())
    }))
}

/// A launch's operands, of words and bytes. What is in a message is read there, as words where it can be.
fn inputs<'m>(
    launch: &Launch<'m>,
    site: &Site,
    stored: impl Iterator<Item = (&'m [u64], &'m [u8])>,
) -> impl Iterator<Item = Input<'m>> {
    let (bufs, forms) = (launch.bufs, site.program.as_ref().map(|(_, forms)| forms));
    let packed = move |at: usize| forms.is_none_or(|forms| forms.ins[at]);
    let ins = launch.ins.iter().enumerate().zip(stored);
    ins.map(move |((at, op), stored)| Input::new(&bufs[op.buf.index()], stored, packed(at)))
}

/// Its results, written likewise.
fn outputs<'m>(
    launch: &Launch<'m>,
    site: &Site,
    stored: impl Iterator<Item = (&'m mut [u64], &'m mut [u8])>,
) -> impl Iterator<Item = Output<'m>> {
    let (bufs, forms) = (launch.bufs, site.program.as_ref().map(|(_, forms)| forms));
    let packed = move |at: usize| forms.is_none_or(|forms| forms.outs[at].is_packed());
    let outs = launch.outs.iter().enumerate().zip(stored);
    outs.map(move |((at, id), stored)| Output::new(&bufs[id.index()], stored, packed(at)))
}
