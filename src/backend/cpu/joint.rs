//! Two element programs in one pass: one on words, and one on planes that takes bits of its results. [`WORDS`] words are made
//! at a time and transposed while they are in the first-level cache; those that nothing else wants are never written to
//! memory.

use smallvec::SmallVec;

use super::isa::{Isa, TileTask};
use super::map::{BLOCK, Block, Blocks, Job, Results, Room, SHARED, Whole};
use super::planes::WORDS;
use super::products::Direct;
use super::simd::{GROUP, Simd};
use super::threads::each_part;
use crate::backend::check;

/// An operand of the second program that is a result of the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub operand: usize,
    pub result: usize,
    /// Whether nothing else wants it.
    pub near: bool,
}

/// Links of two programs.
pub(super) type Links = SmallVec<[Link; 2]>;

/// Runs both programs, shared among `threads`. Linked results have words.
pub(super) fn run(isa: Isa, jobs: [Job<'_, '_, '_>; 2], links: &Links, (room, threads): (&mut Room, usize)) {
    let strides = jobs.each_ref().map(|job| job.outs[0].buf.stride());
    let threads = if strides[0] < SHARED { 1 } else { threads };
    let Room { programs, spaces: [first, second], near } = room;
    let [words, planes] = jobs;
    let allocated = [words.program, planes.program].map(|program| programs.allocated(program));
    first.fit(allocated[0], strides[0], threads);
    second.fit(allocated[1], strides[1], threads);
    near.resize_with(near.len().max(threads), Vec::new);
    let wanted = links.iter().filter(|link| link.near).count() * WORDS;
    near.iter_mut().take(threads).for_each(|near| near.resize(near.len().max(wanted), 0));

    let begins = [&words, &planes].map(|job| check::begins(job.outs.iter().map(|out| out.buf.planes)));
    let mut results = [Results::of(words.outs, strides[0]), Results::of(planes.outs, strides[1])];
    let wholes = [
        Whole {
            stride: strides[0],
            ins: words.ins,
            streams: words.streams,
            begins: &begins[0],
            constants: &first.constants,
            allocated: allocated[0],
        },
        Whole {
            stride: strides[1],
            ins: planes.ins,
            streams: planes.streams,
            begins: &begins[1],
            constants: &second.constants,
            allocated: allocated[1],
        },
    ];
    let rooms = first.slots.iter_mut().zip(&mut second.slots).zip(near);
    let mut rooms = rooms.map(|((first, second), near)| Own { slots: [first, second], near });
    if threads == 1 {
        rooms.next().into_iter().for_each(|own| own.run(isa, &wholes, links, 0, &mut results));
        return;
    }
    let step = strides[1].div_ceil(threads).next_multiple_of(BLOCK);
    let parts = (0..strides[1]).step_by(step).zip(rooms).map(|(first, own)| {
        let [words, planes] = &mut results;
        (first, own, [words.split_off(64 * step), planes.split_off(step)])
    });
    each_part(parts, |(first, own, mut results)| own.run(isa, &wholes, links, first, &mut results));
}

/// A thread's room.
struct Own<'b> {
    slots: [&'b mut Vec<Block>; 2],
    near: &'b mut Vec<u64>,
}

impl<'b> Own<'b> {
    /// Runs a part of both, from a word of the planes on.
    fn run(self, isa: Isa, wholes: &[Whole<'_>; 2], links: &Links, first: usize, results: &mut [Results<'b>; 2]) {
        let [words, planes] = results;
        let mut left = &mut self.near[..];
        for link in links.iter().filter(|link| link.near) {
            words.planes[wholes[0].begins[link.result]] = left.split_off_mut(..WORDS).unwrap_or_default();
        }
        let [making, taking] = self.slots;
        let mut words = Blocks::new(&wholes[0], 64 * first, words, making);
        words.near = links.iter().filter(|link| link.near).map(|link| wholes[0].begins[link.result]).collect();
        isa.run_tiles(Both { words, planes: Blocks::new(&wholes[1], first, planes, taking), links });
    }
}

/// A part of both programs.
struct Both<'a, 'b> {
    words: Blocks<'a, 'b>,
    planes: Blocks<'a, 'b>,
    links: &'a Links,
}

impl TileTask for Both<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize>(mut self, simd: S, _: P) {
        let Both { words, planes, links } = &mut self;
        for from in (0..planes.results.len).step_by(BLOCK) {
            let count = BLOCK.min(planes.results.len - from);
            for at in (0..count).step_by(GROUP) {
                let start = 64 * (from + at);
                let end = words.results.len.min(start + WORDS);
                for from in (start..end).step_by(BLOCK) {
                    words.block(from, BLOCK.min(end - from));
                }
                for taken in &planes.whole.allocated.taken {
                    let made = |link: &Link| &*words.results.planes[words.whole.begins[link.result]];
                    let taken_from = match links.iter().find(|link| link.operand == taken.input) {
                        Some(link) if link.near => &made(link)[..end - start],
                        Some(link) => &made(link)[start..end],
                        None => &planes.whole.ins[taken.input].words[words.first + start..words.first + end],
                    };
                    planes.take(simd, taken, taken_from, at);
                }
            }
            planes.block(from, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cpu, Threads};
    use super::*;
    use crate::backend::cases::stream_key;
    use crate::backend::{Backend, BackendError, Joint, Launch, Messages};
    use crate::plan::layout::Layout;
    use crate::plan::{Access, Buf, BufId, Instr, Kernel, Operand, Party, Program, Reg, Stream};

    const ME: Party = Party(1);

    /// Two launches: the first writes buffers 3 (a sum with a stream), 4 and 5, of which the second takes bits of 3 and 5, and
    /// bits of an operand of the first, to 6; it reads planes, too.
    struct Two {
        bufs: Vec<Buf>,
        kernels: [Kernel; 2],
        ins: [Vec<Operand>; 2],
        streams: [Vec<Stream>; 2],
        outs: [Vec<BufId>; 2],
    }

    fn read(input: u16, plane: u16) -> Instr {
        Instr::In { input, plane }
    }

    fn write(output: u16, plane: u16, value: u16) -> Instr {
        Instr::Out { output, plane, value: Reg(value) }
    }

    fn map(planes: bool, code: Vec<Instr>) -> Kernel {
        Kernel::from(Program { name: "of two".to_string(), planes, code })
    }

    fn two(len: usize) -> Two {
        let words = |width| Buf::ring(ME, len, width);
        let bufs =
            vec![words(64), words(64), Buf::bits(ME, len, 2), words(64), words(48), words(64), Buf::bits(ME, len, 4)];
        let draw = Instr::Prf { stream: 0, plane: 0 };
        let sums = vec![
            read(0, 0),
            read(1, 0),
            draw,
            Instr::Add(Reg(0), Reg(1)),
            Instr::Sub(Reg(3), Reg(2)),
            write(1, 0, 3),
            write(0, 0, 4),
            Instr::Xor(Reg(4), Reg(1)),
            write(2, 0, 7),
        ];
        let draw = Instr::Prf { stream: 0, plane: 3 };
        let taking = vec![
            read(0, 0),
            read(0, 40),
            read(1, 1),
            read(2, 0),
            read(3, 5),
            draw,
            Instr::Xor(Reg(0), Reg(3)),
            Instr::And(Reg(1), Reg(2)),
            write(0, 3, 6),
            write(0, 0, 7),
            Instr::Xor(Reg(4), Reg(5)),
            write(0, 1, 10),
            write(0, 2, 2),
        ];
        let at = |buf, access| Operand { buf: BufId(buf), access };
        let bits = |buf, add, from| at(buf, Access::Bits { add, from });
        Two {
            bufs,
            kernels: [map(false, sums), map(true, taking)],
            ins: [
                vec![at(0, Access::Dense), at(1, Access::Repeat { inner: 3, len: 2.min(len), start: 1 })],
                vec![bits(3, 0x1234_5678_9abc, 7), at(2, Access::Dense), bits(5, 0, 63), bits(0, 1, 2)],
            ],
            streams: [vec![Stream { key: 1, id: 4, bits: 64 }], vec![Stream { key: 2, id: 5, bits: 1 }]],
            outs: [vec![BufId(3), BufId(4), BufId(5)], vec![BufId(6)]],
        }
    }

    impl Two {
        fn launches(&self) -> [Launch<'_>; 2] {
            [0, 1].map(|at| Launch {
                kernel: &self.kernels[at],
                ins: &self.ins[at],
                streams: &self.streams[at],
                outs: &self.outs[at],
                bufs: &self.bufs,
                site: Some(at),
            })
        }

        /// What a buffer holds before.
        fn before(&self, id: usize) -> Vec<u64> {
            let mixed = |at: usize| (at + 1000 * id) as u64 ^ 0x0123_4567_89ab_cdef;
            (0..self.bufs[id].words()).map(|at| mixed(at).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)).collect()
        }

        /// All buffers after both launches, as one or not, and the message of buffer 4; 3 and 5 are `near` or not.
        fn run(
            &self,
            device: &mut Cpu,
            near: [bool; 2],
            joint: bool,
        ) -> Result<(Vec<Vec<u64>>, Vec<u8>), BackendError> {
            let passing = (0..self.bufs.len()).map(|id| is_near(near, id)).collect();
            device.reserve(Layout::apart(&self.bufs).with_passing(passing))?;
            for id in 0..self.bufs.len() {
                device.write(BufId(id as u32), &mut |words| words.copy_from_slice(&self.before(id)))?;
            }
            let room = vec![0xa5; self.bufs[4].wire_bytes()];
            let message = device.open(&self.bufs, &[BufId(4)], room)?;
            // Twice, as a device that knows them.
            for _ in 0..2 {
                match joint {
                    true => device.launch_both(self.launches())?,
                    false => self.launches().into_iter().try_for_each(|launch| device.launch(launch))?,
                }
            }
            let sent = device.close(&self.bufs, message)?;
            let words = |id| Ok(device.read(BufId(id))?.to_vec());
            Ok(((0..self.bufs.len() as u32).map(words).collect::<Result<_, BackendError>>()?, sent))
        }
    }

    fn is_near(near: [bool; 2], id: usize) -> bool {
        near[0] && id == 3 || near[1] && id == 5
    }

    fn device(isa: Isa, threads: usize) -> Cpu {
        let keys = [stream_key(1), stream_key(2)];
        Cpu::with_isa(ME, &keys, isa).with_messages_from(0).with_threads(&Threads::new(threads))
    }

    #[test]
    fn two_as_one_compute_what_they_compute_one_after_the_other() {
        for len in [1, 63, 64, 65, 511, 512, 513, 64 * BLOCK - 1, 64 * BLOCK + 513, 3 * 64 * BLOCK + 5] {
            let two = two(len);
            for isa in Isa::available() {
                let (wanted, message) = two.run(&mut device(isa, 1), [false; 2], false).unwrap();
                for (near, threads) in [([false; 2], 1), ([true, false], 2), ([false, true], 3), ([true; 2], 4)] {
                    let case = format!("{len} with {isa:?}, {near:?}, {threads} threads");
                    let mut cpu = device(isa, threads);
                    let (found, sent) = two.run(&mut cpu, near, true).unwrap();
                    assert_eq!(sent, message, "{case}");
                    assert_eq!(cpu.room.threads() > 1, threads > 1 && len >= SHARED, "{case}");
                    for (id, found) in found.into_iter().enumerate() {
                        // What is near was never written.
                        let wanted = if is_near(near, id) { &two.before(id) } else { &wanted[id] };
                        assert!(found == *wanted, "buffer {id} of {case}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_one_is_refused() {
        let run = |change: &dyn Fn(&mut Two)| {
            let mut two = two(640);
            change(&mut two);
            two.run(&mut device(Isa::available()[0], 1), [false; 2], true).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(run(&|_| {}), Ok(()));
        let refused = |change: &dyn Fn(&mut Two)| run(change).expect_err("no refusal");
        // Nothing is taken of the first's results.
        let error = refused(&|two| two.ins[1].iter_mut().filter(|op| op.buf.0 != 2).for_each(|op| op.buf = BufId(0)));
        assert!(error.contains("takes no bits of the first's results"), "{error}");
        let copy = Kernel::Concat { outer: 1, chunks: vec![640] };
        let error = refused(&|two| {
            (two.kernels[0], two.outs[0]) = (copy.clone(), vec![BufId(3)]);
            two.ins[0].truncate(1);
            two.streams[0].clear();
        });
        assert!(error.contains("not element programs"), "{error}");
    }
}
