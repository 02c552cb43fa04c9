//! The processor as a device: always there, and the reference for the words that other devices compute.
//!
//! Every launch is checked against the buffer table before it computes. Kernels use the best vector instructions found
//! at run time; their results do not depend on them.

mod check;
mod conv;
mod copy;
mod depthwise;
mod factor;
mod gemm;
mod isa;
mod lookup;
mod map;
mod memory;
mod planes;
mod product;
mod registers;
mod simd;
mod stream;
mod sums;
mod thin;

use smallvec::SmallVec;

use crate::backend::{Backend, BackendError, Fill, Launch, StreamKey};
use crate::plan::layout::Layout;
use crate::plan::{Buf, BufId, Kernel, Part, Party, Stream};
use check::{Input, Output, misfit};
use gemm::Workspace;
pub use isa::Isa;
use memory::{Memory, Ranges, Split};
pub use stream::Keystream;

/// One party's processor.
pub struct Cpu {
    party: Party,
    /// Keys `party` and `party + 1`.
    keys: [Keystream; 2],
    isa: Isa,
    memory: Memory,
    space: Workspace,
    room: map::Room,
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
            keys: keys.each_ref().map(Keystream::new),
            isa,
            memory: Memory::default(),
            space: Workspace::default(),
            room: map::Room::default(),
        }
    }

    /// The same device with so many threads for large launches: itself, and others of the program's pool.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Cpu {
        self.space.threads = threads;
        self
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

    /// Where an operand's words are.
    fn input(&self, bufs: &[Buf], id: BufId) -> Result<std::ops::Range<usize>, BackendError> {
        let buf = self.describe(bufs, id)?;
        let (whole, start) = buf.storage(id);
        let (place, expected) = (self.memory.find(whole)?, bufs[whole.index()].words());
        if place.len() != expected {
            return misfit(format!("buffer {whole} holds {} words, expected {expected}", place.len()));
        }
        Ok(place.start + start..place.start + start + buf.words())
    }

    /// Where a result's words are.
    fn output(&mut self, bufs: &[Buf], id: BufId) -> Result<std::ops::Range<usize>, BackendError> {
        let buf = self.describe(bufs, id)?;
        self.memory.make(buf.storage(id).0)?;
        self.input(bufs, id)
    }

    /// The key stream behind a stream.
    fn keystream(&self, stream: &Stream) -> Result<&Keystream, BackendError> {
        match stream.key {
            key if key >= 3 || !self.party.holds_key(key) => Err(BackendError::Key(key)),
            key if key == self.party.0 => Ok(&self.keys[0]),
            _ => Ok(&self.keys[1]),
        }
    }

    /// Computes the results of a launch.
    fn compute(
        &self,
        launch: &Launch<'_>,
        (space, room): (&mut Workspace, &mut map::Room),
        ins: &[Input<'_>],
        outs: &mut [Output<'_>],
    ) -> Result<(), BackendError> {
        let streams: SmallVec<[_; 8]> =
            launch.streams.iter().map(|s| Ok((*s, self.keystream(s)?))).collect::<Result<_, BackendError>>()?;
        let isa = self.isa;
        match launch.kernel {
            Kernel::Map(program) => {
                map::run(isa, program, launch.ins, ins, &streams, outs, (room, space.threads.max(1)))
            }
            Kernel::Product(product) => product::run(isa, product, None, space, ins, outs),
            Kernel::ProductOfSums(product, factors) => product::run(isa, product, Some(factors), space, ins, outs),
            Kernel::Copy(view) => copy::view(view, ins, outs),
            Kernel::Concat { outer, chunks } => copy::concat(*outer, chunks, ins, outs),
            Kernel::Gather { outer, axis, inner, index } => {
                copy::gather_axis([*outer, *axis, *inner], index, ins, outs)
            }
            Kernel::Sum { outer, axis, inner } => sums::axis(isa, [*outer, *axis, *inner], ins, outs),
            Kernel::SumPool { planes, h, w, window } => sums::pool(isa, [*planes, *h, *w], window, ins, outs),
            Kernel::OneHot { add, shift, places } => lookup::one_hot(*add, *shift, *places, ins, outs),
            Kernel::Rotate { shift, places } => lookup::rotate(*shift, *places, ins, outs),
            Kernel::Lookup(table) => lookup::lookup(isa, table, ins, outs),
            Kernel::ToPlanes { add, from } => planes::to_planes(isa, *add, *from, ins, outs),
        }
    }
}

impl Backend for Cpu {
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        self.memory.reserve(layout)
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) {
        self.keys = keys.each_ref().map(Keystream::new);
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        let place = self.memory.make(id)?;
        fill(&mut self.memory.words_mut()[place]);
        Ok(())
    }

    fn read(&self, id: BufId) -> Result<&[u64], BackendError> {
        Ok(&self.memory.words()[self.memory.find(id)?])
    }

    fn free(&mut self, id: BufId) {
        self.memory.free(id);
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        let bufs = launch.bufs;
        let ins: Ranges = launch.ins.iter().map(|op| self.input(bufs, op.buf)).collect::<Result<_, _>>()?;
        let outs: Ranges = launch.outs.iter().map(|id| self.output(bufs, *id)).collect::<Result<_, _>>()?;
        // What is written is put aside, for the rest of the device to be at hand.
        let mut memory = std::mem::take(&mut self.memory);
        let (mut space, mut room) = (std::mem::take(&mut self.space), std::mem::take(&mut self.room));
        let result = memory.split(&ins, &outs).and_then(|Split { ins, outs }| {
            let ins = ins.into_iter().zip(launch.ins);
            let ins: SmallVec<[_; 8]> =
                ins.map(|(words, op)| Input { buf: &bufs[op.buf.index()], access: op.access, words }).collect();
            let outs = outs.into_iter().zip(launch.outs);
            let mut outs: SmallVec<[_; 8]> = outs.map(|(words, id)| Output { buf: &bufs[id.index()], words }).collect();
            self.compute(&launch, (&mut space, &mut room), &ins, &mut outs)
        });
        (self.memory, self.space, self.room) = (memory, space, room);
        result
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::cases::{self, Case, elements, products};
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
    fn threads_share_large_launches() {
        let window = Window { size: [3, 3], stride: [1, 2], pad: [1, 1], dilation: [1, 1] };
        let cases = [
            elements::every_instruction(40_003),
            elements::every_instruction_on_planes(64 * 33_000 + 5),
            elements::bit_of(40_003),
            elements::stream(17, 40_003),
            products::matmul([1, 130, 120, 110], [false, false], 2),
            products::matmul([1, 1, 1100, 1003], [false, false], 1),
            products::matmul([1, 1200, 1100, 9], [false, false], 1),
            products::conv([2, 16, 40, 39], 18, window, 2, 2),
            products::conv([3, 67, 40, 39], 67, window, 67, 2),
        ];
        let keys = [cases::stream_key(1), cases::stream_key(2)];
        for (case, isa) in cases.iter().flat_map(|case| Isa::available().into_iter().map(move |isa| (case, isa))) {
            let mut device = Cpu::with_isa(Party(1), &keys, isa).with_threads(3);
            assert_eq!(case.run(&mut device), Ok(()), "{} with {isa:?}", case.name);
            // Each thread has room of its own once it has had a part.
            let shared = device.space.others.len().max(device.room.threads());
            assert!(shared > 1, "{} was not shared", case.name);
        }
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
