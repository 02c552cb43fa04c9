//! Several element programs in one pass: [`WORDS`] words of each result on words are made at a time, and read by other programs
//! on words and transposed for those on planes while they are in the first-level cache; those that are only taken bits of are
//! never written to memory.

use std::slice::IterMut;

use smallvec::SmallVec;

use super::isa::{Isa, TileTask};
use super::map::{BLOCK, Block, Blocks, Job, Results, Room, SHARED, Whole};
use super::planes::WORDS;
use super::products::Direct;
use super::simd::{GROUP, Simd};
use super::threads::each_part;
use crate::backend::{BackendError, Launch, check};
use crate::plan::joint::TOGETHER;
use crate::plan::program::MOST;
use crate::plan::{Access, BufId, Kernel};

/// Launches of fewer elements run one after the other: their operands and results stay in the second-level cache anyway.
pub(super) const LEAST: usize = 1 << 14;

/// For each of what runs together.
pub(super) type Each<T> = SmallVec<[T; TOGETHER]>;

/// An operand that is a result of an earlier program; programs are counted in the order in which blocks of them run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Program and result.
    pub from: (usize, usize),
    /// Program and operand.
    pub to: (usize, usize),
    /// Whether nothing else wants it, so that it has no words.
    pub near: bool,
}

/// Links of programs that run together.
pub(super) type Links = SmallVec<[Link; MOST]>;

/// The order in which blocks of launches run, how many of these are on words, and the links.
pub(super) struct Turns {
    pub turns: Each<usize>,
    pub on_words: usize,
    pub links: Links,
}

impl Turns {
    /// Of launches that run together; whether a result has no words.
    ///
    /// # Errors
    /// If they cannot: the position of a launch that does not fit.
    pub(super) fn of(launches: &[Launch<'_>], near: impl Fn(BufId) -> bool) -> Result<Turns, (usize, BackendError)> {
        let elements = |launch: &Launch<'_>| launch.bufs[launch.outs[0].index()].len;
        let mut kinds = [Each::new(), Each::new()];
        for (at, launch) in launches.iter().enumerate() {
            let misfit = |what| check::misfit(what).map_err(|e| (at, e));
            let Kernel::Map(program) = launch.kernel else {
                return misfit("several launches as one that are not element programs");
            };
            if at >= TOGETHER || elements(launch) != elements(&launches[0]) {
                return misfit("several launches as one that are too many, or of other elements");
            }
            kinds[usize::from(program.planes)].push(at);
        }
        let [mut turns, on_planes] = kinds;
        let on_words = turns.len();
        turns.extend(on_planes);
        let mut links = Links::new();
        for (number, at) in turns.iter().enumerate() {
            for (operand, read) in launches[*at].ins.iter().enumerate() {
                let made = |of: &usize| launches[*of].outs.iter().position(|id| *id == read.buf);
                let maker = turns.iter().enumerate().find_map(|(from, of)| Some((from, made(of)?)));
                let Some(from) = maker else { continue };
                let near = near(read.buf);
                let fits = match read.access {
                    Access::Bits { .. } => number >= on_words && from.0 < on_words,
                    Access::Dense => from.0 < number && number < on_words && !near,
                    _ => false,
                };
                if !fits {
                    let wanted = "several launches as one, of which one takes neither words in order nor bits of another's result";
                    return check::misfit(wanted).map_err(|e| (*at, e));
                }
                links.push(Link { from, to: (number, operand), near });
            }
        }
        Ok(Turns { turns, on_words, links })
    }
}

/// Runs programs on the same elements, the first `on_words` of them on words and the others on planes, shared among `threads`.
/// Linked results have words; what is linked to words is not near.
pub(super) fn run(
    isa: Isa,
    jobs: Each<Job<'_, '_, '_>>,
    on_words: usize,
    links: &Links,
    (room, threads): (&mut Room, usize),
) {
    let elements = jobs[0].outs[0].buf.len;
    let stride = elements.div_ceil(64);
    let threads = if elements < SHARED { 1 } else { threads };
    let Room { programs, spaces, near } = room;
    let wanted = near_results(links).count() * WORDS;
    near.resize_with(near.len().max(threads), Vec::new);
    near.iter_mut().take(threads).for_each(|near| near.resize(near.len().max(wanted), 0));

    let begins: Each<_> = jobs.iter().map(|job| check::begins(job.outs.iter().map(|out| out.buf.planes))).collect();
    let (mut wholes, mut results, mut slots) = (Each::new(), Each::new(), Each::new());
    for ((job, space), begins) in jobs.into_iter().zip(spaces).zip(&begins) {
        let Job { program, ins, streams, outs } = job;
        let (stride, allocated) = (outs[0].buf.stride(), programs.allocated(program));
        space.fit(allocated, stride, threads);
        wholes.push(Whole { stride, ins, streams, begins, constants: &space.constants, allocated });
        results.push(Results::of(outs, stride));
        slots.push(space.slots.iter_mut());
    }
    let step = stride.div_ceil(threads).next_multiple_of(BLOCK);
    let all = Together { wholes: &wholes, on_words, links, elements, step };
    let mut rooms = near.iter_mut().map(|near| Own { slots: next_of_each(&mut slots), near });
    if threads == 1 {
        rooms.next().into_iter().for_each(|own| all.run(isa, own, 0, &mut results));
        return;
    }
    let parts = (0..stride).step_by(step).zip(rooms).map(|(first, own)| {
        let words = |number| if number < on_words { 64 * step } else { step };
        let part: Each<_> = results.iter_mut().enumerate().map(|(at, whole)| whole.split_off(words(at))).collect();
        (first, own, part)
    });
    each_part(parts, |(first, own, mut results)| all.run(isa, own, first, &mut results));
}

/// A thread's slots for each program.
fn next_of_each<'b>(slots: &mut Each<IterMut<'b, Vec<Block>>>) -> Each<&'b mut Vec<Block>> {
    slots.iter_mut().filter_map(Iterator::next).collect()
}

/// Results that nothing but links wants, for each of these.
fn near_results(links: &Links) -> impl Iterator<Item = (usize, usize)> {
    links.iter().filter(|link| link.near).map(|link| link.from)
}

/// Checked launches that run together.
struct Together<'a> {
    wholes: &'a [Whole<'a>],
    on_words: usize,
    links: &'a Links,
    elements: usize,
    /// Words of the planes that a part has.
    step: usize,
}

/// A thread's room.
struct Own<'b> {
    slots: Each<&'b mut Vec<Block>>,
    near: &'b mut Vec<u64>,
}

impl Together<'_> {
    /// Runs a part of all, from a word of the planes on.
    fn run<'b>(&self, isa: Isa, own: Own<'b>, first: usize, results: &mut Each<Results<'b>>) {
        let mut left = &mut own.near[..];
        for (job, result) in near_results(self.links) {
            let plane = self.wholes[job].begins[result];
            results[job].planes[plane] = left.split_off_mut(..WORDS).unwrap_or_default();
        }
        let blocks = self.wholes.iter().zip(results).zip(own.slots).enumerate();
        let mut words: Each<Blocks<'_, 'b>> = blocks
            .map(|(number, ((whole, results), slots))| {
                let first = if number < self.on_words { 64 * first } else { first };
                let mut blocks = Blocks::new(whole, first, results, slots);
                let mine = near_results(self.links).filter(|(job, _)| *job == number);
                blocks.near = mine.map(|(_, result)| whole.begins[result]).collect();
                blocks
            })
            .collect();
        let planes = words.drain(self.on_words..).collect();
        let elements = (self.elements - 64 * first).min(64 * self.step);
        isa.run_tiles(Part { words, planes, links: self.links, first, elements });
    }
}

/// A part of launches that run together.
struct Part<'a, 'b> {
    words: Each<Blocks<'a, 'b>>,
    planes: Each<Blocks<'a, 'b>>,
    links: &'a Links,
    /// Its first word of the planes.
    first: usize,
    elements: usize,
}

impl TileTask for Part<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, P: Direct, const ROWS: usize, const GROUPS: usize>(mut self, simd: S, _: P) {
        let on_words = self.words.len();
        for block in (0..self.elements).step_by(64 * BLOCK) {
            let end = self.elements.min(block + 64 * BLOCK);
            for (start, at) in (block..end).step_by(WORDS).zip((0..).step_by(GROUP)) {
                let end = end.min(start + WORDS);
                for number in 0..on_words {
                    let (before, rest) = self.words.split_at_mut(number);
                    let made = self.links.iter().filter(|link| link.to.0 == number);
                    let made: SmallVec<[_; MOST]> = made.map(|link| (link.to.1, result(before, link))).collect();
                    for from in (start..end).step_by(BLOCK) {
                        rest[0].block(from, BLOCK.min(end - from), &made);
                    }
                }
                for (planes, number) in self.planes.iter_mut().zip(on_words..) {
                    for taken in &planes.whole.allocated.taken {
                        let link = self.links.iter().find(|link| link.to == (number, taken.input));
                        let words = match link {
                            Some(link) if link.near => &result(&self.words, link)[..end - start],
                            Some(link) => &result(&self.words, link)[start..end],
                            None => &planes.whole.ins[taken.input].words[64 * self.first..][start..end],
                        };
                        planes.take(simd, taken, words, at);
                    }
                }
            }
            for planes in &mut self.planes {
                planes.block(block / 64, (end - block).div_ceil(64), &[]);
            }
        }
    }
}

/// What a program made of a result that is an operand of another.
#[inline(always)]
fn result<'m>(words: &'m [Blocks<'_, '_>], link: &Link) -> &'m [u64] {
    let of = &words[link.from.0];
    &*of.results.planes[of.whole.begins[link.from.1]]
}

#[cfg(test)]
mod tests {
    use super::super::{Cpu, Threads};
    use super::*;
    use crate::backend::cases::stream_key;
    use crate::backend::{Backend, Joint, Messages};
    use crate::plan::layout::Layout;
    use crate::plan::{Buf, Instr, Operand, Party, Program, Reg, Stream};

    const ME: Party = Party(1);

    /// A launch to be.
    #[derive(Clone)]
    struct Part {
        kernel: Kernel,
        ins: Vec<Operand>,
        streams: Vec<Stream>,
        outs: Vec<BufId>,
    }

    /// Launches on the same elements.
    struct Several {
        bufs: Vec<Buf>,
        parts: Vec<Part>,
    }

    /// What all buffers hold, and a message.
    type Ran = (Vec<Vec<u64>>, Vec<u8>);

    fn read(input: u16, plane: u16) -> Instr {
        Instr::In { input, plane }
    }

    fn write(output: u16, plane: u16, value: u16) -> Instr {
        Instr::Out { output, plane, value: Reg(value) }
    }

    fn map(planes: bool, code: Vec<Instr>) -> Kernel {
        Kernel::from(Program { name: "of several".to_string(), planes, code })
    }

    fn at(buf: u32, access: Access) -> Operand {
        Operand { buf: BufId(buf), access }
    }

    fn bits(buf: u32, add: u64, from: u32) -> Operand {
        at(buf, Access::Bits { add, from })
    }

    /// Four launches, of which the third is on words behind one on planes:
    /// - sums of 0 and 1, to 3, 4 (which is sent) and 5;
    /// - planes, of bits of 3, 5 and 0 and of the planes 2, to 6;
    /// - words, of 4 and 0 as they are and of 1, to 7 and 8;
    /// - planes, of bits of 3 and of 8, to 9.
    fn several(len: usize) -> Several {
        let words = |width| Buf::ring(ME, len, width);
        let planes = |planes| Buf::bits(ME, len, planes);
        let sum = [words(64), words(48), words(64)];
        let bufs =
            [&[words(64), words(64), planes(2)], &sum[..], &[planes(4), words(64), words(64), planes(2)]].concat();
        let repeated = at(1, Access::Repeat { inner: 3, len: 2.min(len), start: 1 });
        let sums = vec![
            read(0, 0),
            read(1, 0),
            Instr::Prf { stream: 0, plane: 0 },
            Instr::Add(Reg(0), Reg(1)),
            Instr::Sub(Reg(3), Reg(2)),
            write(1, 0, 3),
            write(0, 0, 4),
            Instr::Xor(Reg(4), Reg(1)),
            write(2, 0, 7),
        ];
        let taking = vec![
            read(0, 0),
            read(0, 40),
            read(1, 1),
            read(2, 0),
            read(3, 5),
            Instr::Prf { stream: 0, plane: 3 },
            Instr::Xor(Reg(0), Reg(3)),
            Instr::And(Reg(1), Reg(2)),
            write(0, 3, 6),
            write(0, 0, 7),
            Instr::Xor(Reg(4), Reg(5)),
            write(0, 1, 10),
            write(0, 2, 2),
        ];
        let more = vec![
            read(0, 0),
            read(1, 0),
            read(2, 0),
            Instr::Mul(Reg(0), Reg(1)),
            Instr::Sub(Reg(3), Reg(2)),
            write(0, 0, 3),
            write(1, 0, 4),
        ];
        let last = vec![read(0, 9), read(1, 0), Instr::And(Reg(0), Reg(1)), write(0, 0, 2), write(0, 1, 1)];
        let part = |kernel, ins: &[Operand], streams: &[Stream], outs: &[u32]| Part {
            kernel,
            ins: ins.to_vec(),
            streams: streams.to_vec(),
            outs: outs.iter().map(|id| BufId(*id)).collect(),
        };
        let [dense, plane] = [at(0, Access::Dense), at(2, Access::Dense)];
        let parts = vec![
            part(map(false, sums), &[dense, repeated], &[Stream { key: 1, id: 4, bits: 64 }], &[3, 4, 5]),
            part(
                map(true, taking),
                &[bits(3, 0x1234_5678_9abc, 7), plane, bits(5, 0, 63), bits(0, 1, 2)],
                &[Stream { key: 2, id: 5, bits: 1 }],
                &[6],
            ),
            part(map(false, more), &[at(4, Access::Dense), dense, repeated], &[], &[7, 8]),
            part(map(true, last), &[bits(3, 5, 0), bits(8, 0, 13)], &[], &[9]),
        ];
        Several { bufs, parts }
    }

    impl Several {
        fn launches(&self) -> Vec<Launch<'_>> {
            let launch = |at: usize| {
                let Part { kernel, ins, streams, outs } = &self.parts[at];
                Launch { kernel, ins, streams, outs, bufs: &self.bufs, site: Some(at) }
            };
            (0..self.parts.len()).map(launch).collect()
        }

        /// What a buffer holds before.
        fn before(&self, id: usize) -> Vec<u64> {
            let mixed = |at: usize| (at + 1000 * id) as u64 ^ 0x0123_4567_89ab_cdef;
            (0..self.bufs[id].words()).map(|at| mixed(at).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)).collect()
        }

        /// All buffers after the launches, as one or not, and the message of buffer 4; these are `near`.
        fn run(&self, device: &mut Cpu, near: &[usize], as_one: bool) -> Result<Ran, (usize, BackendError)> {
            let all = |e| (usize::MAX, e);
            let passing = (0..self.bufs.len()).map(|id| near.contains(&id)).collect();
            device.reserve(Layout::apart(&self.bufs).with_passing(passing)).map_err(all)?;
            for id in 0..self.bufs.len() {
                device.write(BufId(id as u32), &mut |words| words.copy_from_slice(&self.before(id))).map_err(all)?;
            }
            let room = vec![0xa5; self.bufs[4].wire_bytes()];
            let message = device.open(&self.bufs, &[BufId(4)], room).map_err(all)?;
            // Twice, as a device that knows them.
            for _ in 0..2 {
                match as_one {
                    true => device.launch_together(&self.launches())?,
                    false => self.launches().into_iter().try_for_each(|launch| device.launch(launch)).map_err(all)?,
                }
            }
            let sent = device.close(&self.bufs, message).map_err(all)?;
            let words = |id| Ok(device.read(BufId(id))?.to_vec());
            Ok(((0..self.bufs.len() as u32).map(words).collect::<Result<_, BackendError>>().map_err(all)?, sent))
        }
    }

    fn device(isa: Isa, threads: usize) -> Cpu {
        let keys = [stream_key(1), stream_key(2)];
        let device = Cpu::with_isa(ME, &keys, isa).with_messages_from(0).with_joint_from(0);
        device.with_threads(&Threads::new(threads))
    }

    #[test]
    fn several_as_one_compute_what_they_compute_one_after_the_other() {
        for len in [1, 63, 64, 65, 511, 512, 513, 64 * BLOCK - 1, 64 * BLOCK + 513, 3 * 64 * BLOCK + 5] {
            let all = several(len);
            // Which of them, and what is near of what they make.
            let some: [(&[usize], &[usize]); 6] = [
                (&[0, 1, 2, 3], &[]),
                (&[0, 1, 2, 3], &[3, 5, 8]),
                (&[0, 1], &[5]),
                (&[0, 2], &[]),
                (&[1, 3], &[]),
                (&[2, 1, 3], &[8]),
            ];
            for (numbers, near) in some {
                let parts = numbers.iter().map(|at| all.parts[*at].clone()).collect();
                let several = Several { parts, bufs: all.bufs.clone() };
                for isa in Isa::available() {
                    let (wanted, message) = several.run(&mut device(isa, 1), &[], false).unwrap();
                    for threads in [1, 3] {
                        let case = format!("{numbers:?} of {len} with {isa:?}, {near:?}, {threads} threads");
                        let mut cpu = device(isa, threads);
                        let (found, sent) = several.run(&mut cpu, near, true).unwrap();
                        assert_eq!(sent, message, "{case}");
                        assert_eq!(cpu.room.threads() > 1, threads > 1 && len >= SHARED, "{case}");
                        for (id, found) in found.into_iter().enumerate() {
                            // What is near was never written.
                            let wanted = if near.contains(&id) { &several.before(id) } else { &wanted[id] };
                            assert!(found == *wanted, "buffer {id} of {case}");
                        }
                    }
                }
            }
        }
    }

    /// Threads of a pool, whose stacks are small, take as many parts as there are.
    #[test]
    fn many_threads_share_what_runs_as_one() {
        let all = several(20 * 64 * BLOCK + 5);
        let isa = Isa::available()[0];
        let (wanted, message) = all.run(&mut device(isa, 1), &[], false).unwrap();
        for threads in [3, 4, 16, 64] {
            let mut cpu = device(isa, threads);
            let (found, sent) = all.run(&mut cpu, &[], true).unwrap();
            assert!(sent == message && found == wanted, "{threads} threads");
            assert_eq!(cpu.room.threads(), threads);
        }
    }

    #[test]
    fn what_is_not_one_is_refused() {
        let run = |change: &dyn Fn(&mut Several)| {
            let mut several = several(640);
            change(&mut several);
            let ran = several.run(&mut device(Isa::available()[0], 1), &[], true);
            ran.map(|_| ()).map_err(|(at, e)| (at, e.to_string()))
        };
        assert_eq!(run(&|_| {}), Ok(()));
        let refused = |change: &dyn Fn(&mut Several), at: usize, why: &str| {
            let (found, error) = run(change).expect_err(why);
            assert!(found == at && error.contains(why), "{found}: {error}");
        };
        let way = "takes neither words in order nor bits";
        // Words out of order; planes that another makes; words that are made later.
        refused(&|all| all.parts[2].ins[0].access = Access::Repeat { inner: 1, len: 640, start: 1 }, 2, way);
        refused(&|all| all.parts[3].ins.push(at(6, Access::Dense)), 3, way);
        refused(&|all| all.parts.swap(0, 2), 0, way);
        let copy = Kernel::Concat { outer: 1, chunks: vec![640] };
        let concat = |all: &mut Several| {
            let ins = vec![at(0, Access::Dense)];
            all.parts[2] = Part { kernel: copy.clone(), ins, streams: vec![], outs: vec![BufId(7)] };
        };
        refused(&concat, 2, "not element programs");
        refused(&|all| all.parts = vec![all.parts[0].clone(); TOGETHER + 1], TOGETHER, "too many");
        refused(
            &|all| {
                all.bufs.push(Buf::ring(ME, 320, 64));
                all.bufs.push(Buf::ring(ME, 320, 64));
                let part = &mut all.parts[2];
                part.kernel = map(false, vec![read(0, 0), write(0, 0, 0)]);
                (part.ins, part.outs) = (vec![at(10, Access::Dense)], vec![BufId(11)]);
            },
            2,
            "of other elements",
        );
    }
}
