//! The processor as a device: always there, and the reference for the words that other devices compute.
//!
//! Every launch is checked against the buffer table before it computes. Kernels use the best vector instructions found
//! at run time; their results do not depend on them.

#[cfg(target_arch = "x86_64")]
mod amx;
mod conv;
mod copy;
mod depthwise;
mod factor;
mod gemm;
mod isa;
mod joint;
mod left;
mod limb_conv;
mod limb_factor;
mod limb_image;
mod limb_panels;
mod limb_weights;
mod limbs;
mod lookup;
mod map;
mod matrices;
mod memory;
mod messages;
mod operands;
mod packing;
#[cfg(target_arch = "x86_64")]
mod paired;
mod panel_factor;
mod planes;
mod product;
mod products;
mod registers;
mod right;
mod simd;
mod strassen;
mod stream;
mod sums;
mod thin;
mod threads;
mod tile;
#[cfg(target_arch = "x86_64")]
mod vaes;
mod weights;
mod windows;

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

use crate::backend::held::{Forms, Held};
use crate::backend::{Backend, BackendError, Fill, Joint, Launch, Messages, StreamKey, check, wire};
use crate::plan::layout::Layout;
use crate::plan::program::ROOM;
use crate::plan::{BufId, Kernel, Party};
use gemm::Workspace;
pub use isa::Isa;
pub use limbs::alone as tile_loop;
use memory::Memory;
use operands::{Handed, Input, Output, hand_out, handed};
pub use stream::Keystream;
pub use threads::Threads;
pub use tile::alone as register_loop;
use weights::{Packed, Weights};

/// One party's processor.
pub struct Cpu {
    party: Party,
    /// Keys `party` and `party + 1`.
    keys: [Keystream; 2],
    isa: Isa,
    memory: Memory,
    messages: Held<Vec<u8>>,
    /// Messages that have been read to the end.
    done: Vec<Vec<u8>>,
    /// Bytes from which on they are written and read in place.
    least: usize,
    /// Elements from which on launches run together.
    joint_from: usize,
    threads: Threads,
    space: Workspace,
    weights: Weights,
    room: map::Room,
    /// Launches that were found to be sound, by their number in the plan.
    sites: Vec<Option<Box<Site>>>,
}

/// A launch that was found to be sound.
struct Site {
    /// Where its operands and its results are.
    ins: Box<[Range<usize>]>,
    outs: Box<[Range<usize>]>,
    /// An element program, prepared for what it reads and writes being stored like this.
    program: Option<(usize, Forms)>,
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
            messages: Held::default(),
            done: Vec::new(),
            least: messages::LEAST,
            joint_from: joint::LEAST,
            threads: Threads::ONE,
            space: Workspace::default(),
            weights: Weights::default(),
            room: map::Room::default(),
            sites: Vec::new(),
        }
    }

    /// The same device with a share of these threads for large launches: its own thread, and others of the program's pool.
    #[must_use]
    pub fn with_threads(mut self, threads: &Threads) -> Cpu {
        self.threads = threads.clone();
        self
    }

    /// The same device, which writes messages, and reads buffers of them, in place from so many bytes on, to try each way.
    #[must_use]
    pub fn with_messages_from(mut self, bytes: usize) -> Cpu {
        self.least = bytes;
        self
    }

    /// The same device, which runs launches together that have so many elements or more, to try each way.
    #[must_use]
    pub fn with_joint_from(mut self, elements: usize) -> Cpu {
        self.joint_from = elements;
        self
    }

    /// What is known of a launch, or is found now; its results are there from now on.
    fn site(&mut self, launch: &Launch<'_>) -> Result<Box<Site>, BackendError> {
        let known = launch.site.and_then(|number| self.sites.get_mut(number)?.take());
        let held = &self.messages;
        let fits = |site: &Site| {
            site.program
                .as_ref()
                .is_none_or(|(_, forms)| *forms == held.forms(launch, |at, message| messages::alike(at, message)))
        };
        match known.filter(|site| fits(site)) {
            Some(site) => {
                self.memory.places.again(launch)?;
                Ok(site)
            }
            None => Ok(Box::new(self.sound(launch)?)),
        }
    }

    /// Prepares the weights that a launch reads, and forgets those that it writes. Its own, if they are packed.
    fn prepare(&mut self, launch: &Launch<'_>) -> Result<Option<BufId>, BackendError> {
        launch.outs.iter().for_each(|id| self.weights.forget(launch.bufs[id.index()].storage(*id).0));
        self.weights.prepare(launch, self.isa, &mut self.memory, &mut self.space)
    }

    /// Looks at a launch for the first time.
    fn sound(&mut self, launch: &Launch<'_>) -> Result<Site, BackendError> {
        check::launch(self.party, launch)?;
        let (bufs, places) = (launch.bufs, &mut self.memory.places);
        self.messages.expect_words(launch)?;
        let ins = launch.ins.iter().map(|op| places.operand(bufs, op.buf)).collect::<Result<_, _>>()?;
        let outs = launch.outs.iter().map(|id| places.result(bufs, *id)).collect::<Result<_, _>>()?;
        let program = match launch.kernel {
            Kernel::Map(program) => {
                let forms = self.messages.forms(launch, |at, message| messages::alike(at, message));
                Some((self.room.prepare(program, launch.ins, &forms)?, forms))
            }
            _ => None,
        };
        Ok(Site { ins, outs, program })
    }
}

/// Computes the results of a launch, whose weights are packed in some way or not; of an element program as it was prepared.
fn compute(
    isa: Isa,
    (launch, packed): (&Launch<'_>, Option<&Packed>),
    program: Option<usize>,
    streams: &[map::Keyed<'_>],
    (space, room): (&mut Workspace, &mut map::Room),
    ins: &[Input<'_>],
    outs: &mut [Output<'_>],
) -> Result<(), BackendError> {
    match launch.kernel {
        Kernel::Map(_) => {
            let Some(program) = program else { return check::misfit("an element program that was not prepared") };
            map::run(isa, map::Job { program, ins, streams, outs }, (room, space.threads));
        }
        Kernel::Product(product) => product::run(isa, product, (None, None), space, ins, outs),
        Kernel::ProductOfSums(product, factors) => {
            product::run(isa, product, (Some(factors), packed), space, ins, outs)
        }
        Kernel::Copy(view) => return copy::view(view, ins, outs),
        Kernel::Concat { outer, chunks } => copy::concat(*outer, chunks, ins, outs),
        Kernel::Gather { axis, inner, index, .. } => copy::gather_axis([*axis, *inner], index, ins, outs),
        Kernel::Sum { axis, inner, .. } => sums::axis(isa, [*axis, *inner], ins, outs),
        Kernel::SumPool { h, w, window, .. } => sums::pool(isa, [*h, *w], window, ins, outs),
        Kernel::OneHot { add, shift, places } => lookup::one_hot(*add, *shift, *places, ins, outs),
        Kernel::Rotate { shift, places } => lookup::rotate(*shift, *places, ins, outs),
        Kernel::Lookup(table) => lookup::lookup(isa, table, &mut space.tables, ins, outs),
    }
    Ok(())
}

impl Backend for Cpu {
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        self.sites.clear();
        self.weights.reset();
        self.done.extend(self.messages.reset(layout.buffers()));
        self.memory.reserve(layout)
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError> {
        self.keys = keys.each_ref().map(Keystream::new);
        Ok(())
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        self.weights.unpack(id, self.isa, &mut self.memory)?;
        let place = self.memory.places.make(id)?;
        let words = &mut self.memory.words_mut()[place];
        if let Some((at, message)) = self.messages.alone(id).and_then(|at| Some((at, self.messages.message(at)?))) {
            wire::unpack_to(&at.buf, messages::packed(at, message), words);
        }
        self.done.extend(self.messages.rewrite(id));
        fill(words);
        Ok(())
    }

    fn read(&self, id: BufId) -> Result<Cow<'_, [u64]>, BackendError> {
        let place = self.memory.places.find(id)?;
        let found = self.messages.alone(id).and_then(|at| Some((at, self.messages.message(at)?)));
        Ok(match found {
            Some((at, message)) => Cow::Owned(wire::unpack(&at.buf, messages::packed(at, message))),
            None => self.weights.words(id, self.isa, &self.memory.words()[place]),
        })
    }

    fn free(&mut self, id: BufId) {
        self.memory.places.free(id);
        self.weights.forget(id);
        self.done.extend(self.messages.free(id));
    }

    fn messages(&mut self) -> Option<&mut dyn Messages> {
        Some(self)
    }

    fn joint(&mut self) -> Option<&mut dyn Joint> {
        Some(self)
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        let site = self.site(&launch)?;
        let packed = self.prepare(&launch)?;
        let program = site.program.as_ref().map(|(number, _)| *number);
        let streams = streams(self.party, &self.keys, &launch);
        let share = self.threads.share();
        self.space.threads = share.threads;
        let mut handed = Handed::default();
        hand_out(&mut self.memory, &mut self.messages, &launch, &site, &mut handed)?;
        let (ins, outs) = (&handed.0, &mut handed.1);
        let rooms = (&mut self.space, &mut self.room);
        let packed = packed.and_then(|id| self.weights.packed(id));
        compute(self.isa, (&launch, packed), program, &streams, rooms, ins, outs)?;
        know(&mut self.sites, &launch, site);
        Ok(())
    }
}

impl Joint for Cpu {
    fn launch_together(&mut self, launches: &[Launch<'_>]) -> Result<(), (usize, BackendError)> {
        if launches.iter().all(|launch| launch.bufs[launch.outs[0].index()].len < self.joint_from) {
            return launches.iter().enumerate().try_for_each(|(at, launch)| self.launch(*launch).map_err(|e| (at, e)));
        }
        let mut sites: joint::Each<Box<Site>> = SmallVec::new();
        for (number, launch) in launches.iter().enumerate() {
            sites.push(self.site(launch).map_err(|e| (number, e))?);
            self.prepare(launch).map_err(|e| (number, e))?;
        }
        let places = &self.memory.places;
        let joint::Turns { turns, on_words, links } = joint::Turns::of(launches, |id| places.passes(id))?;
        let streams: joint::Each<_> = launches.iter().map(|launch| streams(self.party, &self.keys, launch)).collect();
        let mut handed: joint::Each<Handed<'_>> = {
            let all: joint::Each<_> = launches.iter().zip(&sites).map(|(launch, site)| (launch, &**site)).collect();
            handed(&mut self.memory, &mut self.messages, &all).map_err(|e| (0, e))?.collect()
        };
        let jobs = sites.iter().zip(&streams).zip(&mut handed).map(|((site, streams), (ins, outs))| {
            let (program, _) = site.program.as_ref()?;
            Some(map::Job { program: *program, ins, streams, outs })
        });
        let mut jobs: joint::Each<_> = jobs.collect();
        let jobs = turns.iter().filter_map(|at| jobs[*at].take()).collect();
        let _under_way = self.threads.share();
        joint::run(self.isa, jobs, on_words, &links, (&mut self.room, self.threads.all()));
        launches.iter().zip(sites).for_each(|(launch, site)| know(&mut self.sites, launch, site));
        Ok(())
    }
}

/// Keeps what was found of a launch.
fn know(sites: &mut Vec<Option<Box<Site>>>, launch: &Launch<'_>, site: Box<Site>) {
    let Some(number) = launch.site else { return };
    if sites.len() <= number {
        sites.resize_with(number + 1, || None);
    }
    sites[number] = Some(site);
}

/// The streams of a launch.
#[inline(always)]
fn streams<'k>(party: Party, keys: &'k [Keystream; 2], launch: &Launch<'_>) -> SmallVec<[map::Keyed<'k>; ROOM]> {
    launch.streams.iter().map(|stream| (*stream, &keys[usize::from(stream.key != party.0)])).collect()
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
            let device = |party, keys| Cpu::with_isa(party, &keys, isa).with_messages_from(0);
            let reports = cases::run_all(&mut |party, keys| Box::new(device(party, keys)));
            for report in reports {
                assert_eq!(report.outcome, Ok(()), "{} with {isa:?}", report.name);
            }
        }
    }

    #[test]
    fn sums_of_many_large_products_are_exact() {
        products::deep_in_bytes().iter().for_each(|case| check(case).unwrap());
        check(&products::deep_in_residues()).unwrap();
    }

    #[test]
    fn a_launch_that_is_known_still_needs_its_operands() {
        let keys = [cases::stream_key(1), cases::stream_key(2)];
        cases::known_launches(&mut Cpu::with_isa(Party(1), &keys, Isa::detect())).unwrap();
    }

    #[test]
    fn threads_share_large_launches() {
        let window = Window { size: [3, 3], stride: [1, 2], pad: [1, 1], dilation: [1, 1] };
        let cases = [
            elements::every_instruction(40_003),
            elements::every_instruction_on_planes(64 * 33_000 + 5),
            elements::bit_of(40_003),
            elements::stream(17, 40_003),
            products::matmul([1, 110, 120, 130], [false, false], 2),
            products::matmul([1, 203, 120, 101], [false, false], 2),
            products::matmul([1, 1, 2200, 1003], [false, false], 1),
            products::matmul([1, 1200, 1100, 9], [false, false], 1),
            products::conv([2, 16, 40, 39], 22, window, 2, 2),
            products::conv([3, 67, 40, 39], 67, window, 67, 2),
        ];
        let keys = [cases::stream_key(1), cases::stream_key(2)];
        for (case, isa) in cases.iter().flat_map(|case| Isa::available().into_iter().map(move |isa| (case, isa))) {
            let mut device = Cpu::with_isa(Party(1), &keys, isa).with_threads(&Threads::new(3));
            assert_eq!(case.run(&mut device), Ok(()), "{} with {isa:?}", case.name);
            // Each other thread has room of its own once it has had a part.
            let shared = (device.space.others.len() + 1).max(device.room.threads());
            assert!(shared > 1, "{} was not shared", case.name);
        }
    }

    #[test]
    fn large_products_agree_with_their_definition() {
        let window = Window { size: [3, 3], stride: [1, 1], pad: [1, 1], dilation: [1, 1] };
        assert!(strassen::levels([171, 305, 270]) > 0);
        let images = [([1, 128, 18, 18], true), ([4, 64, 14, 13], true), ([3, 64, 14, 13], false)];
        let convs = images.map(|(image, by_levels)| {
            let geometry = conv::Geometry::new(image, 261, window, 1);
            assert_eq!(conv::tests::levels_of(&geometry) > 0, by_levels, "{geometry:?}");
            products::conv(image, 261, window, 1, 2)
        });
        let cases = std::iter::once(products::matmul([1, 171, 305, 270], [false, false], 2)).chain(convs);
        for case in cases {
            check(&case).unwrap();
            check(&products::of_sums(case, [[1, 2], [-1, 1]])).unwrap();
        }
    }

    #[test]
    fn large_images_are_padded_some_at_a_time() {
        let window = Window { size: [3, 2], stride: [7, 5], pad: [1, 1], dilation: [2, 1] };
        // Two and one of three; one by one.
        for side in [500, 800] {
            let case = products::conv([3, 4, side, side - 1], 2, window, 2, 2);
            check(&case).unwrap();
            check(&products::of_sums(case, [[1, 2], [-1, 1]])).unwrap();
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
