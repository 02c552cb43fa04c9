//! The cases every backend has to pass: launches with the words they must produce, and launches it must refuse.
//!
//! Expected words come from [`oracle`], which follows the definitions in [`crate::plan`] one word at a time and shares no
//! code with any backend. Operands are arbitrary but the same in every run.

mod damage;
pub(crate) mod elements;
mod messages;
mod moves;
pub mod oracle;
pub mod products;
mod tables;

use std::borrow::Cow;

use crate::backend::{Backend, BackendError, Launch, StreamKey};
use crate::plan::layout::Layout;
use crate::plan::{Access, Buf, BufId, Kernel, Operand, Part, Party, Stream};

/// What a backend has to do with a launch.
#[derive(Clone, Debug)]
pub enum Expected {
    /// Produce the oracle's words.
    Words,
    /// Return an error, and not panic.
    Refusal,
}

/// One launch.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// The party that launches it.
    pub party: Party,
    /// What is launched.
    pub kernel: Kernel,
    /// Buffers: operands first, results last.
    pub bufs: Vec<Buf>,
    /// Words of each operand buffer.
    pub contents: Vec<Vec<u64>>,
    /// Operands.
    pub ins: Vec<Operand>,
    /// Streams.
    pub streams: Vec<Stream>,
    /// Results.
    pub outs: Vec<BufId>,
    /// What has to happen.
    pub expected: Expected,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Report {
    /// The case's name.
    pub name: String,
    /// In words, what went wrong.
    pub outcome: Result<(), String>,
}

/// The key of stream family `key` in all cases.
#[must_use]
pub fn stream_key(key: u8) -> StreamKey {
    StreamKey(std::array::from_fn(|i| (i as u8).wrapping_mul(29) ^ (key + 1).wrapping_mul(77)))
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(elements::cases());
    cases.extend(products::cases());
    cases.extend(moves::cases());
    cases.extend(tables::cases());
    cases.extend(messages::cases());
    let small = |case: &&Case| case.bufs.iter().map(Buf::words).sum::<usize>() < 10_000;
    let parts: Vec<Case> = cases.iter().filter(small).filter_map(Case::in_parts).collect();
    cases.extend(parts);
    cases.extend(damage::cases());
    cases
}

/// Runs all cases on one device a party; `make` is given the party and its two keys, numbers `party` and `party + 1`.
pub fn run_all(make: &mut dyn FnMut(Party, [StreamKey; 2]) -> Box<dyn Backend>) -> Vec<Report> {
    run(&all(), make)
}

/// Runs some cases.
pub fn run(cases: &[Case], make: &mut dyn FnMut(Party, [StreamKey; 2]) -> Box<dyn Backend>) -> Vec<Report> {
    let mut devices = Party::ALL.map(|party| make(party, [stream_key(party.0), stream_key(party.plus(1).0)]));
    let mut reports = Vec::new();
    for case in cases {
        let device = devices[case.party.index()].as_mut();
        let mut report = |name: String, outcome| reports.push(Report { name, outcome });
        report(case.name.clone(), case.run(device));
        if case.is_element_program() {
            report(format!("{} through messages", case.name), case.run_through_messages(device, false));
            report(format!("{} through messages and words", case.name), case.run_through_messages(device, true));
        }
    }
    reports
}

/// Launches that a device of P1 knows by their number: they compute anew each time, and still need their operands, until
/// memory is taken for other buffers.
///
/// # Errors
/// In words, what went wrong.
pub fn known_launches(device: &mut dyn Backend) -> Result<(), String> {
    let bufs = [Buf::ring(Party(1), 70, 64), Buf::ring(Party(1), 70, 64), Buf::ring(Party(1), 70, 64)];
    let kernel = Kernel::Concat { outer: 1, chunks: vec![70] };
    let launch = |device: &mut dyn Backend, [from, to]: [u32; 2], site| {
        let ins = [Operand { buf: BufId(from), access: Access::Dense }];
        device.launch(Launch { kernel: &kernel, ins: &ins, streams: &[], outs: &[BufId(to)], bufs: &bufs, site })
    };
    let failed = |error: BackendError| error.to_string();
    let missing = |result: Result<(), BackendError>, what: &str| match result {
        Err(BackendError::Missing(BufId(1))) => Ok(()),
        other => Err(format!("{what} gives {other:?}")),
    };
    device.reserve(Layout::apart(&bufs)).map_err(failed)?;
    for round in 0..3 {
        device.write(BufId(0), &mut |words| words.fill(round)).map_err(failed)?;
        launch(device, [0, 1], Some(5)).map_err(failed)?;
        launch(device, [1, 2], Some(2)).map_err(failed)?;
        let found = device.read(BufId(2)).map_err(failed)?;
        if *found != [round; 70] {
            return Err(format!("round {round} gives {found:?}"));
        }
        drop(found);
        device.free(BufId(1));
        missing(device.read(BufId(1)).map(drop), "reading what was freed")?;
        missing(launch(device, [1, 2], Some(2)), "a launch on what was freed")?;
    }
    // Other buffers, other launches.
    device.reserve(Layout::apart(&bufs[..1])).map_err(failed)?;
    device.write(BufId(0), &mut |words| words.fill(1)).map_err(failed)?;
    missing(launch(device, [0, 1], Some(5)), "a launch to a buffer without a place")
}

impl Case {
    /// A launch at P1 with an access for each operand; buffers are numbered in order, operands before results. Operand
    /// words are arbitrary, above the width and past the last element too.
    #[must_use]
    pub fn new(name: impl Into<String>, kernel: Kernel, ins: Vec<(Buf, Access)>, outs: Vec<Buf>) -> Case {
        let name = name.into();
        let mut noise = Noise::new(&name);
        let first_out = ins.len() as u32;
        let operands = (0..).zip(&ins).map(|(id, (_, access))| Operand { buf: BufId(id), access: *access }).collect();
        Case {
            party: Party(1),
            contents: ins.iter().map(|(buf, _)| noise.words(buf.words())).collect(),
            outs: (0..outs.len() as u32).map(|id| BufId(first_out + id)).collect(),
            bufs: ins.into_iter().map(|(buf, _)| buf).chain(outs).collect(),
            ins: operands,
            streams: Vec::new(),
            expected: Expected::Words,
            name,
            kernel,
        }
    }

    /// The same launch with these streams.
    #[must_use]
    pub fn with_streams(mut self, streams: Vec<Stream>) -> Case {
        self.streams = streams;
        self
    }

    /// The same launch on operands whose words are these, in turn.
    #[must_use]
    pub fn of_words(mut self, words: &[u64]) -> Case {
        self.name = format!("{}, words {words:#x?}", self.name).replace('\n', "");
        for contents in &mut self.contents {
            contents.iter_mut().zip(words.iter().cycle()).for_each(|(to, word)| *to = *word);
        }
        self
    }

    /// The same launch at another party.
    #[must_use]
    pub fn at(mut self, party: Party) -> Case {
        self.party = party;
        self.bufs.iter_mut().for_each(|buf| buf.party = party);
        self
    }

    /// The same launch, to be refused.
    #[must_use]
    pub fn refused(mut self) -> Case {
        self.expected = Expected::Refusal;
        self
    }

    /// The same launch, to words, with every ring buffer a part of a larger one.
    fn in_parts(&self) -> Option<Case> {
        let Expected::Words = self.expected else { return None };
        let mut case = Case { name: format!("{} in parts", self.name), ..self.clone() };
        for (id, buf) in self.bufs.iter().enumerate().filter(|(_, buf)| buf.width > 1) {
            let of = BufId(case.bufs.len() as u32);
            let start = 1 + id % 3;
            case.bufs.push(Buf { len: start + buf.len + 2, ..buf.clone() });
            case.bufs[id].part = Some(Part { of, start });
        }
        (case.bufs.len() > self.bufs.len()).then_some(case)
    }

    /// Runs the case and compares.
    ///
    /// # Errors
    /// Says in words what differs.
    pub fn run(&self, device: &mut dyn Backend) -> Result<(), String> {
        let outcome = self.launch(device);
        match (&self.expected, outcome) {
            (Expected::Refusal, Err(_)) => Ok(()),
            (Expected::Refusal, Ok(_)) => Err("launched, though the plan is damaged".into()),
            (Expected::Words, Err(error)) => Err(format!("refused: {error}")),
            (Expected::Words, Ok(found)) => self.compare(&found),
        }
    }

    /// Launches the case on operands that are there, and compares.
    fn again(&self, device: &mut dyn Backend) -> Result<(), String> {
        let failed = |error: BackendError| error.to_string();
        let Case { kernel, ins, streams, outs, bufs, .. } = self;
        device.launch(Launch { kernel, ins, streams, outs, bufs, site: Some(0) }).map_err(failed)?;
        let found: Result<Vec<_>, _> = outs.iter().map(|id| device.read(*id).map(Cow::into_owned)).collect();
        self.compare(&found.map_err(failed)?)
    }

    /// The words of each result. What surrounds a result that is a part has to stay.
    fn launch(&self, device: &mut dyn Backend) -> Result<Vec<Vec<u64>>, BackendError> {
        let around = |whole: BufId| {
            let words = self.bufs.get(whole.index()).map_or(0, Buf::words);
            Noise::new(&self.name).words(words)
        };
        let range = |id: BufId| {
            let buf = &self.bufs[id.index()];
            let (whole, start) = buf.storage(id);
            (whole, start..start + buf.words())
        };
        device.reserve(Layout::apart(&self.bufs))?;
        let copy = |device: &mut dyn Backend, id: BufId, words: &[u64]| {
            let mut fits = true;
            device.write(id, &mut |to| {
                fits = to.len() == words.len();
                if fits {
                    to.copy_from_slice(words);
                }
            })?;
            if fits { Ok(()) } else { Err(BackendError::Shape("another number of words".into())) }
        };
        for (id, words) in (0..).map(BufId).zip(&self.contents) {
            let (whole, range) = range(id);
            let mut all = if whole == id { words.clone() } else { around(whole) };
            if let Some(part) = all.get_mut(range) {
                part.copy_from_slice(words);
            }
            copy(device, whole, &all)?;
        }
        let parts = self.outs.iter().filter(|id| self.bufs.get(id.index()).is_some_and(|buf| buf.part.is_some()));
        for (whole, _) in parts.clone().map(|id| range(*id)) {
            copy(device, whole, &around(whole))?;
        }
        let Case { kernel, ins, streams, outs, bufs, .. } = self;
        device.launch(Launch { kernel, ins, streams, outs, bufs, site: None })?;
        for (whole, range) in parts.map(|id| range(*id)) {
            let (found, before) = (device.read(whole)?, around(whole));
            if found[..range.start] != before[..range.start] || found[range.end..] != before[range.end..] {
                return Err(BackendError::Shape("words around a part changed".into()));
            }
        }
        self.outs
            .iter()
            .map(|id| {
                let (whole, range) = range(*id);
                Ok(device.read(whole)?[range].to_vec())
            })
            .collect()
    }

    fn compare(&self, found: &[Vec<u64>]) -> Result<(), String> {
        let expected = oracle::results(self);
        for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
            if found.len() != expected.len() {
                return Err(format!("result {number} has {} words, expected {}", found.len(), expected.len()));
            }
            let first = found.iter().zip(expected).enumerate().find(|(_, (found, expected))| found != expected);
            if let Some((word, (found, expected))) = first {
                return Err(format!("word {word} of result {number} is {found:#x}, expected {expected:#x}"));
            }
        }
        Ok(())
    }
}

/// A ring buffer of P1: `len` elements of `width` bits.
fn ring(len: usize, width: u32) -> Buf {
    Buf::ring(Party(1), len, width)
}

/// A plane buffer of P1: `planes` bits of each of `len` elements.
fn bits(len: usize, planes: usize) -> Buf {
    Buf::bits(Party(1), len, planes)
}

/// Operands that are read plainly.
fn dense(bufs: impl IntoIterator<Item = Buf>) -> Vec<(Buf, Access)> {
    bufs.into_iter().map(|buf| (buf, Access::Dense)).collect()
}

/// Arbitrary words: SplitMix64, seeded by a name.
struct Noise(u64);

impl Noise {
    fn new(name: &str) -> Noise {
        Noise(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn words(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.next()).collect()
    }
}
