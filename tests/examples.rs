//! Every program in `examples/`: it checks, is formatted, and its plan holds; its cost is what the wire counts, and a
//! three-party run computes what the fixed-point evaluator says, for those that are small enough to be run here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use smlc::graph::{self, eval};
use smlc::net::SessionId;
use smlc::plan::cost::choose::fastest;
use smlc::plan::cost::machine::Machine;
use smlc::plan::cost::time::{Network, Place, predict};
use smlc::plan::course::{Action, Course};
use smlc::plan::layout::Layout;
use smlc::plan::lower::Cut;
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{BufId, Party, Plan, cost, file, lower, verify};
use smlc::run::client::Data;
use smlc::run::party::{Report, Service};
use smlc::run::{local, lockstep};
use smlc::span::Sources;
use smlc::{hir, pass, syntax};

fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|e| e == "sml") {
            found.push(path);
        }
    }
    found.sort();
}

fn all() -> Vec<PathBuf> {
    let mut found = Vec::new();
    programs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"), &mut found);
    assert!(!found.is_empty());
    found
}

/// Modules are files beside the program.
struct Beside<'p>(&'p Path);

impl hir::Modules for Beside<'_> {
    fn module(&mut self, name: &str) -> Result<Option<(String, String)>, String> {
        let path = self.0.with_file_name(format!("{name}.sml"));
        Ok(std::fs::read_to_string(&path).ok().map(|text| (path.display().to_string(), text)))
    }
}

/// The program in a file; none in a file of functions for others.
fn program(path: &Path, sources: &mut Sources) -> Option<hir::Program> {
    let text = std::fs::read_to_string(path).unwrap();
    if !text.contains("\nowners ") {
        return None;
    }
    let file = sources.add(path.display().to_string(), text);
    let mut diags = Vec::new();
    let program = hir::check_with(sources, file, &mut Beside(path), &mut diags);
    assert!(diags.is_empty(), "{}", smlc::diag::render::render(&diags, sources, false));
    program
}

/// What the parties of a run count that are threads.
fn in_memory(plan: &Plan, data: &Data) -> [Report; 3] {
    local::memory(plan, data, None, &|_| {}).unwrap().reports
}

/// The same over TCP on loopback.
fn over_tcp(plan: &Plan, data: &Data) -> [Report; 3] {
    let addresses = local::free_addresses().unwrap();
    let session = local::session(plan, SessionId([7; 16]), addresses, Duration::from_secs(20));
    std::thread::scope(|scope| {
        let serve = |party| local::party_tcp(plan, party, &session, None, Service::ONCE);
        let parties = Party::ALL.map(|party| scope.spawn(move || serve(party)));
        let mut client = local::call_tcp(plan, &session).unwrap();
        client.submit(data, |_| true).unwrap();
        let reports = client.run().unwrap().reports;
        parties.into_iter().for_each(|party| party.join().unwrap().unwrap());
        reports
    })
}

/// Multiplications and additions above which a run takes too long for a test.
const SMALL: u64 = 200_000_000;

#[test]
fn examples_are_formatted() {
    for path in all() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sources = Sources::default();
        let file = sources.add("example", text.as_str());
        assert_eq!(syntax::format(file, &text).unwrap(), text, "{}", path.display());
    }
}

/// No party sends, and no pair of parties exchanges, 2 % more than another, or as much as fills a packet.
fn balanced(name: &str, cost: &cost::Cost) {
    let link = |i: usize, j: usize| cost.bytes_per_link[i][j] + cost.bytes_per_link[j][i];
    for shares in [cost.bytes_per_party, [link(0, 1), link(1, 2), link(2, 0)]] {
        let (most, least) = (shares.iter().max().unwrap(), shares.iter().min().unwrap());
        assert!(most * 100 <= least * 102 || most - least < 1500, "{name}: {:?}", cost.bytes_per_link);
    }
}

/// Places of buffers that are live at once do not meet, and there is little memory beside them.
fn planned_memory(name: &str, plan: &Plan, cost: &cost::Cost) {
    for party in Party::ALL {
        let layout = Layout::of(plan, party, false);
        let mut taken: BTreeMap<usize, (usize, BufId)> = BTreeMap::new();
        let mut there = BTreeSet::new();
        let mut take = |taken: &mut BTreeMap<usize, (usize, BufId)>, id: BufId| {
            let id = plan.buf(id).storage(id).0;
            let place = layout.place(id).unwrap();
            assert_eq!(place.len(), plan.buf(id).words());
            if there.insert(id) {
                let before = taken.range(..place.end).next_back();
                assert!(before.is_none_or(|(_, (end, _))| *end <= place.start), "{name}: {id} lies over {before:?}");
                taken.insert(place.start, (place.end, id));
            }
        };
        let free = |taken: &mut BTreeMap<usize, (usize, BufId)>, id: &BufId| {
            let start = layout.place(*id).unwrap().start;
            assert_eq!(taken.remove(&start).unwrap().1, *id);
        };
        plan.inputs.iter().flat_map(|input| input.bufs).for_each(|bufs| take(&mut taken, bufs[party.index()]));
        for (number, action) in Course::of(plan, party).actions() {
            match action {
                Action::Launch(_) => {
                    let steps = || action.steps().iter().map(|at| &plan.rounds[number].steps[*at]);
                    steps().flat_map(|step| &step.outs).for_each(|id| take(&mut taken, *id));
                    steps().flat_map(|step| &step.free).for_each(|id| free(&mut taken, id));
                }
                Action::Begin(_) | Action::Send(_) => {}
                Action::Receive(piece) => {
                    let sends = &plan.rounds[piece.round].sends;
                    piece.sends.iter().for_each(|at| take(&mut taken, sends[*at].target));
                }
                Action::Free => {
                    let sends = plan.rounds[number].sends.iter().filter(|send| send.from == party);
                    sends.flat_map(|send| &send.free).for_each(|id| free(&mut taken, id));
                }
            }
        }
        let (takes, live) = (cost.peak_bytes[party.index()], cost.live_bytes[party.index()]);
        assert!(layout.bytes() == takes && live <= takes && takes * 20 <= live * 21, "{name}: {takes} for {live}");
    }
}

/// Data for every input, small enough for the number format.
fn data(graph: &graph::Graph, state: &mut u64) -> Data {
    let tensor = |(id, path): (_, &str)| {
        let ty = &graph.node(id).ty;
        let fan: usize = ty.shape.iter().skip(1).product();
        let values = (0..ty.len()).map(|_| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (*state >> 33) as f64 / f64::from(1u32 << 31);
            if path.contains("running_var") {
                0.5 + unit
            } else {
                (unit * 2.0 - 1.0) * 1.7 / (fan.max(1) as f64).sqrt()
            }
        });
        (path.to_string(), values.collect())
    };
    graph.inputs().map(tensor).collect()
}

/// A program's graph for some rows, after the passes.
fn graph_of(name: &str, rows: usize, sources: &mut Sources) -> graph::Graph {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let program = program(&path, sources).unwrap();
    let dims = BTreeMap::from([("N".to_string(), rows)]);
    let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut Vec::new()).unwrap();
    pass::run(&mut graph, None, &[]).unwrap();
    graph
}

/// Finer slices of large tensors, or none: the same results in more or fewer transfers and steps, and hardly more bytes, as the
/// bits of each slice fill bytes.
#[test]
fn slices_compute_the_same() {
    let mut sources = Sources::default();
    let graph = graph_of("lenet.sml", 8, &mut sources);
    let data = data(&graph, &mut 1);
    let wanted = eval::results(&graph, &data, eval::Mode::Fixed).unwrap();
    let plans = [Cut::Roles, Cut::Pipeline(1000), Cut::Large, Cut::Whole]
        .map(|cut| lower::lower(&graph, &sources, lower::Options { cut, ..Default::default() }));
    let costs = plans.each_ref().map(cost::cost);
    for (plan, cost) in plans.iter().zip(&costs).skip(1) {
        assert_eq!(cost.rounds, costs[0].rounds);
        let (bytes, usual) = (cost.bytes_total, costs[0].bytes_total);
        assert!(bytes * 1000 <= usual * 1005, "{bytes} for {usual}");
        verify::verify(plan).unwrap();
        let outcome = lockstep::run(plan, &data, &mut |_, _, _, _| {}).unwrap();
        for (a, b) in outcome.outputs["out"].iter().zip(&wanted["out"]) {
            assert!((a - b).abs() < 2f64.powi(-8), "{a} instead of {b}");
        }
    }
    let [usual, fine, large, whole] = plans.each_ref().map(|plan| {
        let transfers = plan.rounds.iter().map(|round| round.sends.len()).sum::<usize>();
        (transfers, plan.rounds.iter().map(|round| round.steps.len()).sum::<usize>())
    });
    assert!(fine.0 > 2 * usual.0, "{fine:?} for {usual:?}");
    assert!(whole.0 < large.0 && large.0 < usual.0, "{large:?} for {usual:?}, {whole:?}");
    assert!(2 * whole.0 < usual.0 && 2 * whole.1 < usual.1, "{whole:?} for {usual:?}");
    balanced("lenet.sml in a pipeline", &costs[1]);
}

/// Slices of large tensors that wait for others: the same results and bytes in more rounds, with less memory and less on its way
/// at once.
#[test]
fn slices_of_large_tensors_begin_one_after_the_other() {
    let mut sources = Sources::default();
    let plan = |graph: &graph::Graph, sources: &Sources, begin: usize| {
        let plan = lower::lower(graph, sources, lower::Options { begin, ..Default::default() });
        verify::verify(&plan).unwrap();
        (cost::cost(&plan), plan)
    };
    let graph = graph_of("lenet.sml", 8, &mut sources);
    let data = data(&graph, &mut 1);
    let wanted = eval::results(&graph, &data, eval::Mode::Fixed).unwrap();
    let ((usual, _), (late, late_plan)) = (plan(&graph, &sources, 1 << 20), plan(&graph, &sources, 3000));
    assert!(late.rounds > usual.rounds + 5, "{} for {}", late.rounds, usual.rounds);
    let outcome = lockstep::run(&late_plan, &data, &mut |_, _, _, _| {}).unwrap();
    for (a, b) in outcome.outputs["out"].iter().zip(&wanted["out"]) {
        assert!((a - b).abs() < 2f64.powi(-8), "{a} instead of {b}");
    }
    balanced("lenet.sml with slices that wait", &late);

    // Its largest tensor has 103 million elements.
    let graph = graph_of("vgg16.sml", 32, &mut sources);
    let [(usual, at_once), (late, waiting)] =
        [usize::MAX, lower::Options::default().begin].map(|begin| plan(&graph, &sources, begin));
    assert!((usual.rounds..2 * usual.rounds).contains(&late.rounds), "{} for {}", late.rounds, usual.rounds);
    assert!(late.bytes_total * 1000 <= usual.bytes_total * 1001, "{} for {}", late.bytes_total, usual.bytes_total);
    for party in Party::ALL {
        let least = |plan: &Plan| Layout::of(plan, party, false).bytes();
        assert!(least(&waiting) * 25 < least(&at_once) * 22, "{} for {}", least(&waiting), least(&at_once));
        assert!(least(&waiting) < 5_950_000_000, "{}", least(&waiting));
        let sent = |plan: &Plan| Course::of(plan, party).most_sent();
        assert!(sent(&waiting) * 8 < sent(&at_once), "{} for {}", sent(&waiting), sent(&at_once));
    }
}

/// A plan for a network is the fastest of those that are tried, and some networks get finer slices.
#[test]
fn the_plan_for_a_network_is_the_fastest() {
    let mut finer = 0;
    for name in ["lenet.sml", "vgg16_cifar.sml", "resnet/resnet18.sml"] {
        let mut sources = Sources::default();
        let graph = graph_of(name, 1, &mut sources);
        for network in [Network { rtt: 2e-4, bits_per_second: 1e10 }, Network { rtt: 4e-2, bits_per_second: 1e8 }] {
            let seconds = |plan: &Plan| predict(plan, &Machine::built_in(), network, Place::Apart).seconds();
            let tried = RefCell::new(Vec::new());
            let plan = fastest(network, |options| {
                let plan = lower::lower(&graph, &sources, options);
                tried.borrow_mut().push((options, seconds(&plan)));
                plan
            });
            let tried = tried.into_inner();
            let least = tried.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
            assert_eq!(seconds(&plan), least, "{name}");
            finer +=
                usize::from(tried.iter().any(|(options, s)| matches!(options.cut, Cut::Pipeline(_)) && *s == least));
        }
    }
    assert!(finer > 0);
}

/// What whole networks may cost: bytes of all three parties together, and rounds, for one image.
#[test]
fn networks_cost_no_more_than_they_did() {
    let at_48 = |text: &str| text.replace("frac = 16)", "frac = 16, ring = 48)").replace("int = 16", "int = 14");
    for (name, ring, prefer, bytes, rounds) in [
        ("lenet_wide.sml", 64, Prefer::Rounds, 1_301_000, 35),
        ("lenet_wide.sml", 64, Prefer::Bytes, 1_267_000, 42),
        ("vgg16_cifar.sml", 64, Prefer::Rounds, 23_600_000, 112),
        ("resnet/resnet50.sml", 64, Prefer::Rounds, 849_000_000, 266),
        ("resnet/resnet50.sml", 48, Prefer::Rounds, 686_000_000, 268),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let mut sources = Sources::default();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = if ring == 48 { at_48(&text) } else { text };
        let file = sources.add(name, text);
        let program = hir::check_with(&mut sources, file, &mut Beside(&path), &mut Vec::new()).unwrap();
        let dims = BTreeMap::from([("N".to_string(), 1)]);
        let mut graph = graph::lower::lower(&program, &program.entries[0].name, &dims, &mut Vec::new()).unwrap();
        assert_eq!(graph.format.ring, ring);
        pass::run(&mut graph, None, &[]).unwrap();
        let cost = cost::cost(&lower::lower(&graph, &sources, lower::Options { prefer, ..Default::default() }));
        assert!(cost.bytes_total <= bytes && cost.rounds <= rounds, "{name}: {}, {}", cost.bytes_total, cost.rounds);
        // Not long ago, that is: who brings them down writes the new figures here.
        assert!(cost.bytes_total * 100 >= bytes * 99, "{name}: {} bytes", cost.bytes_total);
    }
}

#[test]
fn cost_is_what_the_wire_counts_and_results_are_the_evaluators() {
    let (mut run, mut large) = (0, 0);
    for path in all() {
        let name = path.display().to_string();
        let mut sources = Sources::default();
        let Some(program) = program(&path, &mut sources) else { continue };
        for entry in &program.entries {
            let dims: BTreeMap<String, usize> = entry.sizes.iter().map(|s| (s.clone(), 2)).collect();
            let mut diags = Vec::new();
            let mut looped = graph::lower::lower(&program, &entry.name, &dims, &mut diags).unwrap();
            let graph = pass::unrolled(&looped, &[]).unwrap();
            pass::run(&mut looped, None, &[]).unwrap();
            if let Some((_, what)) = lower::unsupported(&graph) {
                assert!(path.ends_with("training.sml"), "{name}: {what}");
                continue;
            }
            let plan = lower::lower(&graph, &sources, lower::Options::default());
            let cost = cost::cost(&plan);
            balanced(&name, &cost);
            planned_memory(&name, &plan, &cost);
            if cost.multiply_adds.iter().sum::<u64>() > SMALL {
                verify::verify(&plan).unwrap();
                assert!(cost.rounds > 10);
                large += 1;
                continue;
            }
            run += 1;
            let mut state = 7u64;
            // Weights of a trained network's size: activations stay in range through all layers.
            let data = data(&graph, &mut state);
            let wanted = eval::results(&graph, &data, eval::Mode::Fixed).unwrap();
            let [flat, looped] = [&graph, &looped].map(|g| eval::results(g, &data, eval::Mode::Real).unwrap());
            for (a, b) in flat.values().flatten().zip(looped.values().flatten()) {
                assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{name}: {a} written out, {b} as loops");
            }
            for prefer in [Prefer::Bytes, Prefer::Rounds] {
                let plan = lower::lower(&graph, &sources, lower::Options { prefer, ..Default::default() });
                verify::verify(&plan).unwrap();
                assert_eq!(file::read(&file::write(&plan)).unwrap(), plan, "{name}: the plan file reads back");
                let outcome = lockstep::run(&plan, &data, &mut |_, _, _, _| {}).unwrap();
                let cost = cost::cost(&plan);
                assert_eq!((outcome.bytes_per_link, outcome.rounds), (cost.bytes_per_link, cost.rounds), "{name}");
                assert_eq!(outcome.live_bytes, cost.live_bytes, "{name}");
                if prefer == Prefer::Rounds {
                    for reports in [in_memory(&plan, &data), over_tcp(&plan, &data)] {
                        let counted = reports.each_ref().map(|report| (report.sent, report.rounds, report.live_bytes));
                        let planned = [0, 1, 2].map(|at| (cost.bytes_per_link[at], cost.rounds, cost.live_bytes[at]));
                        assert_eq!(counted, planned, "{name}");
                    }
                }
                for (result, values) in &wanted {
                    for (a, b) in outcome.outputs[result].iter().zip(values) {
                        assert!((a - b).abs() < 2f64.powi(-8), "{name} {result}: {a} instead of {b}");
                    }
                }
            }
        }
    }
    assert!(run >= 5 && large >= 8, "{run} were run, {large} were too large");
}
