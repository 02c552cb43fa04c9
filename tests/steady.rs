//! Once a party has run a plan, further runs on the shares that it has allocate no memory in their rounds, and compute nothing
//! again that is the same for all.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smlc::backend::cpu::{Cpu, Isa};
use smlc::backend::{Around, Backend as _, BackendError, Launch, StreamKey};
use smlc::net::handshake::Role;
use smlc::net::owner::{Admit, LinkError, MemoryLink, Message, MessageKind, OwnerLink, Room};
use smlc::net::{Loss, MemoryMesh, Mesh as _, NetError};
use smlc::plan::course::Piece;
use smlc::plan::lower::{self, Options};
use smlc::plan::{Party, Plan, Step, kept, verify};
use smlc::run::client::{Client, Data};
use smlc::run::device::Device;
use smlc::run::party::{self, Service};
use smlc::run::session::{Link, Session};
use smlc::run::{RunError, local, owner};
use smlc::span::Sources;
use smlc::{graph, hir, pass};

/// The links between all three, with payloads that serve again.
#[derive(Default)]
struct Links {
    pieces: [[VecDeque<Vec<u8>>; 3]; 3],
    spares: Vec<Vec<u8>>,
}

impl Link for Links {
    fn spare(&mut self, bytes: usize) -> Vec<u8> {
        let fits = self.spares.iter().position(|spare| spare.capacity() >= bytes);
        fits.map_or_else(|| Vec::with_capacity(bytes), |at| self.spares.remove(at))
    }

    fn done(&mut self, payload: Vec<u8>) {
        self.spares.push(payload);
        self.spares.sort_unstable_by_key(Vec::capacity);
    }

    fn send(&mut self, piece: &Piece, payload: Vec<u8>) -> Result<(), NetError> {
        self.pieces[piece.from.index()][piece.to.index()].push_back(payload);
        Ok(())
    }

    fn expect(&mut self, _: &Piece) {}

    fn receive(&mut self, piece: &Piece) -> Result<Vec<u8>, NetError> {
        let queue = &mut self.pieces[piece.from.index()][piece.to.index()];
        queue.pop_front().ok_or(NetError::Lost(piece.from, Loss::Closed))
    }
}

/// The plan of an example for one row.
fn plan(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    plan_of(name, std::fs::read_to_string(path).unwrap())
}

fn plan_of(name: &str, text: String) -> Plan {
    let mut sources = Sources::default();
    let file = sources.add(name.to_string(), text);
    let program = hir::check(&mut sources, file, &mut Vec::new()).unwrap();
    let dims = [("N".to_string(), 1)].into();
    let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut Vec::new()).unwrap();
    pass::run(&mut graph, None, &[]).unwrap();
    lower::lower(&graph, &sources, Options::default())
}

/// Keys of a run for each party.
fn keys(run: u8) -> [[StreamKey; 2]; 3] {
    let key = |number: u8| StreamKey([16 * run + number % 3; 16]);
    [0, 1, 2].map(|party| [key(party), key(party + 1)])
}

/// Allocations of the parties' thread in the rounds of each of three runs on the same shares. What real links and several threads
/// allocate is seen by `tests/allocations.rs`.
fn allocations(plan: &Plan, isa: Isa) -> [u64; 3] {
    let mut first = keys(0).into_iter();
    let mut sessions = Party::ALL.map(|party| {
        let device = Cpu::with_isa(party, &first.next().unwrap(), isa).with_joint_from(0);
        let mut session = Session::new(plan, party, device, true).unwrap();
        for input in plan.inputs.iter().flat_map(|input| input.bufs) {
            session.load(input[party.index()], &mut |words| words.fill(0)).unwrap();
        }
        session
    });
    let mut links = Links::default();
    [0, 1, 2].map(|run| {
        if run > 0 {
            sessions.iter_mut().zip(keys(run)).for_each(|(session, keys)| session.again(keys).unwrap());
        }
        allocation_counter::measure(|| {
            for number in 0..=plan.rounds.len() {
                sessions.iter_mut().for_each(|session| session.round(number, &mut links).unwrap());
            }
        })
        .count_total
    })
}

#[test]
fn rounds_of_later_runs_allocate_nothing() {
    for name in ["lenet.sml", "residual.sml", "mlp.sml", "lenet_wide.sml"] {
        let plan = plan(name);
        for isa in Isa::available() {
            let [first, _, third] = allocations(&plan, isa);
            assert!(first > 0, "{name}, {isa:?}: the first run prepares programs");
            assert_eq!(third, 0, "{name}, {isa:?}");
        }
    }
}

/// A product that is computed by Strassen's way.
fn large() -> Plan {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\n\
        entry f(x: fix[384, 512] from a, y: fix[512, 512] from b) -> fix[384, 512] to a { matmul(x, y) }\n";
    plan_of("large.sml", text.to_string())
}

#[test]
fn large_products_allocate_nothing_either() {
    let plan = large();
    for isa in Isa::available() {
        let [_, _, third] = allocations(&plan, isa);
        assert_eq!(third, 0, "{isa:?}");
    }
}

/// A device that counts the sums it makes once for all runs.
type Counting = Around<Cpu, Box<dyn FnMut(&mut Cpu, Launch<'_>) -> Result<(), BackendError>>>;

/// Sessions of the three parties on fresh keys, and how many sums each has made.
fn counted(plan: &Plan) -> ([Session<'_, Counting>; 3], [Rc<Cell<usize>>; 3]) {
    let counts: [Rc<Cell<usize>>; 3] = Default::default();
    let mut first = keys(0).into_iter();
    let sessions = Party::ALL.map(|party| {
        let count = counts[party.index()].clone();
        let launch = move |device: &mut Cpu, launch: Launch<'_>| {
            count.set(count.get() + usize::from(launch.kernel.name() == "product.factor"));
            device.launch(launch)
        };
        let device = Around { inner: Cpu::new(party, first.next().unwrap()), launch: Box::new(launch) as Box<_> };
        Session::new(plan, party, device, true).unwrap()
    });
    (sessions, counts)
}

/// Loads shares of an input that are some noise.
fn load(plan: &Plan, sessions: &mut [Session<'_, Counting>; 3], input: usize, seed: u64) {
    for (session, party) in sessions.iter_mut().zip(Party::ALL) {
        for part in 0..2u8 {
            let id = plan.inputs[input].bufs[usize::from(part)][party.index()];
            let share = u64::from(party.plus(part).0) + 3 * input as u64 + 1000 * seed;
            let word = |at: u64| (at ^ share.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            session.load(id, &mut |words| (0..).zip(words).for_each(|(at, to)| *to = word(at))).unwrap();
        }
    }
}

/// One run; the halves of the results.
fn run(plan: &Plan, sessions: &mut [Session<'_, Counting>; 3]) -> Vec<Vec<Vec<u8>>> {
    let mut links = Links::default();
    for number in 0..=plan.rounds.len() {
        sessions.iter_mut().for_each(|session| session.round(number, &mut links).unwrap());
    }
    sessions.iter_mut().map(|session| session.outputs(Vec::new()).unwrap()).collect()
}

/// What is summed once is summed anew when its owner's inputs come anew, and only then; the inputs themselves do not stay.
#[test]
fn factors_are_summed_once_for_each_of_their_inputs() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[4, 96] from a, w: fix[96, 80] from b, v: fix[80, 64] from a) -> fix[4, 64] to a {\n\
                matmul(relu(matmul(x, w)), v)\n}\n";
    let plan = plan_of("factors.sml", text.to_string());
    let once = |party| plan.rounds.iter().flat_map(|r| &r.steps).filter(move |s| s.once && s.party == party);
    let given = &plan.inputs;
    let inputs = |owner| (0..given.len()).filter(move |input| given[*input].owner == Some(owner));
    for party in Party::ALL {
        assert_eq!(once(party).count(), 2, "w and v are factors");
        let kept = kept::kept(&plan, party);
        let summed = once(party).flat_map(|step| &step.ins).map(|operand| operand.buf);
        assert!(summed.into_iter().all(|id| !kept.contains(&id)) && kept.len() == 2 + 2, "{kept:?}");
    }
    let (mut sessions, counts) = counted(&plan);
    (0..plan.inputs.len()).for_each(|input| load(&plan, &mut sessions, input, 0));
    let first = run(&plan, &mut sessions);
    let (mut all, mut seeds) = (2, [0, 0]);
    // Nothing comes anew; the inputs of each owner do, those of the other, or both.
    for owners in [&[][..], &[1], &[0], &[1], &[0, 1], &[]] {
        for owner in owners {
            seeds[*owner as usize] += 1;
            inputs(*owner).for_each(|input| load(&plan, &mut sessions, input, seeds[*owner as usize]));
        }
        sessions.iter_mut().zip(keys(0)).for_each(|(session, keys)| session.again(keys).unwrap());
        let found = run(&plan, &mut sessions);
        all += owners.len();
        assert_eq!(counts.each_ref().map(|count| count.get()), [all; 3], "{owners:?}");
        let (mut fresh, _) = counted(&plan);
        for owner in [0, 1] {
            inputs(owner).for_each(|input| load(&plan, &mut fresh, input, seeds[owner as usize]));
        }
        assert!(found == run(&plan, &mut fresh), "{owners:?} with {seeds:?}");
        assert_eq!(found == first, seeds == [0, 0]);
    }
}

/// Values that several inputs are computed from stay until the last of them.
#[test]
fn values_stay_until_no_input_needs_them() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\n\
                entry f(x: fix[3] from a, y: fix[3] from a, w: fix[3] from b) -> fix[3] to a {\n\
                (x + y) * w + (x - y) * w + x\n}\n";
    let plan = plan_of("several.sml", text.to_string());
    let clear = owner::clear_graph(&plan).unwrap();
    assert_eq!((clear.inputs().count(), plan.inputs.len()), (3, 4), "of x and y are three shares");
    let data: Data =
        [("x", 3.0), ("y", 2.0), ("w", 0.5)].map(|(name, value)| (name.to_string(), vec![value; 3])).into();
    let devices = [Device::Cpu, Device::Cpu, Device::Cpu];
    let outcome = local::parties(&plan, &devices, 1, None, &|_| {}, None, |client| -> Result<_, RunError> {
        client.submit_all(data)?;
        client.run()
    });
    let found = outcome.unwrap().outputs.into_values().next().unwrap();
    assert!(found.iter().all(|value| (value - 6.0).abs() < 1e-3), "{found:?}");
}

/// The owners' end of a link, which notes where the payloads are that ask for a run, with their room, and those of results.
struct Watched {
    link: MemoryLink,
    asked: Noted<(usize, usize)>,
    results: Noted<usize>,
}

/// What another thread notes.
type Noted<T> = Arc<Mutex<Vec<T>>>;

impl OwnerLink for Watched {
    fn peer(&self) -> Role {
        self.link.peer()
    }

    fn send(&mut self, message: Message) -> Result<(), LinkError> {
        if message.kind == MessageKind::Run {
            self.asked.lock().unwrap().push((message.payload.as_ptr() as usize, message.payload.capacity()));
        }
        self.link.send(message)
    }

    fn recv(&mut self, patience: Option<Duration>, admit: Admit<'_>) -> Result<Message, LinkError> {
        let message = self.link.recv(patience, admit)?;
        if message.kind == MessageKind::Output {
            self.results.lock().unwrap().push(message.payload.as_ptr() as usize);
        }
        Ok(message)
    }
}

/// Within a process the memory of a result goes back to its party, and is written anew.
#[test]
fn results_are_written_where_those_of_the_run_before_were() {
    const LEN: usize = 1000;
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\n\
                entry f(x: fix[1000] from a, y: fix[1000] from b) -> (fix[1000] to a, fix[1000] to b) {\n\
                (x + y, x * y)\n}\n";
    let plan = &plan_of("results.sml", text.to_string());
    let data: Data = ["x", "y"].map(|name| (name.to_string(), vec![0.5; LEN])).into();
    let asked: [Noted<(usize, usize)>; 3] = Default::default();
    let results: [Noted<usize>; 3] = Default::default();
    std::thread::scope(|scope| {
        let links = MemoryMesh::new(None).map(|mut mesh| {
            let me = mesh.me();
            let (link, mut party) = MemoryLink::pair(Role::Owner(0), Role::Party(me));
            let mut serve = move || party::run(plan, &mut mesh, &mut party, Service { runs: 3, ..Service::ONCE });
            scope.spawn(move || serve().unwrap());
            Watched { link, asked: asked[me.index()].clone(), results: results[me.index()].clone() }
        });
        let mut client = Client::new(plan, links).unwrap();
        client.submit(&data, |_| true).unwrap();
        for _ in 0..3 {
            let outcome = client.run().unwrap();
            assert!(outcome.outputs.values().flatten().all(|value| (0.2..1.1).contains(value)));
        }
    });
    for (asked, results) in asked.iter().zip(&results).take(2) {
        let (asked, results) = (asked.lock().unwrap(), results.lock().unwrap());
        let [(_, none), second, third] = asked[..] else { panic!("{asked:?}") };
        assert_eq!(none, 0);
        for ((place, room), before, now) in [(second, &results[..2], results[2]), (third, &results[2..4], results[4])] {
            assert!(room >= 8 * LEN && before.contains(&place) && now == place, "{asked:?}, {results:?}");
        }
    }
}

/// Between two runs an owner's tensors come anew all together, in the plan's order, or not at all.
#[test]
fn a_run_waits_for_all_tensors_of_an_owner() {
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\n\
                entry f(x: fix[4, 3] from a, w: fix[3, 5] from b, v: fix[5, 2] from b) -> fix[4, 2] to a {\n\
                matmul(matmul(x, w), v)\n}\n";
    let plan = &plan_of("owners.sml", text.to_string());
    let clear = owner::clear_graph(plan).unwrap();
    let data: Data = [("x", 12), ("w", 15), ("v", 10)].map(|(name, len)| (name.to_string(), vec![0.5; len])).into();
    let submissions = |whose: &str| -> Vec<[Message; 3]> {
        let inputs = plan.inputs.iter().filter(|input| owner::submission_name(plan, input) == whose);
        let parts = inputs.map(|input| owner::submit(plan, &clear, input, &data).unwrap());
        parts.map(|parts| parts.map(|part| Message::new(MessageKind::Input, whose, part))).collect()
    };
    // The tensors of `b` that come anew, and whether the parties then run again.
    for (anew, admitted) in [(0, true), (1, false), (2, true), (3, false), (4, true)] {
        std::thread::scope(|scope| {
            let (mut links, mut parties) = (Vec::new(), Vec::new());
            for mut mesh in MemoryMesh::new(None) {
                let (client, mut link) = MemoryLink::pair(Role::Owner(0), Role::Party(mesh.me()));
                links.push(client);
                let serve = move || party::run(plan, &mut mesh, &mut link, Service { runs: 2, ..Service::ONCE });
                parties.push(scope.spawn(serve));
            }
            let all = |_: MessageKind, _: &str| Some(Room::AtMost(1 << 20));
            let run = |links: &mut Vec<MemoryLink>| {
                links.iter_mut().for_each(|link| link.send(Message::new(MessageKind::Run, "", Vec::new())).unwrap());
                let answers = links.iter_mut().map(|link| {
                    let answer = std::iter::repeat_with(|| link.recv(None, &all).unwrap());
                    answer.map(|message| message.kind).find(|kind| *kind != MessageKind::Output).unwrap()
                });
                answers.collect::<Vec<_>>()
            };
            let submit = |links: &mut Vec<MemoryLink>, parts: [Message; 3]| {
                links.iter_mut().zip(parts).for_each(|(link, part)| link.send(part).unwrap());
            };
            // In any order of owners.
            [submissions("b"), submissions("a")].into_iter().flatten().for_each(|parts| submit(&mut links, parts));
            assert_eq!(run(&mut links), [MessageKind::Report; 3]);
            let again = submissions("b").into_iter().chain(submissions("b"));
            again.take(anew).for_each(|parts| submit(&mut links, parts));
            let (wanted, fault) =
                if admitted { (MessageKind::Report, "") } else { (MessageKind::Failure, "unexpected") };
            assert_eq!(run(&mut links), [wanted; 3], "{anew} tensors anew");
            for party in parties {
                let outcome = party.join().unwrap();
                assert_eq!(outcome.is_ok(), admitted, "{outcome:?}");
                assert!(outcome.map_or_else(|error| error.to_string(), |()| String::new()).contains(fault));
            }
        });
    }
}

/// `plan::verify` refuses what would not be the same in each run.
#[test]
fn only_sums_of_inputs_are_made_once() {
    let plan = plan("mlp.sml");
    verify::verify(&plan).unwrap();
    let refused = |change: &dyn Fn(&mut Vec<Step>)| {
        let mut changed = plan.clone();
        changed.rounds.iter_mut().for_each(|round| change(&mut round.steps));
        changed != plan && verify::verify(&changed).is_err_and(|error| error.to_string().contains("for all runs"))
    };
    let streams = |step: &Step| !step.streams.is_empty();
    assert!(refused(&|steps| steps.iter_mut().filter(|step| streams(step)).take(1).for_each(|step| step.once = true)));
    let inner = |step: &Step| !streams(step) && !step.ins.iter().any(|operand| plan.is_input(operand.buf));
    assert!(refused(&|steps| steps.iter_mut().filter(|step| inner(step)).take(1).for_each(|step| step.once = true)));
    // The second behind the first, which is then for one run.
    assert!(refused(&|steps| steps.iter_mut().filter(|step| step.once).take(1).for_each(|step| step.once = false)));
}
