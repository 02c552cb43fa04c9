//! Once parties have run a plan some times, no thread of the process allocates anything in further rounds: not those that compute,
//! nor those that carry messages.
//!
//! The heap of the whole process is counted, so that this is a program with one test.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::Path;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use smlc::backend::cpu::{Cpu, Threads};
use smlc::net::tcp::{self, Plain, Settings};
use smlc::net::{MemoryMesh, Mesh, PlanHash, SessionId, Timing};
use smlc::plan::lower::{self, Options};
use smlc::plan::{Party, Plan, file};
use smlc::run::local;
use smlc::run::party::{self, OverMesh};
use smlc::run::session::Session;
use smlc::span::Sources;
use smlc::{graph, hir, pass};

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

/// The plan of a program, whose open sizes are 2.
fn plan_of(name: &str, text: String) -> Plan {
    let mut sources = Sources::default();
    let file = sources.add(name.to_string(), text);
    let program = hir::check(&mut sources, file, &mut Vec::new()).unwrap();
    let dims = program.entries[0].sizes.iter().map(|size| (size.clone(), 2)).collect();
    let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut Vec::new()).unwrap();
    pass::run(&mut graph, None, &[]).unwrap();
    lower::lower(&graph, &sources, Options::default())
}

fn example(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    plan_of(name, std::fs::read_to_string(path).unwrap())
}

/// Runs at most, and such in a row that have to allocate nothing. How much is under way at once, and so is kept for the next
/// time, depends on who waits for whom, which is not the same in each run.
const RUNS: u32 = 200;
const IN_A_ROW: usize = 8;

/// One party's runs over a mesh: the allocations of the whole process in the rounds of each, until enough in a row have none.
fn runs(plan: &Plan, mesh: &mut dyn Mesh, threads: usize, all: &Barrier, counts: &Mutex<Vec<u64>>) {
    let me = mesh.me();
    let threads = Threads::new(threads);
    threads
        .pool(|| {
            let own = party::give_key(mesh).unwrap();
            let device = Cpu::new(me, party::take_key(mesh, own).unwrap()).with_threads(&threads);
            let mut session = Session::new(plan, me, device, true).unwrap();
            for input in plan.inputs.iter().flat_map(|input| input.bufs) {
                session.load(input[me.index()], &mut |words| words.fill(1)).unwrap();
            }
            mesh.spares().keep(session.spare_bytes());
            for run in 0..RUNS {
                if run > 0 {
                    let own = party::give_key(mesh).unwrap();
                    session.again(party::take_key(mesh, own).unwrap()).unwrap();
                }
                // All are there, one of them looks at the heap, and nobody goes on before.
                let before = all.wait().is_leader().then(|| dhat::HeapStats::get().total_blocks);
                all.wait();
                let mut link = OverMesh { mesh: &mut *mesh, gpus: [false; 3] };
                for number in 0..=plan.rounds.len() {
                    session.round(number, &mut link).unwrap();
                }
                all.wait();
                if let Some(before) = before {
                    let count = dhat::HeapStats::get().total_blocks - before;
                    counts.lock().unwrap().push(count);
                }
                all.wait();
                if is_steady(&counts.lock().unwrap()) {
                    break;
                }
            }
            mesh.finish().unwrap();
        })
        .unwrap();
}

fn is_steady(counts: &[u64]) -> bool {
    counts.len() >= IN_A_ROW && counts[counts.len() - IN_A_ROW..].iter().all(|count| *count == 0)
}

/// Three parties, each with so many threads.
fn check(what: &str, plan: &Plan, over_tcp: bool, threads: usize) {
    let (all, counts) = (&Barrier::new(3), &Mutex::new(Vec::with_capacity(RUNS as usize)));
    // The others would wait for a party that panics.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(std::io::stderr(), "{panic}");
        std::process::exit(101);
    }));
    std::thread::scope(|scope| {
        if over_tcp {
            let addresses = local::free_addresses().unwrap();
            for me in Party::ALL {
                let id = SessionId([7; 16]);
                let session = tcp::Session {
                    id,
                    plan: PlanHash(file::hash(plan)),
                    addresses: addresses.clone(),
                    patience: Duration::from_secs(20),
                };
                let listener = tcp::listen(&addresses[me.index()]).unwrap();
                let settings = Settings { me, owners: 0, timing: Timing::default(), shape: None };
                scope.spawn(move || {
                    let mut joined = tcp::join(&session, settings, listener, &Plain).unwrap();
                    runs(plan, &mut joined.mesh, threads, all, counts);
                });
            }
        } else {
            for mut mesh in MemoryMesh::new(None) {
                scope.spawn(move || runs(plan, &mut mesh, threads, all, counts));
            }
        }
    });
    std::panic::set_hook(hook);
    let counts = counts.lock().unwrap();
    assert!(counts[0] > 0, "{what}: the first run prepares programs");
    assert!(is_steady(&counts), "{what}, TCP {over_tcp}, {threads} threads: allocations of each run {counts:?}");
}

#[test]
fn no_thread_allocates_in_later_rounds() {
    let _heap = dhat::Profiler::builder().testing().build();
    let large = "owners a, b;\nfixed(int = 16, frac = 16);\n\
        entry f(x: fix[384, 512] from a, y: fix[512, 512] from b) -> fix[384, 512] to a { matmul(x, y) }\n";
    // Bits that move as bits, windows of more places and images of more columns than are added up at a time.
    let moves = "owners a, b;\nfixed(int = 16, frac = 16);\n\
        entry f(x: fix[40, 30] from a, y: fix[40, 30] from b) -> bool[30, 80] to a { transpose(concat(x > y, x < y, axis = 0), [1, 0]) }\n";
    let windows = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::{avg_pool, convolve};\n\
        entry f(x: fix[1, 3, 9, 300] from a, w: fix[3, 1, 7, 7] from b) -> fix[1, 3, 4, 150] to a {\n\
        avg_pool(convolve(x, w, pad = 3, groups = 3), 2)\n}\n";
    let plans = [
        ("large", plan_of("large.sml", large.to_string())),
        ("moves", plan_of("moves.sml", moves.to_string())),
        ("windows", plan_of("windows.sml", windows.to_string())),
        ("lenet", example("lenet.sml")),
        ("residual", example("residual.sml")),
        ("alexnet", example("alexnet_cifar.sml")),
        ("vgg16", example("vgg16_cifar.sml")),
        ("transformer", example("transformer.sml")),
    ];
    for (what, plan) in &plans {
        for over_tcp in [false, true] {
            check(what, plan, over_tcp, 3);
        }
    }
    let (what, plan) = &plans[1];
    check(what, plan, false, 1);
}
