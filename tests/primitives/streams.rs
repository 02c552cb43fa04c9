//! No keystream serves two purposes.
//!
//! A recording device notes every draw of a run: key, stream number, bytes of the keystream, and the step that draws.
//! What must hold:
//! - a stream is cut into elements in one way, so that a byte of keystream has one position wherever it is drawn;
//! - its draws belong to one call of one protocol. A protocol's steps are named after it (`truncate.p1`), so all draws of
//!   a stream are by steps of one protocol, but for the random bits and shared bits of [`PASSED_ON`]; and no byte is drawn
//!   twice at a party by launches of a step of one name, but for those of [`REPEATED`]. Two calls, in two operations or in
//!   two turns of a loop, would launch it twice;
//! - two runs have no key in common, nor have two submissions a seed.
//!
//! Within a call the same words may be drawn at two parties or in two steps. That a stream masks one message to a
//! receiver is what [`crate::views`] tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use smlc::backend::cpu::Cpu;
use smlc::backend::{Around, Backend, Launch, StreamKey};
use smlc::net::handshake::Role;
use smlc::net::owner::MemoryLink;
use smlc::net::{AbortReason, MemoryMesh, Mesh, NetError, Spares, Traffic};
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Instr, Kernel, Party, Plan};
use smlc::run::client::Client;
use smlc::run::party::{self, Service};
use smlc::run::{lockstep, owner};

use crate::planted::rename;
use crate::random::Random;
use crate::table::{CASES, Data, SIZES, SMALL, case};

/// Streams of one protocol that another goes on to draw: the first's and the second's name.
const PASSED_ON: &[(&str, &str)] = &[
    // The random bit of an opening, in products with it.
    ("sign", "random_bit"),
    ("open", "random_bit"),
    ("random_bit", "times_bit"),
    // Shares of a short sign, which are stream planes until it is opened.
    ("sign", "open"),
];

/// Steps that draw a stream once for each tensor that is multiplied by the same random bit.
const REPEATED: &[&str] = &["times_bit.p1"];

/// A draw of one plane of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Draw {
    party: Party,
    /// The launch, counted at the party.
    launch: usize,
    program: String,
    /// Bits of keystream an element, and words a plane.
    cut: (u32, usize),
    /// Bytes of the keystream.
    bytes: Range<usize>,
}

/// All draws by key and stream number.
type Log = BTreeMap<([u8; 16], u32), Vec<Draw>>;

/// The draws of a run under the given keys.
fn record(plan: &Plan, data: &Data, keys: &[StreamKey; 3]) -> Log {
    let log = Rc::new(RefCell::new(Log::new()));
    let devices = Party::ALL.map(|party| {
        let keys = [keys[party.index()].clone(), keys[party.plus(1).index()].clone()];
        let (inner, log, mut launches) = (Cpu::new(party, keys.clone()), log.clone(), 0);
        let launch = move |device: &mut Cpu, launch: Launch<'_>| {
            launches += 1;
            note(&mut log.borrow_mut(), party, &keys, launches, &launch);
            device.launch(launch)
        };
        Around { inner, launch }
    });
    let loads = lockstep::share(plan, data).unwrap();
    lockstep::execute(plan, devices, loads, &mut |_, _, _, _| {}).unwrap();
    log.take()
}

/// Notes what a launch draws.
fn note(log: &mut Log, party: Party, keys: &[StreamKey; 2], number: usize, launch: &Launch<'_>) {
    let Kernel::Map(program) = launch.kernel else { return };
    let words = launch.bufs[launch.outs[0].index()].stride();
    for instr in &program.code {
        let Instr::Prf { stream, plane } = instr else { continue };
        let stream = launch.streams[usize::from(*stream)];
        let class = stream.class();
        let plane_bytes = if class == 1 { 8 * words } else { words * class as usize / 8 };
        let bytes = usize::from(*plane) * plane_bytes..(usize::from(*plane) + 1) * plane_bytes;
        let key = keys[usize::from(stream.key != party.0)].0;
        log.entry((key, stream.id)).or_default().push(Draw {
            party,
            launch: number,
            program: program.name.clone(),
            cut: (class, words),
            bytes,
        });
    }
}

pub fn random_keys() -> [StreamKey; 3] {
    [(); 3].map(|()| owner::random_key().unwrap())
}

fn family(program: &str) -> &str {
    program.split('.').next().unwrap()
}

/// The rules within a run.
fn check(log: &Log) -> Result<(), String> {
    for ((_, id), draws) in log {
        if let Some(other) = draws.iter().find(|d| d.cut != draws[0].cut) {
            return Err(format!("stream #{id} is cut in two ways: {:?} and {other:?}", draws[0]));
        }
        let families: BTreeSet<&str> = draws.iter().map(|d| family(&d.program)).collect();
        // Whoever draws a stream has it from one protocol that drew it, or draws its own.
        let passed = |a: &str, b: &str| PASSED_ON.contains(&(a, b)) || PASSED_ON.contains(&(b, a));
        let linked = |a: &&str| families.len() == 1 || families.iter().any(|b| passed(a, b));
        if !families.iter().all(linked) {
            return Err(format!("stream #{id} serves protocols {families:?}"));
        }
        // A party draws the same bytes in one launch of a step alone.
        for (at, draw) in draws.iter().enumerate().filter(|(_, d)| !REPEATED.contains(&d.program.as_str())) {
            let again = draws[..at].iter().find(|d| {
                (d.party, &d.program) == (draw.party, &draw.program)
                    && d.launch != draw.launch
                    && d.bytes.start < draw.bytes.end
                    && draw.bytes.start < d.bytes.end
            });
            if let Some(before) = again {
                return Err(format!("stream #{id} serves two calls: {before:?} and {draw:?}"));
            }
        }
    }
    Ok(())
}

/// The rules between two runs.
fn apart(first: &Log, second: &Log) -> Result<(), String> {
    let keys: BTreeSet<_> = first.keys().map(|(key, _)| key).collect();
    match second.keys().find(|(key, _)| keys.contains(key)) {
        Some((_, id)) => Err(format!("stream #{id} is drawn under one key in two runs")),
        None => Ok(()),
    }
}

#[test]
fn no_keystream_serves_two_purposes() {
    let mut before = Log::new();
    let mut drawn = 0;
    let mut families_seen = BTreeSet::new();
    for case in CASES {
        for (n, prefer) in [(SMALL, Prefer::Bytes), (SIZES[3], Prefer::Rounds), (SIZES[4], Prefer::Rounds)] {
            let (plan, data) = (case.plan(n, prefer), case.data(n, 5));
            let logs = [(); 2].map(|()| record(&plan, &data, &random_keys()));
            for log in &logs {
                check(log).unwrap_or_else(|e| panic!("{}, n = {n}: {e}", case.name));
                apart(&before, log).unwrap();
                drawn += log.values().map(Vec::len).sum::<usize>();
                families_seen.extend(
                    log.values()
                        .map(|draws| draws.iter().map(|d| family(&d.program).to_string()).collect::<BTreeSet<_>>()),
                );
            }
            apart(&logs[0], &logs[1]).unwrap();
            [before, _] = logs;
        }
    }
    assert!(drawn > 10_000, "{drawn} draws");
    // An exception that nothing needs would hide a mistake.
    for (a, b) in PASSED_ON {
        assert!(families_seen.iter().any(|f| f.contains(*a) && f.contains(*b)), "no stream of `{a}` is drawn by `{b}`");
    }
}

/// Streams that the steps of a program's name draw, in the order of the plan, with the key.
fn drawn_by(plan: &Plan, program: &str, party: Party) -> Vec<(u8, u32)> {
    let steps = plan.rounds.iter().flat_map(|r| &r.steps).filter(|s| s.party == party);
    let named = steps.filter(|s| matches!(&s.kernel, Kernel::Map(p) if p.name == program));
    named.flat_map(|s| s.streams.iter().map(|s| (s.key, s.id))).collect()
}

#[test]
fn streams_that_serve_two_purposes_are_found() {
    let case = case("loop");
    let plan = case.plan(SMALL, Prefer::Rounds);
    let data = case.data(SMALL, 5);
    let keys = random_keys();
    let found = |plan: &Plan| check(&record(plan, &data, &keys)).unwrap_err();
    let log = record(&plan, &data, &keys);
    check(&log).unwrap();

    // A turn of the loop with the numbers of the turn before.
    for program in ["truncate.p1", "summand.v1", "times_bit.p0", "sign.tree"] {
        let streams: Vec<(u8, u32)> = Party::ALL.into_iter().flat_map(|p| drawn_by(&plan, program, p)).collect();
        let (key, first) = streams[0];
        // A later turn's stream of the same key and cut: roles change from turn to turn, so another protocol may draw it.
        let cuts: BTreeMap<u32, (u32, usize)> = log
            .iter()
            .filter(|((k, _), _)| *k == keys[usize::from(key)].0)
            .map(|((_, id), draws)| (*id, draws[0].cut))
            .collect();
        let mut later = cuts.iter().filter(|(id, cut)| **id > first + 8 && **cut == cuts[&first]);
        let second = *later.next().unwrap_or_else(|| panic!("{program}: {streams:?}")).0;
        let mut broken = plan.clone();
        rename(&mut broken, key, second, first);
        let what = found(&broken);
        assert!(what.contains("serves two calls") || what.contains("serves protocols"), "{program}: {what}");
    }
    // All numbers begin again.
    let mut broken = plan.clone();
    for step in broken.rounds.iter_mut().flat_map(|r| &mut r.steps) {
        step.streams.iter_mut().for_each(|s| s.id %= 16);
    }
    found(&broken);
    // Two protocols with one number.
    let (key, truncate) = drawn_by(&plan, "truncate.p1", Party(1))[0];
    let output = drawn_by(&plan, "output.p1", Party(1))[0].1;
    let wide = drawn_by(&plan, "truncate.p1.share1", Party(1))[0];
    assert_eq!((key, wide.0), (1, 1));
    let mut broken = plan.clone();
    rename(&mut broken, 1, output, wide.1);
    assert!(found(&broken).contains("serves protocols"));
    // One number for words of two widths.
    let mut broken = plan.clone();
    rename(&mut broken, 1, output, truncate);
    assert!(found(&broken).contains("cut in two ways"));
    // A key that is used again.
    apart(&log, &record(&plan, &data, &random_keys())).unwrap();
    let [a, b, c] = random_keys();
    apart(&log, &record(&plan, &data, &[a, keys[0].clone(), b])).unwrap_err();
    apart(&log, &record(&plan, &data, &[c.clone(), c.clone(), keys[2].clone()])).unwrap_err();
}

/// A mesh that notes what its party sends: keys, and payloads of rounds.
struct Tap {
    inner: MemoryMesh,
    keys: Vec<Vec<u8>>,
    payloads: Vec<Vec<u8>>,
}

impl Mesh for Tap {
    fn me(&self) -> Party {
        self.inner.me()
    }

    fn send(&mut self, to: Party, round: u32, payload: Vec<u8>) -> Result<(), NetError> {
        let seen = if round == u32::MAX { &mut self.keys } else { &mut self.payloads };
        seen.push(payload.clone());
        self.inner.send(to, round, payload)
    }

    fn expect(&mut self, from: Party, round: u32, len: usize) {
        self.inner.expect(from, round, len);
    }

    fn recv(&mut self, from: Party, round: u32, len: usize) -> Result<Vec<u8>, NetError> {
        self.inner.recv(from, round, len)
    }

    fn abort(&mut self, reason: AbortReason) {
        self.inner.abort(reason);
    }

    fn finish(&mut self) -> Result<(), NetError> {
        self.inner.finish()
    }

    fn spares(&self) -> &Arc<Spares> {
        self.inner.spares()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

/// What the parties of real runs on the same shares send.
fn tapped(plan: &Plan, data: &Data, runs: u32) -> Vec<Tap> {
    std::thread::scope(|scope| {
        let (mut links, mut parties) = (Vec::new(), Vec::new());
        for inner in MemoryMesh::new(None) {
            let (client, mut link) = MemoryLink::pair(Role::Owner(0), Role::Party(inner.me()));
            links.push(client);
            parties.push(scope.spawn(move || {
                let mut mesh = Tap { inner, keys: Vec::new(), payloads: Vec::new() };
                party::run(plan, &mut mesh, &mut link, Service { runs, ..Service::ONCE }).unwrap();
                mesh
            }));
        }
        let mut client = Client::new(plan, <[_; 3]>::try_from(links).ok().unwrap()).unwrap();
        client.submit(data, |_| true).unwrap();
        let first = client.run().unwrap();
        for _ in 1..runs {
            let again = client.run().unwrap();
            assert_eq!(again.reports, first.reports);
            for (name, values) in &first.outputs {
                let worst = values.iter().zip(&again.outputs[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 0.01, "{name}: {worst}");
            }
        }
        parties.into_iter().map(|p| p.join().unwrap()).collect()
    })
}

#[test]
fn a_run_on_the_same_shares_sends_nothing_that_was_sent_before() {
    let mut messages = 0;
    for case in CASES {
        let (plan, data) = (case.plan(SMALL, Prefer::Rounds), case.data(SMALL, 5));
        for tap in tapped(&plan, &data, 2) {
            let (first, second) = tap.payloads.split_at(tap.payloads.len() / 2);
            // Fewer than ten bytes may be the same by chance.
            for (a, b) in first.iter().zip(second).filter(|(a, _)| a.len() >= 10) {
                assert!(a.len() == b.len() && a != b, "{}: {a:?}", case.name);
                messages += 1;
            }
        }
    }
    assert!(messages > 100, "{messages}");
}

#[test]
fn runs_and_submissions_have_no_key_in_common() {
    let case = case("multiply");
    let (plan, data) = (case.plan(SMALL, Prefer::Rounds), case.data(SMALL, 5));
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let keys: Vec<Vec<u8>> = tapped(&plan, &data, 2).into_iter().flat_map(|tap| tap.keys.clone()).collect();
        assert_eq!(keys.len(), 6);
        let clear = owner::clear_graph(&plan).unwrap();
        assert_eq!(plan.inputs.len(), 2);
        // Each tensor has its own, and others when it is sent again.
        let seeds = [0, 1, 1].map(|at: usize| owner::submit(&plan, &clear, &plan.inputs[at], &data).unwrap());
        // P0 gets both seeds of a submission.
        let seeds = seeds.iter().flat_map(|parts| parts[0].chunks(16).map(<[u8]>::to_vec));
        for key in keys.into_iter().chain(seeds) {
            assert_eq!(key.len(), 16);
            assert!(seen.insert(key), "a key was drawn twice");
        }
    }
    assert_eq!(seen.len(), 20 * 12);
    // The set does tell a key that comes again.
    let mut random = Random(3);
    assert!(seen.insert(random.key().0.to_vec()) && !seen.insert(Random(3).key().0.to_vec()));
}
