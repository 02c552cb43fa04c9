//! Measures how long this machine takes for each unit of work: a few launches for each, the shortest of several.
//!
//! A probe is mostly one unit. What it takes of units that were measured before is subtracted.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::backend::cpu::Cpu;
use crate::backend::wire;
use crate::backend::{Backend, BackendError, Launch, StreamKey};
use crate::graph::Window;
use crate::plan::cost::machine::Machine;
use crate::plan::cost::work::{self, Unit};
use crate::plan::layout::Layout;
use crate::plan::{
    Access, Buf, BufId, Instr, Kernel, Lookup, Operand, Party, Product, Program, Reg, Step, Stream, Term, View,
};

/// How long a probe is repeated.
const PATIENCE: Duration = Duration::from_millis(100);

/// Words of each buffer where memory is measured, of all threads together.
const MEMORY: usize = 1 << 24;

/// A launch whose time is mostly that of one unit.
struct Probe {
    unit: Unit,
    kernel: Kernel,
    access: Access,
    streams: Vec<Stream>,
    ins: Vec<Buf>,
    outs: Vec<Buf>,
}

/// Measures this machine, which runs so many threads at once. `report` is called with each unit and its nanoseconds.
///
/// # Errors
/// If the device refuses a launch.
pub fn calibrate(
    name: String,
    threads: usize,
    report: &mut dyn FnMut(&'static str, f64),
) -> Result<Machine, BackendError> {
    let mut times = [0.0; Unit::ALL.len()];
    let mut known = |times: &mut [f64], unit: Unit, nanoseconds: f64| {
        times[unit as usize] = nanoseconds;
        report(Unit::ALL[unit as usize].1, nanoseconds);
    };
    for probe in probes(threads) {
        // Memory is shared: the parties reach for it at once.
        let is_of_memory = matches!(probe.unit, Unit::Far | Unit::Thin);
        let nanoseconds = if is_of_memory { probe.measure_beside(threads)? } else { probe.measure()? };
        let work = probe.work();
        let rest: f64 =
            work.iter().filter(|(unit, _)| *unit != probe.unit).map(|(unit, n)| n * times[unit as usize]).sum();
        // Noise must not make a unit cost nothing.
        let own = (nanoseconds - rest).max(0.05 * nanoseconds) / work.get(probe.unit);
        known(&mut times, probe.unit, own);
    }
    for (unit, width) in [(Unit::Bytes, 64), (Unit::Bits, 50)] {
        let buf = ring(1 << 15, width);
        let words = filled(&buf);
        let (mut payload, mut taken) = (Vec::new(), words.clone());
        let nanoseconds = shortest(|| {
            payload.clear();
            wire::pack(&buf, &words, &mut payload);
            wire::unpack_to(&buf, &payload, std::hint::black_box(&mut taken));
        });
        known(&mut times, unit, nanoseconds / 2.0 / words.len() as f64);
    }
    known(&mut times, Unit::Wake, wake());
    let cores = cores(threads)?;
    Ok(Machine::new(name, cores, |unit| times[unit as usize]))
}

/// How much more products so many threads compute than one of them alone.
fn cores(threads: usize) -> Result<f64, BackendError> {
    let probe = Probe::conv(Unit::Packed, [64, 32, 64, 1]);
    let alone = probe.measure()?;
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| probe.measure())).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut speed = 0.0;
    for nanoseconds in together {
        speed += alone / nanoseconds?;
    }
    Ok(speed.clamp(1.0, threads.max(1) as f64))
}

/// The shortest of several runs, in nanoseconds.
fn shortest(mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    let mut runs = 0;
    while runs < 3 || begin.elapsed() < PATIENCE {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
        runs += 1;
    }
    best.as_secs_f64() * 1e9
}

/// The mean of many runs, in nanoseconds.
fn mean(run: &mut dyn FnMut()) -> f64 {
    let begin = Instant::now();
    let mut runs = 0;
    while begin.elapsed() < PATIENCE {
        run();
        runs += 1;
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
}

/// From sending until the other thread goes on.
fn wake() -> f64 {
    let (to, inbox) = channel::<()>();
    let (back, outbox) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || while inbox.recv().is_ok() && back.send(()).is_ok() {});
        let mut trips: Vec<Duration> = (0..200)
            .map(|_| {
                let start = Instant::now();
                // The other end lives as long as `to`.
                let answered = to.send(()).is_ok() && outbox.recv().is_ok();
                debug_assert!(answered);
                start.elapsed()
            })
            .collect();
        trips.sort_unstable();
        drop(to);
        trips[trips.len() / 2].as_secs_f64() * 1e9 / 2.0
    })
}

fn ring(len: usize, width: u32) -> Buf {
    Buf::ring(Party(0), len, width)
}

fn bits(len: usize, planes: usize) -> Buf {
    Buf::bits(Party(0), len, planes)
}

/// Arbitrary words for a buffer.
fn filled(buf: &Buf) -> Vec<u64> {
    (0..buf.words() as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

impl Probe {
    fn new(unit: Unit, kernel: Kernel, ins: Vec<Buf>, outs: Vec<Buf>) -> Probe {
        Probe { unit, kernel, access: Access::Dense, streams: Vec::new(), ins, outs }
    }

    fn product(unit: Unit, product: Product, sizes: [usize; 3]) -> Probe {
        let [left, right, out] = sizes.map(|len| ring(len, 64));
        Probe::new(unit, Kernel::Product(product), vec![left, right], vec![out])
    }

    fn matmul(unit: Unit, [m, k, n]: [usize; 3]) -> Probe {
        Probe::product(unit, Product::MatMul { batch: 1, m, k, n }, [m * k, k * n, m * n])
    }

    /// 3 by 3, with padding.
    fn conv(unit: Unit, [c, size, o, groups]: [usize; 4]) -> Probe {
        let window = Window::new([3, 3], [1, 1], [1, 1]);
        let product = Product::Conv2d { n: 1, c, h: size, w: size, o, window, groups };
        Probe::product(unit, product, [c * size * size, o * (c / groups) * 9, o * size * size])
    }

    fn map(unit: Unit, len: usize, code: Vec<Instr>) -> Probe {
        let program = Program { name: "probe".to_string(), planes: false, code };
        Probe::new(unit, program.into(), vec![ring(len, 64)], vec![ring(len, 64)])
    }

    fn operands(&self) -> Vec<Operand> {
        (0..self.ins.len() as u32).map(|id| Operand { buf: BufId(id), access: self.access }).collect()
    }

    fn results(&self) -> Vec<BufId> {
        (0..self.outs.len()).map(|at| BufId((self.ins.len() + at) as u32)).collect()
    }

    fn bufs(&self) -> Vec<Buf> {
        self.ins.iter().chain(&self.outs).cloned().collect()
    }

    /// Nanoseconds of a launch.
    fn measure(&self) -> Result<f64, BackendError> {
        self.prepared(|launch| shortest(launch))
    }

    /// Nanoseconds of a launch while so many threads launch the same, each its own.
    fn measure_beside(&self, threads: usize) -> Result<f64, BackendError> {
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(|| self.prepared(mean))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let count = all.len() as f64;
        Ok(all.into_iter().sum::<Result<f64, _>>()? / count)
    }

    /// Has launches timed.
    fn prepared(&self, time: impl FnOnce(&mut dyn FnMut()) -> f64) -> Result<f64, BackendError> {
        let mut device = Cpu::new(Party(0), [StreamKey([1; 16]), StreamKey([2; 16])]);
        let (bufs, ins, outs) = (self.bufs(), self.operands(), self.results());
        device.reserve(Layout::apart(&bufs))?;
        for (id, buf) in (0..).zip(&self.ins) {
            device.write(BufId(id), &mut |words| words.copy_from_slice(&filled(buf)))?;
        }
        let launch =
            Launch { kernel: &self.kernel, ins: &ins, streams: &self.streams, outs: &outs, bufs: &bufs, site: Some(0) };
        device.launch(launch)?;
        let mut outcome = Ok(());
        let nanoseconds = time(&mut || {
            if outcome.is_ok() {
                outcome = device.launch(launch);
            }
        });
        outcome.map(|()| nanoseconds)
    }

    fn work(&self) -> work::Work {
        let step = Step {
            party: Party(0),
            kernel: self.kernel.clone(),
            ins: self.operands(),
            streams: self.streams.clone(),
            outs: self.results(),
            once: false,
            span: None,
            free: Vec::new(),
        };
        work::step(&self.bufs(), &step)
    }
}

/// In an order in which each needs only units measured before; for so many threads that share the memory.
fn probes(threads: usize) -> Vec<Probe> {
    let input = Instr::In { input: 0, plane: 0 };
    let out = |value| Instr::Out { output: 0, plane: 0, value: Reg(value) };
    // As much as is near.
    let len = 1 << 14;
    let copy = |shape: Vec<usize>, strides| Kernel::Copy(View { shape, strides, start: 0, bounds: vec![], fill: 0 });
    // More than is in the caches of all, and not all memory. Copying is no measure: it writes past the caches, which programs
    // with several results do not.
    let long = || ring((MEMORY / threads.max(1)).min(MEMORY / 8), 64);
    let read = (0..4).map(|input| Instr::In { input, plane: 0 });
    let mixed = [Instr::Add(Reg(0), Reg(1)), Instr::Sub(Reg(2), Reg(3)), Instr::Xor(Reg(4), Reg(5))];
    let written = [(0, 4), (1, 6)].map(|(output, value)| Instr::Out { output, plane: 0, value: Reg(value) });
    let moved = Program { name: "probe".to_string(), planes: false, code: read.chain(mixed).chain(written).collect() };
    let mut sums = vec![input];
    sums.extend((0..32).map(|reg| Instr::Add(Reg(reg), Reg(0))));
    sums.push(out(32));
    // Several, so that writing their sum is little beside them.
    let mut drawn: Vec<Instr> = (0..8).map(|stream| Instr::Prf { stream, plane: 0 }).collect();
    drawn.extend((0..7).map(|sum| Instr::Xor(Reg(if sum == 0 { 0 } else { 7 + sum }), Reg(sum + 1))));
    drawn.push(out(14));
    let table = Lookup {
        shift: 40,
        pieces: 16,
        fraction: 30,
        drop: 16,
        terms: vec![Term::Polynomials(vec![vec![3, 5, 7, 9]; 16])],
    };
    vec![
        Probe::map(Unit::Launch, 1, vec![input, out(0)]),
        Probe::new(Unit::Near, copy(vec![len], vec![1]), vec![ring(len, 64)], vec![ring(len, 64)]),
        Probe::map(Unit::Code, 1, sums.clone()),
        Probe::map(Unit::Instr, len, sums),
        Probe::new(Unit::Far, moved.into(), (0..4).map(|_| long()).collect(), (0..2).map(|_| long()).collect()),
        Probe {
            access: Access::Repeat { inner: 64, len: 64, start: 0 },
            ins: vec![ring(64, 64)],
            ..Probe::map(Unit::Spread, len, vec![input, out(0)])
        },
        Probe {
            streams: (0..8).map(|id| Stream { key: 0, id, bits: 64 }).collect(),
            ins: vec![],
            ..Probe::map(Unit::Stream, len, drawn)
        },
        Probe::conv(Unit::Packed, [64, 32, 64, 1]),
        Probe::conv(Unit::Factor, [3, 64, 16, 1]),
        // Weights that are read once, from memory.
        Probe::matmul(Unit::Thin, [1, 2048, 2048]),
        Probe::matmul(Unit::Dots, [512, 512, 1]),
        Probe::conv(Unit::Grouped, [128, 32, 128, 128]),
        Probe::new(Unit::Move, copy(vec![128, 128], vec![1, 128]), vec![ring(len, 64)], vec![ring(len, 64)]),
        Probe::new(
            Unit::Sum,
            Kernel::Sum { outer: 1, axis: 16, inner: len / 16 },
            vec![ring(len, 64)],
            vec![ring(len / 16, 64)],
        ),
        Probe::new(
            Unit::Pool,
            Kernel::SumPool { planes: 16, h: 32, w: 32, window: Window::new([2, 2], [2, 2], [0, 0]) },
            vec![ring(len, 64)],
            vec![ring(len / 4, 64)],
        ),
        Probe {
            access: Access::Bits { add: 1, from: 0 },
            ..Probe::new(Unit::Plane, Kernel::from(Program::planes(32)), vec![ring(len, 64)], vec![bits(len, 32)])
        },
        Probe::new(
            Unit::Place,
            Kernel::OneHot { add: 1, shift: 0, places: 16 },
            vec![ring(len / 16, 64)],
            vec![ring(len, 64)],
        ),
        Probe::new(
            Unit::Lookup,
            Kernel::Lookup(table),
            vec![ring(len, 64), ring(len / 16, 64)],
            vec![ring(len / 16, 64)],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_measured_by_a_probe_that_has_it() {
        let mut measured: Vec<Unit> = probes(1).iter().map(|probe| probe.unit).collect();
        for probe in probes(1) {
            assert!(probe.work().get(probe.unit) > 0.0, "{:?}", probe.unit);
            let before = measured.iter().position(|unit| *unit == probe.unit).expect("it is among them");
            for (unit, _) in probe.work().iter() {
                let known = measured[..=before].contains(&unit);
                // Known only later, and next to nothing there.
                let little = matches!(
                    (probe.unit, unit),
                    (Unit::Launch, Unit::Code | Unit::Instr | Unit::Near)
                        | (Unit::Code, Unit::Instr)
                        | (Unit::Packed, Unit::Factor)
                );
                assert!(known || little, "{:?} needs {unit:?}, which is not known yet", probe.unit);
            }
            assert!(probe.measure().is_ok(), "{:?}", probe.unit);
        }
        measured.extend([Unit::Bytes, Unit::Bits, Unit::Wake]);
        measured.sort_unstable();
        assert_eq!(measured, Unit::ALL.map(|(unit, _)| unit));
    }
}
