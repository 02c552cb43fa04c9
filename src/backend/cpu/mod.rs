//! The processor as a device: always there, and the reference for the words that other devices compute.
//!
//! Every launch is checked against the buffer table before it computes. Kernels use the best vector instructions found
//! at run time; their results do not depend on them.

mod check;
mod conv;
mod copy;
mod factor;
mod gemm;
mod isa;
mod lookup;
mod map;
mod planes;
mod product;
mod registers;
mod simd;
mod stream;
mod sums;

use crate::backend::{Backend, BackendError, Launch, StreamKey};
use crate::plan::{Buf, BufId, Kernel, Operand, Part, Party, Stream};
use check::{Input, Output, Words, misfit};
use gemm::Workspace;
pub use isa::Isa;
pub use stream::Keystream;

/// Allocations kept for reuse.
const SPARE: usize = 32;

/// One party's processor.
pub struct Cpu {
    party: Party,
    /// Keys `party` and `party + 1`.
    keys: [Keystream; 2],
    isa: Isa,
    bufs: Vec<Option<Vec<u64>>>,
    spare: Vec<Vec<u64>>,
    space: Workspace,
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpu").field("party", &self.party).field("isa", &self.isa).finish_non_exhaustive()
    }
}

impl Cpu {
    /// A device without buffers. `keys` are stream keys `party` and `party + 1` (mod 3).
    #[must_use]
    pub fn new(party: Party, keys: [StreamKey; 2]) -> Cpu {
        Cpu::with_isa(party, &keys, Isa::detect())
    }

    /// A device that uses a given instruction set, with keys as in [`Cpu::new`].
    #[must_use]
    pub fn with_isa(party: Party, keys: &[StreamKey; 2], isa: Isa) -> Cpu {
        Cpu {
            party,
            keys: [Keystream::new(&keys[0]), Keystream::new(&keys[1])],
            isa,
            bufs: Vec::new(),
            spare: Vec::new(),
            space: Workspace::default(),
        }
    }

    /// What the plan says of a buffer of this party.
    fn describe<'a>(&self, bufs: &'a [Buf], id: BufId) -> Result<&'a Buf, BackendError> {
        let Some(buf) = bufs.get(id.index()) else { return Err(BackendError::Missing(id)) };
        if buf.party != self.party {
            return misfit(format!("buffer {id} belongs to {}, not to {}", buf.party, self.party));
        }
        if !(1..=64).contains(&buf.width) || (buf.width > 1 && buf.planes != 1) {
            return misfit(format!("buffer {id} has {} planes of {} bits", buf.planes, buf.width));
        }
        if !matches!(buf.stride().checked_mul(buf.planes), Some(words) if words <= isize::MAX as usize / size_of::<u64>())
        {
            return misfit(format!("buffer {id} exceeds the address space"));
        }
        if let Some(Part { of, start }) = buf.part {
            let Some(whole) = bufs.get(of.index()) else { return Err(BackendError::Missing(of)) };
            let alike = buf.width > 1 && (whole.party, whole.width, whole.planes) == (buf.party, buf.width, 1);
            if !alike || whole.part.is_some() || start.checked_add(buf.len).is_none_or(|end| end > whole.len) {
                return misfit(format!("buffer {id} is no part of {of}"));
            }
            self.describe(bufs, of)?;
        }
        Ok(buf)
    }

    /// An operand with its words.
    fn input<'a>(&'a self, bufs: &'a [Buf], operand: &Operand) -> Result<Input<'a>, BackendError> {
        let buf = self.describe(bufs, operand.buf)?;
        let (id, start) = buf.storage(operand.buf);
        let (words, expected) = (self.read(id)?, bufs[id.index()].words());
        if words.len() != expected {
            return misfit(format!("buffer {id} holds {} words, expected {expected}", words.len()));
        }
        Ok(Input { buf, access: operand.access, words: &words[start..start + buf.words()] })
    }

    /// Results with room for their words: new storage, or that of which they are parts.
    fn outputs<'a>(&mut self, launch: &Launch<'a>) -> Result<Vec<Output<'a>>, BackendError> {
        let storage = |id: BufId| launch.bufs.get(id.index()).map_or(id, |buf| buf.storage(id).0);
        let mut taken: Vec<BufId> = launch.ins.iter().map(|operand| storage(operand.buf)).collect();
        for &id in launch.outs {
            self.describe(launch.bufs, id)?;
            if taken.contains(&storage(id)) {
                return misfit(format!("buffer {id} is written while it is in use"));
            }
            taken.push(storage(id));
        }
        let mut outs: Vec<Output<'a>> = Vec::with_capacity(launch.outs.len());
        for &id in launch.outs {
            let buf = &launch.bufs[id.index()];
            let (whole, start) = buf.storage(id);
            let words = launch.bufs[whole.index()].words();
            let storage = match self.bufs.get_mut(whole.index()).and_then(Option::take) {
                Some(storage) if storage.len() == words => storage,
                _ => self.allocate(words),
            };
            outs.push(Output { buf, words: Words { storage, range: start..start + buf.words() } });
        }
        Ok(outs)
    }

    /// The key stream behind a stream.
    fn keystream(&self, stream: &Stream) -> Result<&Keystream, BackendError> {
        match stream.key {
            key if key >= 3 || !self.party.holds_key(key) => Err(BackendError::Key(key)),
            key if key == self.party.0 => Ok(&self.keys[0]),
            _ => Ok(&self.keys[1]),
        }
    }

    /// `words` arbitrary words, in the least spare allocation that is large enough and not much too large.
    fn allocate(&mut self, words: usize) -> Vec<u64> {
        let fits = |spare: &&(usize, usize)| (words..=words.saturating_mul(2)).contains(&spare.1);
        let sizes: Vec<_> = self.spare.iter().map(Vec::capacity).enumerate().collect();
        match sizes.iter().filter(fits).min_by_key(|(_, capacity)| *capacity) {
            Some((index, _)) => {
                let mut found = self.spare.swap_remove(*index);
                found.resize(words, 0);
                found
            }
            None => vec![0; words],
        }
    }

    /// Keeps an allocation for reuse; the oldest goes when there are too many.
    fn recycle(&mut self, words: Vec<u64>) {
        if words.capacity() == 0 {
            return;
        }
        if self.spare.len() == SPARE {
            self.spare.remove(0);
        }
        self.spare.push(words);
    }

    /// Computes the results of a launch.
    fn compute(&self, launch: &Launch<'_>, space: &mut Workspace, outs: &mut [Output<'_>]) -> Result<(), BackendError> {
        let ins: Vec<_> = launch.ins.iter().map(|op| self.input(launch.bufs, op)).collect::<Result<_, _>>()?;
        let streams: Vec<_> =
            launch.streams.iter().map(|s| Ok((*s, self.keystream(s)?))).collect::<Result<_, BackendError>>()?;
        let isa = self.isa;
        match launch.kernel {
            Kernel::Map(program) => map::run(isa, program, launch.ins, &ins, &streams, outs),
            Kernel::Product(product) => product::run(isa, product, None, space, &ins, outs),
            Kernel::ProductOfSums(product, factors) => product::run(isa, product, Some(factors), space, &ins, outs),
            Kernel::Copy(view) => copy::view(view, &ins, outs),
            Kernel::Concat { outer, chunks } => copy::concat(*outer, chunks, &ins, outs),
            Kernel::Gather { outer, axis, inner, index } => {
                copy::gather_axis([*outer, *axis, *inner], index, &ins, outs)
            }
            Kernel::Sum { outer, axis, inner } => sums::axis(isa, [*outer, *axis, *inner], &ins, outs),
            Kernel::SumPool { planes, h, w, window } => sums::pool(isa, [*planes, *h, *w], window, &ins, outs),
            Kernel::OneHot { add, shift, places } => lookup::one_hot(*add, *shift, *places, &ins, outs),
            Kernel::Rotate { shift, places } => lookup::rotate(*shift, *places, &ins, outs),
            Kernel::Lookup(table) => lookup::lookup(isa, table, &ins, outs),
            Kernel::ToPlanes { add, from } => planes::to_planes(isa, *add, *from, &ins, outs),
        }
    }
}

impl Backend for Cpu {
    fn write(&mut self, id: BufId, words: Vec<u64>) -> Result<(), BackendError> {
        if self.bufs.len() <= id.index() {
            self.bufs.resize_with(id.index() + 1, || None);
        }
        if let Some(old) = self.bufs[id.index()].replace(words) {
            self.recycle(old);
        }
        Ok(())
    }

    fn read(&self, id: BufId) -> Result<&[u64], BackendError> {
        match self.bufs.get(id.index()) {
            Some(Some(words)) => Ok(words),
            _ => Err(BackendError::Missing(id)),
        }
    }

    fn free(&mut self, id: BufId) {
        if let Some(words) = self.bufs.get_mut(id.index()).and_then(Option::take) {
            self.recycle(words);
        }
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        let mut outs = self.outputs(&launch)?;
        let mut space = std::mem::take(&mut self.space);
        let result = self.compute(&launch, &mut space, &mut outs);
        self.space = space;
        result?;
        for (id, out) in launch.outs.iter().zip(outs) {
            self.write(out.buf.storage(*id).0, out.words.storage)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::cases::{self, Case, products};
    use crate::graph::Window;

    /// Runs a case with each instruction set.
    fn check(case: &Case) -> Result<(), TestCaseError> {
        let keys = [cases::stream_key(1), cases::stream_key(2)];
        for isa in Isa::available() {
            prop_assert_eq!(case.run(&mut Cpu::with_isa(Party(1), &keys, isa)), Ok(()), "{} with {:?}", case.name, isa);
        }
        Ok(())
    }

    #[test]
    fn every_instruction_set_passes_every_case() {
        for isa in Isa::available() {
            let reports = cases::run_all(&mut |party, keys| Box::new(Cpu::with_isa(party, &keys, isa)));
            for report in reports {
                assert_eq!(report.outcome, Ok(()), "{} with {isa:?}", report.name);
            }
        }
    }

    #[test]
    fn allocations_are_used_again() {
        let mut device = Cpu::new(Party(0), [cases::stream_key(0), cases::stream_key(1)]);
        device.write(BufId(3), vec![7; 1000]).unwrap();
        let before = device.read(BufId(3)).unwrap().as_ptr();
        device.free(BufId(3));
        assert!(matches!(device.read(BufId(3)), Err(BackendError::Missing(BufId(3)))));
        let much_smaller = device.allocate(400);
        assert_ne!(much_smaller.as_ptr(), before);
        let smaller = device.allocate(600);
        assert_eq!(smaller.as_ptr(), before);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn matrix_products_agree_with_their_definition(
            (batch, m, k, n) in (1usize..4, 1usize..70, 0usize..300, 1usize..70),
            shared in any::<[bool; 2]>(),
            pairs in 1usize..3,
        ) {
            check(&products::matmul([batch, m, k, n], shared, pairs))?;
        }

        #[test]
        fn convolutions_agree_with_their_definition(
            (n, groups, c, o) in (1usize..3, 1usize..4, 1usize..6, 1usize..12),
            (h, w) in (1usize..20, 1usize..20),
            size in [1usize..5, 1usize..5],
            stride in [1usize..4, 1usize..4],
            pad in [0usize..4, 0usize..4],
            dilation in [1usize..4, 1usize..4],
            pairs in 1usize..3,
        ) {
            let window = Window { size, stride, pad, dilation };
            prop_assume!(window.output(h, w).is_some());
            check(&products::conv([n, groups * c, h, w], groups * o, window, groups, pairs))?;
        }
    }
}
