//! The host's part: what is in line where, what waits for what, what is freed when. The emulated driver looks for races of
//! streams, and each mistake that it can make of a call is made, at each place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write as _;
use std::process::Command;
use std::time::UNIX_EPOCH;

use smlc::backend::cpu::Cpu;
use smlc::backend::cuda::Cuda;
use smlc::backend::{Backend, StreamKey};
use smlc::net::{Loss, Nearby, NetError};
use smlc::plan::course::Piece;
use smlc::plan::{BufId, Party, Plan};
use smlc::run::lockstep;
use smlc::run::session::{Link, Session};

use crate::command::{MODEL, predictions, smlc};
use crate::device::{counter, gpu, gpus, is_emulated};
use crate::networks::{Near, plan};

/// Links of parties of one process: what stands for messages between GPUs, bytes to and from a processor.
struct Links {
    near: Near,
    gpus: [bool; 3],
    /// Every message of bytes of this run.
    sent: Vec<Vec<u8>>,
    bytes: BTreeMap<(Party, Party), VecDeque<Vec<u8>>>,
}

impl Link for Links {
    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        self.sent.push(payload.clone());
        self.bytes.entry((self.near.me, piece.to)).or_default().push_back(payload);
        Ok(())
    }

    fn expect(&mut self, _: &Piece) {}

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        let queue = self.bytes.entry((piece.from, self.near.me)).or_default();
        queue.pop_front().ok_or(NetError::Lost(piece.from, Loss::Closed))
    }

    fn nearby(&mut self, peer: Party) -> Option<&mut dyn Nearby> {
        (self.gpus[self.near.me.index()] && self.gpus[peer.index()]).then_some(&mut self.near)
    }
}

/// Leaves out messages and steps on which no result depends, as the last ones to P2: a mistake with those is none.
fn only_what_counts(plan: &mut Plan) {
    let bufs = &plan.bufs;
    let storage = |id: &BufId| bufs[id.index()].storage(*id).0;
    let mut counts: BTreeSet<BufId> = plan.outputs.iter().flat_map(|output| &output.bufs).map(storage).collect();
    for round in plan.rounds.iter_mut().rev() {
        round.sends.retain(|send| counts.contains(&storage(&send.target)));
        counts.extend(round.sends.iter().map(|send| storage(&send.source)));
        round.steps.reverse();
        round.steps.retain(|step| {
            let wanted = step.outs.iter().any(|id| counts.contains(&storage(id)));
            counts.extend(step.ins.iter().filter(|_| wanted).map(|operand| storage(&operand.buf)));
            wanted
        });
        round.steps.reverse();
    }
}

/// Runs of a small network, of which the third launches graphs. Each gives the words of a run on processors, and sends its
/// messages. Other keys each time, so that what is left of a run before is noticed.
fn runs(device: impl Fn(Party, [StreamKey; 2]) -> (Box<dyn Backend>, bool)) {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[8, 3] from a, y: fix[3, 8] from b) -> fix[8, 8] to a { relu(matmul(x, y)) }\n";
    let (mut plan, data) = plan("host.sml", text, &[]);
    only_what_counts(&mut plan);
    let loads = lockstep::share(&plan, &data).unwrap();
    let keys = |run: u8, party: Party| [party.0, party.plus(1).0].map(|number| StreamKey([3 * run + number + 1; 16]));
    let devices = Party::ALL.map(|party| device(party, keys(0, party)));
    let gpus = devices.each_ref().map(|(_, gpu)| *gpu);
    let mut parties = Party::ALL.into_iter();
    let mut sessions = devices.map(|(device, _)| {
        let party = parties.next().unwrap();
        let mut session = Session::new(&plan, party, device, true).unwrap();
        for (id, words) in &loads[party.index()] {
            session.load(*id, &mut |to| to.copy_from_slice(words)).unwrap();
        }
        session
    });
    let mut links =
        Links { near: Near { me: Party(0), parcels: BTreeMap::new() }, gpus, sent: Vec::new(), bytes: BTreeMap::new() };
    for run in 0..3 {
        if run > 0 {
            for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
                session.again(keys(run, party)).unwrap();
            }
        }
        for round in 0..=plan.rounds.len() {
            for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
                links.near.me = party;
                session.round(round, &mut links).unwrap();
            }
        }
        let processors = Party::ALL.map(|party| Cpu::new(party, keys(run, party)));
        let mut messages = Vec::new();
        let mut keep = |_, from: Party, to: Party, message: &[u8]| {
            if !(gpus[from.index()] && gpus[to.index()]) {
                messages.push(message.to_vec());
            }
        };
        let wanted = lockstep::execute(&plan, processors, loads.clone(), &mut keep).unwrap();
        let mut sent = std::mem::take(&mut links.sent);
        // Within a round parties may send in another order.
        sent.sort();
        messages.sort();
        assert!(sent == messages, "messages, run {run}");
        for (party, wanted) in wanted.halves.iter().enumerate() {
            assert!(&sessions[party].outputs(Vec::new()).unwrap() == wanted, "P{party}, run {run}");
        }
    }
}

/// Runs as above; in a process of its own ([`with`]), where no other test has work or devices that fail, also all that is in line
/// behind them.
fn settled(device: impl Fn(Party, [StreamKey; 2]) -> (Box<dyn Backend>, bool)) {
    runs(device);
    if std::env::var_os("SMLC_SIM_RACES").is_some() {
        assert_eq!(counter("smlc_sim_finish"), 0, "devices failed");
    }
}

#[test]
fn parties_on_one_gpu() {
    let gpu = gpu();
    settled(|party, keys| (Box::new(Cuda::new(&gpu, party, &keys).unwrap()), true));
}

#[test]
fn a_party_on_a_gpu_between_processors() {
    let gpu = gpu();
    settled(|party, keys| match party {
        Party(1) => (Box::new(Cuda::new(&gpu, party, &keys).unwrap()), true),
        _ => (Box::new(Cpu::new(party, keys)), false),
    });
}

#[test]
fn parties_on_two_gpus() {
    let gpus = gpus();
    let Some(pair) = gpus.first() else {
        assert!(!is_emulated(), "the emulated driver has as many as are wanted");
        return;
    };
    settled(|party, keys| (Box::new(Cuda::new(&pair[usize::from(party != Party(0))], party, &keys).unwrap()), true));
}

/// What became of a test above, in a process of its own, with a mistake of the host.
struct Outcome {
    /// Whether there was a place for the mistake.
    planted: bool,
    noticed: bool,
    /// What the driver said, with the place.
    said: String,
}

fn with(test: &str, plant: &str) -> Outcome {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("mistakes::{test}"), "--nocapture"])
        .envs([("SMLC_SIM_RACES", "1"), ("SMLC_SIM_LAZY", "1"), ("SMLC_SIM_PLANT", plant), ("RUST_BACKTRACE", "0")])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(text(&done.stdout).contains("running 1 test"), "{test} is no test");
    let said = text(&done.stderr);
    Outcome { planted: said.contains("emulated driver: planted"), noticed: !done.status.success(), said }
}

/// Whether leaving this out is no mistake on the emulated driver.
fn is_harmless(kind: &str, said: &str) -> bool {
    match kind {
        // Another wait comes before anything reads, or nothing waits for the event as it should be.
        "wait" | "record" => !said.contains("the planted mistake makes a difference"),
        // Graphs that are forgotten and memory that is wiped: the driver keeps what it still needs of them.
        "sync" => {
            ["Backend>::reserve", "Cuda as core::ops::drop::Drop>::drop"].iter().any(|place| said.contains(place))
        }
        _ => false,
    }
}

/// Of each kind and for each way in which parties have GPUs: all places with `SMLC_EVERY_MISTAKE=1`, else some, others each day.
#[test]
fn mistakes_of_the_host_are_noticed() {
    if !is_emulated() {
        return;
    }
    let kinds = [("wait", 25), ("record", 40), ("sync", 15), ("free", 10), ("stream", 100)];
    let all = std::env::var_os("SMLC_EVERY_MISTAKE").is_some();
    let today = UNIX_EPOCH.elapsed().unwrap().as_secs() / 86_400;
    let check = |test: &str| {
        let none = with(test, "");
        assert!(!none.planted && !none.noticed, "{test}, without a mistake: {}", none.said);
        for (kind, step) in kinds {
            let (mut places, mut noticed) = (0, 0);
            let (first, step) = if all { (1, 1) } else { (1 + today % step, step) };
            for place in (first..).step_by(step as usize) {
                let outcome = with(test, &format!("{kind}:{place}"));
                if !outcome.planted {
                    break;
                }
                places += 1;
                noticed += u32::from(outcome.noticed);
                let accounted = outcome.noticed || is_harmless(kind, &outcome.said);
                assert!(accounted, "{test}: {kind}:{place} is not noticed\n{}", outcome.said);
            }
            assert!(places > 0 && (noticed > 0 || !all), "{test}, {kind}: {noticed} of {places} places");
            let told = format!("{test}, {kind}: {noticed} of {places} places noticed, no mistake at the others");
            let _ = writeln!(std::io::stdout(), "{told}");
        }
    };
    let on_gpus = ["parties_on_one_gpu", "parties_on_two_gpus"];
    let tests =
        on_gpus.iter().enumerate().filter(|(number, _)| all || *number as u64 == today % 2).map(|(_, test)| *test);
    std::thread::scope(|scope| {
        for test in tests.chain(["a_party_on_a_gpu_between_processors"]) {
            scope.spawn(move || check(test));
        }
    });
}

/// The order of work that the driver promises nothing about makes no difference.
#[test]
fn orders_of_work_make_no_difference() {
    if !is_emulated() {
        return;
    }
    let run = |device: &str, seed: &str| {
        let arguments = ["run", MODEL, "--take", "1", "--format", "json", "--device", device];
        let environment = [("SMLC_SIM_DEVICES", "2"), ("SMLC_SIM_SEED", seed), ("SMLC_SIM_REVERSE", "1")];
        let (code, out, err) = smlc(&arguments, &environment);
        assert_eq!(code, Some(0), "{err}");
        predictions(&out)
    };
    let wanted = run("cuda", "1");
    for device in ["cuda", "cpu,cuda,cpu", "cuda:0,cuda:1,cuda:1"] {
        for seed in ["2", "3"] {
            assert_eq!(run(device, seed), wanted);
        }
    }
}

/// Whole runs, over TCP too, in which the driver looks for races; also where there is no memory for a message of its own, so that
/// messages share what there is.
#[test]
fn streams_do_not_race() {
    if !is_emulated() {
        return;
    }
    let run = |device: &str, transport: &str, fail: &str| {
        let arguments = ["run", MODEL, "--take", "1", "--device", device, "--transport", transport, "--repeat", "3"];
        let environment = [("SMLC_SIM_DEVICES", "2"), ("SMLC_SIM_RACES", "1"), ("SMLC_SIM_FAIL", fail)];
        let (code, _, err) = smlc(&arguments, &environment);
        assert!(!err.contains("race: "), "{device}, {transport}, {fail}: {err}");
        code
    };
    for (device, transport) in [("cuda", "memory"), ("cuda:0,cuda:1,cuda:1", "memory"), ("cpu,cuda,cpu", "tcp")] {
        assert_eq!(run(device, transport, ""), Some(0), "{device}, {transport}");
    }
    // One party takes memory in the same order each time.
    let failing = (1..24).map(|allocation| run("cpu,cuda,cpu", "memory", &format!("alloc:{allocation}")));
    let codes: Vec<_> = failing.collect();
    let last = codes.iter().rposition(|code| *code == Some(2)).unwrap_or(0);
    assert!(codes[..last].contains(&Some(0)), "no message lacked memory: {codes:?}");
}
