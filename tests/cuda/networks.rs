//! Whole networks on GPUs, on processors, and on both: every message and every result is the same, byte for byte.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use smlc::backend::cpu::Cpu;
use smlc::backend::cuda::Cuda;
use smlc::backend::{Around, Backend, Launch, StreamKey};
use smlc::net::{Loss, Nearby, NetError, Parcel};
use smlc::plan::course::{Course, Piece};
use smlc::plan::joint;
use smlc::plan::layout::Layout;
use smlc::plan::lower::{self, Cut, Options};
use smlc::plan::passing::passing;
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Access, Buf, BufId, Instr, Kernel, Operand, Party, Plan, Program, Reg};
use smlc::run::lockstep::{self, Loads, Outcome};
use smlc::run::session::{Link, Session};
use smlc::span::Sources;
use smlc::{graph, hir, pass};

use crate::device::{counter, gpu, is_emulated};

/// A program's plan and data for it.
pub fn plan(name: &str, text: &str, dims: &[(&str, usize)]) -> (Plan, BTreeMap<String, Vec<f64>>) {
    plan_with(name, text, dims, Options::default())
}

fn plan_with(name: &str, text: &str, dims: &[(&str, usize)], options: Options) -> (Plan, BTreeMap<String, Vec<f64>>) {
    let mut sources = Sources::default();
    let file = sources.add(name.to_string(), text.to_string());
    let program = hir::check(&mut sources, file, &mut Vec::new()).unwrap();
    let dims = dims.iter().map(|(name, size)| (name.to_string(), *size)).collect();
    let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut Vec::new()).unwrap();
    pass::run(&mut graph, None, &[]).unwrap();
    let tensor = |(id, path): (_, &str)| {
        let len = graph.node(id).ty.shape.iter().product::<usize>();
        // Variances have to be positive, and sums small.
        let scale = if path.ends_with("running_var") { 1.0 } else { 0.3 };
        let value = |i: usize| scale * ((i * 37 + path.len() * 11) % 101) as f64 / 101.0;
        (path.to_string(), (0..len).map(|i| if i % 2 == 0 || scale == 1.0 { value(i) } else { -value(i) }).collect())
    };
    let data = graph.inputs().map(tensor).collect();
    (lower::lower(&graph, &sources, options), data)
}

/// An example's plan and data for it. Where this program was copied to, `SMLC_EXAMPLES` says where the examples are.
pub fn example(name: &str, dims: &[(&str, usize)]) -> (Plan, BTreeMap<String, Vec<f64>>) {
    let examples = std::env::var_os("SMLC_EXAMPLES").map(PathBuf::from);
    let path = examples.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    plan(name, &text, dims)
}

/// A run's messages, by round, sender and receiver, and what came of it.
pub type Run = (Vec<(usize, Party, Party, Vec<u8>)>, Outcome);

pub fn run(plan: &Plan, loads: &Loads, device: impl Fn(Party, [StreamKey; 2]) -> Box<dyn Backend>) -> Run {
    let key = |number: u8| StreamKey([7 * (number % 3) + 1; 16]);
    let devices = Party::ALL.map(|party| device(party, [key(party.0), key(party.0 + 1)]));
    let mut messages = Vec::new();
    let outcome = lockstep::execute(plan, devices, loads.clone(), &mut |round, from, to, payload| {
        messages.push((round, from, to, payload.to_vec()));
    });
    (messages, outcome.unwrap())
}

/// Runs on processors and on what `gpus` says are GPUs, and compares.
fn compare(name: &str, (plan, data): &(Plan, BTreeMap<String, Vec<f64>>), gpus: [bool; 3]) {
    let gpu = gpu();
    let loads = lockstep::share(plan, data).unwrap();
    let (messages, outcome) = run(plan, &loads, |party, keys| Box::new(Cpu::new(party, keys)));
    let (found, other) = run(plan, &loads, |party, keys| {
        if !gpus[party.index()] {
            return Box::new(Cpu::new(party, keys));
        }
        // Between the messages of a round the host waits for nothing.
        Box::new(Around {
            inner: Cuda::new(&gpu, party, &keys).unwrap(),
            launch: |device: &mut Cuda, launch: Launch<'_>| {
                let before = counter("smlc_sim_thread_synchronisations");
                device.launch(launch)?;
                assert_eq!(counter("smlc_sim_thread_synchronisations"), before, "waited for {}", launch.kernel.name());
                Ok(())
            },
        })
    });
    assert!(messages.len() > 3, "{name} sends nothing");
    for ((round, from, to, wanted), (.., found)) in messages.iter().zip(&found) {
        assert!(wanted == found, "{name}: round {round}, {from} to {to}: {} bytes differ", wanted.len());
    }
    assert_eq!((messages.len(), &outcome.halves), (found.len(), &other.halves), "{name}");
    assert_eq!((outcome.live_bytes, outcome.rounds), (other.live_bytes, other.rounds), "{name}");
}

#[test]
fn a_perceptron_is_the_same_on_gpus() {
    compare("mlp", &example("mlp.sml", &[("N", 2)]), [true; 3]);
}

#[test]
fn lenet_is_the_same_on_gpus() {
    compare("lenet", &example("lenet.sml", &[("N", 1)]), [true; 3]);
}

#[test]
fn residual_blocks_are_the_same_on_gpus() {
    compare("residual", &example("residual.sml", &[("N", 1)]), [true; 3]);
}

#[test]
fn processors_and_gpus_run_together() {
    let network = example("small_digits/small_digits.sml", &[("N", 2)]);
    for gpus in [[true, false, false], [false, true, true]] {
        compare("small_digits", &network, gpus);
    }
}

#[test]
fn functions_with_tables_are_the_same_on_gpus() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse math::{sigmoid, tanh};\n\
                entry f(x: fix[3, 7] from a, y: fix[3, 7] from b) -> fix[3, 7] to a { sigmoid(x + y) * tanh(x - y) }\n";
    compare("tables", &plan("tables.sml", text, &[]), [true; 3]);
}

#[test]
fn attention_is_the_same_on_gpus() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::softmax;\n\
                entry f(q: fix[3, 4] from a, k: fix[4, 3] from b) -> fix[3, 4] to a { matmul(softmax(matmul(q, k)), q) }\n";
    compare("attention", &plan("attention.sml", text, &[]), [true, false, true]);
}

#[test]
fn pools_over_small_padded_images_are_the_same_on_gpus() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::max_pool;\n\
                entry f(x: fix[1, 2, 2, 2] from a, y: fix[1, 2, 2, 2] from b) -> fix[1, 2, 1, 1] to a {\n\
                max_pool(x + y, 3, stride = 2, pad = 1)\n}\n";
    compare("pool", &plan("pool.sml", text, &[]), [true, false, true]);
}

#[test]
fn plans_for_slow_networks_are_the_same_on_gpus() {
    // A thousand planes of keystream in one program.
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[70] from a, y: fix[70] from b) -> fix[70] to a { relu(x + y) }\n";
    // What a link of 100 Mb/s carries in 20 ms.
    let options = Options { prefer: Prefer::Time { bits: 2_000_000 }, ..Options::default() };
    compare("rounds", &plan_with("rounds.sml", text, &[], options), [true; 3]);
}

#[test]
fn slices_that_fill_words_are_the_same_on_gpus() {
    // Three slices of 64 elements: what one party makes for another lies in messages only.
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[192] from a, y: fix[192] from b) -> fix[192] to a { relu(x * y) }\n";
    let network = plan("words.sml", text, &[]);
    let passing = Party::ALL.map(|party| {
        let course = Course::of(&network.0, party);
        let passing = passing(&network.0, party, &course);
        // But for what one joint step hands to another.
        let near = joint::near(&network.0, &course, &passing);
        let alone = |id: &BufId| passing[id.index()] && !near.iter().any(|(.., of)| of == id);
        (0..).map(BufId).take(passing.len()).filter(alone).count()
    });
    assert!(passing.iter().all(|count| *count > 10), "{passing:?}");
    for gpus in [[true; 3], [true, false, false], [false, true, true]] {
        compare("words", &network, gpus);
    }
}

/// What passes through a message is written there by one launch and read there by another.
#[test]
fn what_passes_through_messages_is_neither_packed_nor_unpacked() {
    let gpu = gpu();
    let keys = [StreamKey([1; 16]), StreamKey([2; 16])];
    let [mut p0, mut p1] = [0, 1].map(|party| Cuda::new(&gpu, Party(party), &keys).unwrap());
    for (len, width) in [(128, 64), (192, 33)] {
        let [mine, yours] = [Party(0), Party(1)].map(|party| Buf::ring(party, len, width));
        let bufs = [mine.clone(), mine, yours.clone(), yours];
        let twice = Program {
            name: "twice".into(),
            planes: false,
            code: vec![
                Instr::In { input: 0, plane: 0 },
                Instr::Add(Reg(0), Reg(0)),
                Instr::Out { output: 0, plane: 0, value: Reg(1) },
            ],
        };
        let kernel = Kernel::from(twice);
        let launch = |device: &mut Cuda, [from, to]: [u32; 2]| {
            let ins = [Operand { buf: BufId(from), access: Access::Dense }];
            let launch =
                Launch { kernel: &kernel, ins: &ins, streams: &[], outs: &[BufId(to)], bufs: &bufs, site: None };
            device.launch(launch).unwrap();
        };
        for device in [&mut p0, &mut p1] {
            device.reserve(Layout::apart(&bufs).with_passing(vec![false, true, true, false])).unwrap();
        }
        p0.write(BufId(0), &mut |words| (5..).zip(words).for_each(|(i, word)| *word = i)).unwrap();
        let before = counter("smlc_sim_thread_launches");
        p0.parcels().unwrap().begin(&bufs, &[BufId(1)]).unwrap();
        launch(&mut p0, [0, 1]);
        let parcel = p0.parcels().unwrap().post(&bufs, &[BufId(1)]).unwrap();
        assert!(p0.read(BufId(1)).is_err(), "what was sent is gone");
        p0.parcels().unwrap().leave().unwrap();
        p1.parcels().unwrap().take(&bufs, &[BufId(2)], parcel).unwrap();
        launch(&mut p1, [2, 3]);
        p1.settle().unwrap();
        let launches = counter("smlc_sim_thread_launches") - before;
        assert!(launches == 2 || !is_emulated(), "{launches} launches");
        let found = p1.read(BufId(3)).unwrap();
        assert!((5..).zip(&*found).all(|(i, word)| *word == 4 * i), "{found:?}");
        // Written anew, it is words.
        p1.write(BufId(2), &mut |words| words.fill(7)).unwrap();
        launch(&mut p1, [2, 3]);
        assert!(p1.read(BufId(3)).unwrap().iter().all(|word| *word == 14));
        p1.free(BufId(2));
    }
}

/// The links between parties of one process, which take no bytes.
pub struct Near {
    pub me: Party,
    pub parcels: BTreeMap<(Party, Party), VecDeque<Parcel>>,
}

impl Link for Near {
    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        panic!("{} bytes from {} to {}", payload.len(), piece.from, piece.to);
    }

    fn expect(&mut self, _: &Piece) {}

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        panic!("bytes from {} to {}", piece.from, piece.to);
    }

    fn nearby(&mut self, _: Party) -> Option<&mut dyn Nearby> {
        Some(self)
    }
}

impl Nearby for Near {
    fn hand(&mut self, to: Party, _: u32, _: usize, parcel: Parcel) -> Result<(), NetError> {
        self.parcels.entry((self.me, to)).or_default().push_back(parcel);
        Ok(())
    }

    fn take(&mut self, from: Party, _: u32, _: usize) -> Result<Parcel, NetError> {
        let queue = self.parcels.entry((from, self.me)).or_default();
        queue.pop_front().ok_or(NetError::Lost(from, Loss::Closed))
    }
}

/// Between parties that share a GPU, messages stay on it: the host waits for nothing from the first share to the results, and
/// once all memory has the size that it needs it copies nothing to the GPU, and launches what came before as graphs.
#[test]
fn messages_between_parties_on_a_gpu_stay_there() {
    let (plan, data) = example("small_digits/small_digits.sml", &[("N", 2)]);
    let loads = lockstep::share(&plan, &data).unwrap();
    let (_, outcome) = run(&plan, &loads, |party, keys| Box::new(Cpu::new(party, keys)));
    let gpu = gpu();
    let key = |number: u8| StreamKey([7 * (number % 3) + 1; 16]);
    let keys = |party: Party| [key(party.0), key(party.0 + 1)];
    let mut sessions = Party::ALL.map(|party| {
        let device = Cuda::new(&gpu, party, &keys(party)).unwrap();
        let mut session = Session::new(&plan, party, device, true).unwrap();
        for (id, words) in &loads[party.index()] {
            session.load(*id, &mut |to| to.copy_from_slice(words)).unwrap();
        }
        session
    });
    let counts =
        || ["synchronisations", "copies", "launches", "calls"].map(|what| counter(&format!("smlc_sim_thread_{what}")));
    let mut link = Near { me: Party(0), parcels: BTreeMap::new() };
    for number in 0..4 {
        let [waits, copies, launches, calls] = counts();
        for round in 0..=plan.rounds.len() {
            for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
                link.me = party;
                session.round(round, &mut link).unwrap();
            }
        }
        let [waited, copied, launched, called] = counts();
        assert_eq!(waited, waits, "the host waited");
        assert!(number < 2 || copied == copies, "{} copies in the last run", copied - copies);
        let (launches, calls) = (launched - launches, called - calls);
        assert!(number < 2 || 3 * calls < launches || !is_emulated(), "{calls} calls for {launches} launches");
        assert!(number > 0 || copied > copies || !is_emulated(), "nothing is counted");
        for (party, wanted) in outcome.halves.iter().enumerate() {
            assert_eq!(&sessions[party].outputs(Vec::new()).unwrap(), wanted, "P{party}");
        }
        for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
            session.again(keys(party)).unwrap();
        }
    }
}

/// A message that a device was asked to pack ahead is the one of that time, though launches went on; the host waits only for
/// the message itself.
#[test]
fn messages_are_packed_while_launches_go_on() {
    let gpu = gpu();
    let party = Party(1);
    let keys = [StreamKey([1; 16]), StreamKey([2; 16])];
    let bufs = [Buf::ring(party, 1000, 64), Buf::ring(party, 1000, 64), Buf::ring(party, 1000, 40)];
    let mut devices: [Box<dyn Backend>; 2] =
        [Box::new(Cuda::new(&gpu, party, &keys).unwrap()), Box::new(Cpu::new(party, keys.clone()))];
    let kernel = Kernel::Concat { outer: 1, chunks: vec![1000] };
    let messages = devices.each_mut().map(|device| {
        device.reserve(Layout::apart(&bufs)).unwrap();
        device.write(BufId(0), &mut |words| (5..).zip(words).for_each(|(i, word)| *word = i * i)).unwrap();
        device.write(BufId(2), &mut |words| words.fill(7)).unwrap();
        let launch = |device: &mut Box<dyn Backend>, from, to| {
            let ins = [Operand { buf: BufId(from), access: Access::Dense }];
            let launch =
                Launch { kernel: &kernel, ins: &ins, streams: &[], outs: &[BufId(to)], bufs: &bufs, site: None };
            device.launch(launch).unwrap();
        };
        let mut messages = vec![Vec::new(); 6];
        for (number, messages) in messages.chunks_mut(3).enumerate() {
            let before = counter("smlc_sim_thread_synchronisations");
            for message in &mut *messages {
                launch(device, 0, 1);
                if !device.pack_ahead(&bufs, &[BufId(1), BufId(2)]).unwrap() {
                    device.pack(&bufs, &[BufId(1), BufId(2)], message).unwrap();
                }
                // The next message is another one.
                launch(device, 1, 2);
                launch(device, 2, 0);
            }
            let waits = counter("smlc_sim_thread_synchronisations") - before;
            // Memory of the host is taken at first.
            assert!(number == 0 || waits == 0, "the host waited {waits} times");
            for message in messages.iter_mut().filter(|message| message.is_empty()) {
                device.packed(message).unwrap();
            }
            assert!(device.packed(&mut Vec::new()).is_err());
        }
        messages
    });
    assert!(messages[0] == messages[1]);
    assert!(messages[0][0] != messages[0][1]);
}

/// Messages between parties as bytes. Where one on a GPU waits for them, everything that it was given has been launched.
struct Bytes {
    me: Party,
    messages: BTreeMap<(Party, Party), VecDeque<Vec<u8>>>,
    /// What P0's device was given to launch, and the launches of this thread before.
    given: Rc<Cell<u64>>,
    before: u64,
}

impl Link for Bytes {
    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        self.messages.entry((self.me, piece.to)).or_default().push_back(payload);
        Ok(())
    }

    fn expect(&mut self, _: &Piece) {}

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        let launched = counter("smlc_sim_thread_launches") - self.before;
        let given = self.given.get();
        assert!(self.me != Party(0) || launched >= given || !is_emulated(), "{launched} of {given} are launched");
        let queue = self.messages.entry((piece.from, self.me)).or_default();
        queue.pop_front().ok_or(NetError::Lost(piece.from, Loss::Closed))
    }
}

#[test]
fn launches_do_not_wait_for_the_network() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[20000] from a, y: fix[20000] from b) -> fix[20000] to a { relu(x + y) }\n";
    let options = Options { cut: Cut::Pipeline(1000), ..Options::default() };
    let (plan, data) = plan_with("relu.sml", text, &[], options);
    let loads = lockstep::share(&plan, &data).unwrap();
    let gpu = gpu();
    let given = Rc::new(Cell::new(0));
    let mut sessions = Party::ALL.map(|party| {
        let keys = [party.0, party.plus(1).0].map(|number| StreamKey([number + 1; 16]));
        let device: Box<dyn Backend> = match party {
            Party(0) => {
                let given = given.clone();
                Box::new(Around {
                    inner: Cuda::new(&gpu, party, &keys).unwrap(),
                    launch: move |device: &mut Cuda, launch: Launch<'_>| {
                        given.set(given.get() + 1);
                        device.launch(launch)
                    },
                })
            }
            _ => Box::new(Cpu::new(party, keys)),
        };
        let mut session = Session::new(&plan, party, device, false).unwrap();
        for (id, words) in &loads[party.index()] {
            session.load(*id, &mut |to| to.copy_from_slice(words)).unwrap();
        }
        session
    });
    let before = counter("smlc_sim_thread_launches");
    let mut link = Bytes { me: Party(0), messages: BTreeMap::new(), given, before };
    for round in 0..=plan.rounds.len() {
        for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
            link.me = party;
            session.round(round, &mut link).unwrap();
        }
    }
    assert!(link.given.get() > 20);
}
