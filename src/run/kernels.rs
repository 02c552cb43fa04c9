//! How fast a device runs single kernels, on a list of shapes: `smlc bench --kernels`.
//!
//! Launches go into a device's queue, so each is repeated, and what is timed ends with a word that is read.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::backend::ceilings::{Unit, Work};
use crate::backend::{Backend, BackendError, Launch};
use crate::graph::{self, Window};
use crate::plan::layout::Layout;
use crate::plan::lower::{self, Cut, Options};
use crate::plan::{Access, Buf, BufId, Instr, Kernel, Operand, Party, Plan, Product, Program, Reg, Step, Stream, View};
use crate::span::Sources;
use crate::{hir, pass};

/// A kernel that was measured.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Measured {
    /// What ran.
    pub name: String,
    /// Seconds of a launch: the median of several timings.
    pub seconds: f64,
    /// What a launch does, of `unit`.
    pub amount: f64,
    /// Multiply-adds, bytes read and written, elements, launches, or what a device's unit does.
    pub unit: &'static str,
    /// What bounds it, if the device's units can be measured.
    pub bound: Option<Bound>,
}

/// What bounds a kernel.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bound {
    /// A unit of the device.
    pub by: &'static str,
    /// The part of what was measured of it at most.
    pub share: f64,
}

impl Measured {
    /// What nothing is held against.
    fn new(name: String, seconds: f64, amount: f64, unit: &'static str) -> Measured {
        Measured { name, seconds, amount, unit, bound: None }
    }
}

/// A launch to measure.
struct Probe {
    name: String,
    kernel: Kernel,
    ins: Vec<Buf>,
    access: Access,
    outs: Vec<Buf>,
    streams: Vec<Stream>,
    amount: f64,
    unit: &'static str,
}

/// What is counted where a launch is measured by itself.
const LAUNCHES: &str = "launches";

/// Timings of which the median is taken.
const TIMINGS: usize = 5;

/// Seconds that a timing takes at least, where launches are short.
const LONG_ENOUGH: f64 = 0.02;

fn ring(len: usize) -> Buf {
    Buf::ring(Party(0), len, 64)
}

/// `x` of a network, divided by `shrink` but at least `least`.
fn less(x: usize, shrink: usize, least: usize) -> usize {
    (x / shrink).max(least)
}

/// A matrix product of two pairs, as a party computes it.
fn matmul([m, k, n]: [usize; 3]) -> Probe {
    Probe {
        name: format!("matrix product {m}x{k}x{n}, two pairs"),
        kernel: Kernel::Product(Product::MatMul { batch: 1, m, k, n }),
        ins: vec![ring(m * k), ring(k * n), ring(m * k), ring(k * n)],
        access: Access::Dense,
        outs: vec![ring(m * n)],
        streams: Vec::new(),
        amount: 2.0 * m as f64 * k as f64 * n as f64,
        unit: "multiply-adds",
    }
}

/// A convolution of two pairs.
fn conv(n: usize, [c, o, groups]: [usize; 3], h: usize, [size, stride]: [usize; 2]) -> Probe {
    let window = Window::new([size; 2], [stride; 2], [size / 2; 2]);
    let [rows, cols] = window.output(h, h).unwrap_or_default();
    let weights = o * (c / groups) * size * size;
    let of_groups = if groups > 1 { format!(", {groups} groups") } else { String::new() };
    let image = ring(n * c * h * h);
    Probe {
        name: format!("convolution {size}x{size}/{stride}, {c} to {o} at {h}x{h}, batch {n}{of_groups}, two pairs"),
        kernel: Kernel::Product(Product::Conv2d { n, c, h, w: h, o, window, groups }),
        ins: vec![image.clone(), ring(weights), image, ring(weights)],
        access: Access::Dense,
        outs: vec![ring(n * o * rows * cols)],
        streams: Vec::new(),
        amount: 2.0 * (n * rows * cols * weights) as f64,
        unit: "multiply-adds",
    }
}

/// An element program on so many words.
fn map(name: &str, code: Vec<Instr>, [ins, outs]: [usize; 2], bits: &[u32], len: usize) -> Probe {
    let streams = (0..).zip(bits).map(|(id, bits)| Stream { key: id as u8 % 2, id, bits: *bits }).collect();
    Probe {
        name: format!("{name} of {len}"),
        kernel: Kernel::from(Program { name: name.to_string(), planes: false, code }),
        ins: vec![ring(len); ins],
        access: Access::Dense,
        outs: vec![ring(len); outs],
        streams,
        amount: len as f64,
        unit: "elements",
    }
}

/// What P0 computes in a truncation by 16 bits, two messages from a word and four streams:
/// `D = (u >> f) - u_m 2^(K-f) - t` and `E = u_m - s`.
#[must_use]
pub fn truncation() -> Vec<Instr> {
    vec![
        Instr::In { input: 0, plane: 0 },
        Instr::Prf { stream: 0, plane: 0 },
        Instr::Add(Reg(0), Reg(1)),
        Instr::Prf { stream: 1, plane: 0 },
        Instr::Sub(Reg(2), Reg(3)),
        Instr::Imm((1 << 62) + (1 << 16) - 1),
        Instr::Add(Reg(4), Reg(5)),
        Instr::Shr(Reg(6), 16),
        Instr::Shr(Reg(6), 63),
        Instr::Shl(Reg(8), 48),
        Instr::Sub(Reg(7), Reg(9)),
        Instr::Prf { stream: 2, plane: 0 },
        Instr::Sub(Reg(10), Reg(11)),
        Instr::Prf { stream: 3, plane: 0 },
        Instr::Sub(Reg(8), Reg(13)),
        Instr::Out { output: 0, plane: 0, value: Reg(12) },
        Instr::Out { output: 1, plane: 0, value: Reg(14) },
    ]
}

/// The list; sizes are divided by `shrink`, to try the measurement itself.
fn probes(shrink: usize) -> Vec<Probe> {
    let words = less(1 << 26, shrink, 1 << 10);
    let copy = View { shape: vec![words], strides: vec![1], start: 0, bounds: Vec::new(), fill: 0 };
    let square = |n: usize| [less(n, shrink, 16); 3];
    let width = |n: usize| less(n, shrink, 4);
    let draw = vec![Instr::Prf { stream: 0, plane: 0 }, Instr::Out { output: 0, plane: 0, value: Reg(0) }];
    let mut probes = vec![
        Probe {
            name: format!("copy of {words} words"),
            kernel: Kernel::Copy(copy),
            ins: vec![ring(words)],
            access: Access::Dense,
            outs: vec![ring(words)],
            streams: Vec::new(),
            amount: 16.0 * words as f64,
            unit: "bytes",
        },
        Probe {
            name: format!("planes of {words} words, 32 bits"),
            kernel: Kernel::from(Program::planes(32)),
            ins: vec![ring(words)],
            access: Access::Bits { add: 1 << 16, from: 0 },
            outs: vec![Buf::bits(Party(0), words, 32)],
            streams: Vec::new(),
            amount: 12.0 * words as f64,
            unit: "bytes",
        },
        map("first step of a truncation", truncation(), [1, 2], &[64, 64, 64, 16], less(1 << 24, shrink, 1 << 10)),
        matmul(square(1024)),
        matmul(square(4096)),
        matmul([1, less(4096, shrink, 16), less(4096, shrink, 16)]),
        conv(1, [width(64), width(64), 1], less(56, shrink, 4), [3, 1]),
        conv(1, [width(512), width(512), 1], less(7, shrink, 4), [3, 1]),
        conv(1, [width(256), width(64), 1], less(56, shrink, 4), [1, 1]),
        conv(less(64, shrink, 1), [width(64), width(64), 1], less(56, shrink, 4), [3, 1]),
        conv(1, [width(128), width(128), width(128)], less(56, shrink, 4), [3, 1]),
    ];
    for bits in [64, 16] {
        let mut drawn = map(&format!("keystream, {bits} bits"), draw.clone(), [0, 1], &[bits], words);
        (drawn.amount, drawn.unit) = (words as f64 * f64::from(bits) / 8.0, "bytes");
        probes.push(drawn);
    }
    let mut launch =
        map("a launch", vec![Instr::Imm(1), Instr::Out { output: 0, plane: 0, value: Reg(0) }], [0, 1], &[], 8);
    (launch.amount, launch.unit) = (1.0, LAUNCHES);
    probes.push(launch);
    probes
}

/// Measures the kernels on a device of P0, and on each party's what it launches in a ReLU; `report` is told each.
///
/// # Errors
/// If a device fails, or has no room.
pub fn measure(
    make: &mut dyn FnMut(Party) -> Result<Box<dyn Backend>, BackendError>,
    shrink: usize,
    report: &mut dyn FnMut(&Measured),
) -> Result<Vec<Measured>, BackendError> {
    let mut all = Vec::new();
    let device = &mut make(Party(0))?;
    let mut rates = None;
    for probe in probes(shrink.max(1)) {
        let (seconds, needs) = seconds(device, &probe)?;
        let mut measured = Measured::new(probe.name, seconds, probe.amount, probe.unit);
        // The first one is the copy.
        let rates = match &rates {
            Some(rates) => rates,
            None => {
                let (known, units) = ceilings(device, measured.amount / seconds, less(4096, shrink.max(1), 2) as u32)?;
                units.iter().for_each(&mut *report);
                all.extend(units);
                rates.insert(known)
            }
        };
        // Launches as such are bound by nothing that they do.
        let bound = needs.filter(|_| measured.unit != LAUNCHES).and_then(|needs| needs.bound(rates));
        measured.bound = bound.map(|(unit, least)| Bound { by: unit.name(), share: least / seconds });
        report(&measured);
        all.push(measured);
    }
    for message in [Some(message(device)?), parcel(device)?].into_iter().flatten() {
        report(&message);
        all.push(message);
    }
    let len = less(1 << 20, shrink.max(1), 1 << 10);
    let plan = relu(len);
    for party in Party::ALL {
        let seconds = launches(&mut make(party)?, &plan, party)?;
        let name = format!("ReLU of {len} sums, all that {party} launches");
        let measured = Measured::new(name, seconds, len as f64, "elements");
        report(&measured);
        all.push(measured);
    }
    Ok(all)
}

/// The plan of a ReLU of so many sums of two owners' numbers, tensors left whole as between parties on GPUs.
fn relu(len: usize) -> Plan {
    let text = format!(
        "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
         entry f(x: fix[{len}] from a, y: fix[{len}] from b) -> fix[{len}] to a {{ relu(x + y) }}\n"
    );
    let mut sources = Sources::default();
    let file = sources.add("relu.sml".to_string(), text);
    let program = hir::check(&mut sources, file, &mut Vec::new()).expect("the program has no mistake");
    let lowered = graph::lower::lower(&program, "f", &BTreeMap::new(), &mut Vec::new());
    let mut graph = lowered.expect("all of its sizes are known");
    pass::run(&mut graph, None, &[]).expect("all passes have names");
    lower::lower(&graph, &sources, Options { cut: Cut::Whole, ..Options::default() })
}

/// Seconds of all that a party launches in a plan, one after the other. Its messages are left out: what it receives is there, and
/// what it sends stays. Buffers have places of their own, so that less of them is still in caches than in a run.
fn launches(device: &mut dyn Backend, plan: &Plan, party: Party) -> Result<f64, BackendError> {
    let last = BufId(plan.bufs.len() as u32);
    let theirs = |buf: &Buf| Buf { len: 0, part: None, ..buf.clone() };
    let bufs = plan.bufs.iter().map(|buf| if buf.party == party { buf.clone() } else { theirs(buf) });
    let bufs: Vec<Buf> = bufs.chain([Buf::ring(party, 1, 64)]).collect();
    device.reserve(Layout::apart(&bufs))?;
    let inputs = plan.inputs.iter().flat_map(|input| input.bufs).map(|bufs| bufs[party.index()]);
    let sends = plan.rounds.iter().flat_map(|round| &round.sends).filter(|send| send.to == party);
    for id in inputs.chain(sends.map(|send| send.target)).chain([last]) {
        fill(device, id)?;
    }
    let steps = plan.rounds.iter().flat_map(|round| &round.steps).filter(|step| step.party == party);
    let (once, steps): (Vec<(usize, &Step)>, Vec<_>) = steps.enumerate().partition(|(_, step)| step.once);
    let run = |device: &mut dyn Backend, steps: &[(usize, &Step)]| {
        steps.iter().try_for_each(|(site, Step { kernel, ins, streams, outs, .. })| {
            device.launch(Launch { kernel, ins, streams, outs, bufs: &bufs, site: Some(*site) })
        })
    };
    run(device, &once)?;
    median(device, last, &mut |device| run(device, &steps))
}

/// Fills a buffer with words that are all different.
fn fill(device: &mut dyn Backend, id: BufId) -> Result<(), BackendError> {
    let noise = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    device.write(id, &mut |words| words.iter_mut().enumerate().for_each(|(i, word)| *word = noise(i)))
}

/// What a device's units do in a second, memory as much as a copy has shown; and how each was measured. Nothing is known of a
/// device whose units cannot be.
fn ceilings(device: &mut dyn Backend, copied: f64, rounds: u32) -> Result<(Work, Vec<Measured>), BackendError> {
    let (mut rates, mut all) = (Work::default(), Vec::new());
    rates.add(Unit::Memory, copied);
    device.reserve(Layout::apart(&[ring(1)]))?;
    fill(device, BufId(0))?;
    for unit in Unit::ALL {
        let exert = |device: &mut dyn Backend| match device.ceilings() {
            Some(device) => device.exert(unit, rounds),
            None => Ok(None),
        };
        let Some(amount) = exert(device)? else { continue };
        let seconds = median(device, BufId(0), &mut |device| exert(device).map(drop))?;
        rates.add(unit, amount / seconds);
        all.push(Measured::new(format!("at most: {}", unit.name()), seconds, amount, unit.counted()));
    }
    Ok((rates, all))
}

/// Seconds of a launch, and what it needs.
fn seconds(device: &mut dyn Backend, probe: &Probe) -> Result<(f64, Option<Work>), BackendError> {
    let (operands, results) = (probe.ins.len() as u32, probe.outs.len() as u32);
    let ins: Vec<Operand> = (0..operands).map(|id| Operand { buf: BufId(id), access: probe.access }).collect();
    let outs: Vec<BufId> = (operands..operands + results).map(BufId).collect();
    // The last one is read to wait for the launches.
    let bufs: Vec<Buf> = probe.ins.iter().chain(&probe.outs).cloned().chain([ring(1)]).collect();
    let last = BufId(operands + results);
    device.reserve(Layout::apart(&bufs))?;
    (0..operands).map(BufId).chain([last]).try_for_each(|id| fill(device, id))?;
    let (kernel, streams) = (&probe.kernel, &probe.streams[..]);
    let launch = Launch { kernel, ins: &ins, streams, outs: &outs, bufs: &bufs, site: Some(0) };
    let needs = device.ceilings().map(|device| device.needs(&launch));
    Ok((median(device, last, &mut |device| device.launch(launch))?, needs))
}

/// Seconds that something takes on a device, the median of several timings; `last` is a buffer to wait with.
fn median(
    device: &mut dyn Backend,
    last: BufId,
    run: &mut dyn FnMut(&mut dyn Backend) -> Result<(), BackendError>,
) -> Result<f64, BackendError> {
    let mut timing = |times: usize| {
        device.read(last)?;
        let start = Instant::now();
        (0..times).try_for_each(|_| run(device))?;
        device.read(last)?;
        Ok::<f64, BackendError>(start.elapsed().as_secs_f64() / times as f64)
    };
    // The first one compiles.
    timing(1)?;
    let once = timing(1)?;
    let times = if once > LONG_ENOUGH { 1 } else { ((LONG_ENOUGH / once) as usize).clamp(1, 1000) };
    let mut timings = (0..TIMINGS).map(|_| timing(times)).collect::<Result<Vec<f64>, _>>()?;
    timings.sort_by(f64::total_cmp);
    Ok(timings[TIMINGS / 2])
}

/// Messages that are timed.
const MESSAGES: u32 = 64;

/// Seconds from a word in a device to its message, and back: what a round takes beside the network.
fn message(device: &mut dyn Backend) -> Result<Measured, BackendError> {
    let bufs = [ring(8), ring(8)];
    device.reserve(Layout::apart(&bufs))?;
    device.write(BufId(0), &mut |words| words.fill(1))?;
    let mut payload = Vec::new();
    let mut timings = Vec::new();
    for _ in 0..MESSAGES {
        let start = Instant::now();
        payload.clear();
        device.pack(&bufs, &[BufId(0)], &mut payload)?;
        device.unpack(&bufs, &[BufId(1)], &payload)?;
        timings.push(start.elapsed().as_secs_f64());
    }
    timings.sort_by(f64::total_cmp);
    let name = "a message of 8 words, out and in".to_string();
    Ok(Measured::new(name, timings[timings.len() / 2], 1.0, "messages"))
}

/// Seconds of a message that is posted and taken by the device itself, which is one of many in line: what it takes beside the wait
/// of one device for another.
fn parcel(device: &mut dyn Backend) -> Result<Option<Measured>, BackendError> {
    let bufs = [ring(8), ring(8)];
    device.reserve(Layout::apart(&bufs))?;
    device.write(BufId(0), &mut |words| words.fill(1))?;
    device.write(BufId(1), &mut |words| words.fill(0))?;
    let mut timing = || {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            let Some(device) = device.parcels() else { return Ok(None) };
            let parcel = device.post(&bufs, &[BufId(0)])?;
            device.leave()?;
            device.take(&bufs, &[BufId(1)], parcel)?;
        }
        device.read(BufId(1))?;
        Ok::<_, BackendError>(Some(start.elapsed().as_secs_f64() / f64::from(MESSAGES)))
    };
    timing()?;
    let name = "a message of 8 words that stays on the GPU".to_string();
    Ok(timing()?.map(|seconds| Measured::new(name, seconds, 1.0, "messages")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::backend::{Around, StreamKey};

    /// What is called all that a party launches is that, once a timing, but for what is computed once for all runs.
    #[test]
    fn a_relu_is_all_that_a_party_launches() {
        let plan = relu(64);
        for party in Party::ALL {
            let mut sites = BTreeMap::new();
            let keys = [party, party.plus(1)].map(|party| StreamKey([party.0 + 1; 16]));
            let mut device = Around {
                inner: Cpu::new(party, keys),
                launch: |device: &mut Cpu, launch: Launch<'_>| {
                    *sites.entry(launch.site).or_insert(0) += 1;
                    device.launch(launch)
                },
            };
            assert!(launches(&mut device, &plan, party).unwrap() > 0.0);
            let steps = plan.rounds.iter().flat_map(|round| &round.steps).filter(|step| step.party == party);
            let steps: Vec<&Step> = steps.collect();
            assert_eq!(sites.len(), steps.len());
            let times: Vec<u64> = sites.into_values().collect();
            let often = times.iter().copied().max().unwrap();
            for (times, step) in times.into_iter().zip(&steps) {
                assert_eq!(times, if step.once { 1 } else { often });
            }
            assert!(steps.len() > 2 && often > 5, "{} steps, {often} times", steps.len());
        }
    }
}
