//! Mistakes planted in every primitive: the comparison of [`crate::property`] finds them.
//!
//! Plans run unverified here; what `plan::verify` refuses is counted beside. What no comparison can find stands in
//! [`EQUIVALENT`] with a reason.
#![allow(clippy::print_stdout, reason = "says how much was tried")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use smlc::backend::cpu::Cpu;
use smlc::backend::{Around, Backend, BackendError, Launch, StreamKey};
use smlc::graph::eval;
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Kernel, Party, Plan, Program, lower, verify};
use smlc::run::lockstep::Loads;

use crate::live::{self, Live};
use crate::mutate::{self, KINDS, Mistake, kind};
use crate::run::{devices, keys, run, share};
use crate::table::{Data, Draw, FORMATS, Instance, Random, operators};

/// Draws of each operator in each format.
const DRAWS: u64 = 2;
/// Formats that are planted in.
const PLANTED: usize = if cfg!(debug_assertions) { 1 } else { 2 };
/// Mistakes in the instructions of an element program at a party.
const MOST: usize = if cfg!(debug_assertions) { 2 } else { 24 };
/// Programs of one name that are tried at a party.
const VARIANTS: usize = if cfg!(debug_assertions) { 1 } else { 2 };
/// Plans in which a mistake is looked for.
const TRIES: usize = 160;

/// Plans that are tried again with other data of the same shapes, and how often, when none of them has found a mistake: a
/// function of a block, say, is of inputs that few elements have.
const AGAIN: (usize, u64) = (6, 16);

/// An operator's instance with its plan and what it has to compute.
struct Sample {
    operator: &'static str,
    /// The instance with data of another seed.
    draw: Box<dyn Fn(u64) -> Instance + Send + Sync>,
    instance: Instance,
    real: Data,
    plan: Plan,
    live: Live,
    seed: u64,
    /// Shares of the instance's data.
    loads: Loads,
    /// A hash of all that is sent.
    sent: u64,
}

impl Sample {
    fn new(operator: &'static str, draw: Box<dyn Fn(u64) -> Instance + Send + Sync>, seed: u64) -> Sample {
        let instance = draw(seed);
        let (graph, sources) = instance.compile().unwrap();
        let prefer = [Prefer::Rounds, Prefer::Bytes, Prefer::Time { bits: 1 << 20 }][(seed % 3) as usize];
        // Each step by itself: `--test primitives` has them send the same when they are fused.
        let plan = lower::lower(&graph, &sources, lower::Options { prefer, fused: false, ..Default::default() });
        let real = eval::results(&graph, &instance.data, eval::Mode::Real).unwrap();
        let (live, loads) = (Live::of(&plan), share(&plan, &instance.data, seed));
        let mut sample = Sample { operator, draw, instance, real, live, plan, seed, loads, sent: 0 };
        sample.sent = sample.check(&sample.plan).unwrap_or_else(|e| panic!("{operator}: {e}"));
        sample
    }

    /// Whether the comparison finds a broken plan wrong with other data and keys; the right one is right with them.
    fn finds_with(&self, seed: u64, broken: &Plan) -> Option<String> {
        let instance = (self.draw)(seed);
        if instance.text != self.instance.text {
            return None; // Other shapes, another plan.
        }
        let (graph, _) = instance.compile().unwrap();
        let real = eval::results(&graph, &instance.data, eval::Mode::Real).unwrap();
        let check = |plan: &Plan| {
            let devices = devices(&keys(seed), |party, keys| Cpu::new(party, keys.clone()));
            let (outcome, _) = run(plan, devices, share(plan, &instance.data, seed)).map_err(|e| e.to_string())?;
            instance.compare(&outcome.outputs)?;
            instance.compare_with(&outcome.outputs, &real)
        };
        let what = check(broken).err()?;
        check(&self.plan).unwrap_or_else(|e| panic!("{} with seed {seed}: {e}", self.operator));
        Some(what)
    }

    /// What the comparison says of a plan; if nothing, a hash of all that was sent.
    fn check(&self, plan: &Plan) -> Result<u64, String> {
        self.check_on(plan, devices(&keys(self.seed), |party, keys| Cpu::new(party, keys.clone())))
    }

    /// The same on other devices.
    fn check_on<B: Backend>(&self, plan: &Plan, devices: [B; 3]) -> Result<u64, String> {
        let (outcome, sent) = run(plan, devices, self.loads.clone()).map_err(|e| e.to_string())?;
        self.instance.compare(&outcome.outputs)?;
        self.instance.compare_with(&outcome.outputs, &self.real)?;
        Ok(sent)
    }
}

/// Instances of every operator, those with the fewest steps an element first.
fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    for (number, operator) in operators().enumerate() {
        for format in operator.formats().filter(|f| FORMATS[..PLANTED].contains(f)) {
            for seed in 0..DRAWS {
                let mut random = Random(seed * 1000 + number as u64);
                let choices: Vec<u16> = (0..12).map(|_| random.next() as u16).collect();
                let draw = move |seed| (operator.draw)(&mut Draw::new(format, choices.clone(), seed));
                all.push(Sample::new(operator.name, Box::new(draw), seed));
            }
        }
    }
    let work = |s: &Sample| {
        let elements: usize = s.instance.data.values().map(Vec::len).sum();
        s.plan.rounds.iter().map(|r| r.steps.len()).sum::<usize>() * 1000 / elements
    };
    all.sort_by_key(work);
    all
}

/// A kernel, the number of its operands, and the samples that have it.
type Places<'s> = (&'s Kernel, usize, Vec<usize>);
/// An element program's name and party, and for each of that name the samples that have it.
type Programs<'s> = BTreeMap<(&'s str, Party), BTreeMap<&'s Program, Vec<usize>>>;

/// What is planted, and in which samples it has a place.
fn mistakes(samples: &[Sample]) -> Vec<(Mistake, Vec<usize>)> {
    let mut programs = Programs::new();
    let mut kernels: BTreeMap<&str, Vec<Places>> = BTreeMap::new();
    let mut messages: BTreeMap<(&str, Party, Party), Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        for round in &sample.plan.rounds {
            for step in &round.steps {
                if let Kernel::Map(program) = &step.kernel {
                    programs.entry((&program.name, step.party)).or_default().entry(program).or_default().push(at);
                    continue;
                }
                let alike = kernels.entry(kind(&step.kernel)).or_default();
                match alike.iter_mut().find(|(kernel, ..)| **kernel == step.kernel) {
                    Some((.., found)) => found.push(at),
                    None => alike.push((&step.kernel, step.ins.len(), vec![at])),
                }
            }
            for send in &round.sends {
                messages.entry((&send.name, send.from, send.to)).or_default().push(at);
            }
        }
    }
    let mut all = Vec::new();
    let mut add = |mistakes: Vec<Mistake>, places: &[usize]| {
        let mut places = places.to_vec();
        places.dedup();
        all.extend(mistakes.into_iter().map(|mistake| (mistake, places.clone())));
    };
    for ((_, party), variants) in &programs {
        let mut variants: Vec<_> = variants.iter().collect();
        // What most plans have.
        variants.sort_by_key(|(_, places)| std::cmp::Reverse(places.len()));
        for (program, places) in variants.into_iter().take(VARIANTS) {
            add(mutate::of_program(*party, program, MOST), places);
            add(vec![Mistake::Added { party: *party, program: (*program).clone() }], places);
        }
    }
    for variants in kernels.values() {
        for (kernel, operands, places) in variants.iter().step_by(variants.len().div_ceil(8)) {
            add(mutate::of_kernel(kernel, *operands), places);
        }
    }
    for ((name, from, to), places) in &messages {
        add(mutate::of_message(name, *from, *to).into(), places);
    }
    all
}

/// What became of a mistake.
struct Verdict {
    /// The operator whose comparison found it, and what it said.
    found: Option<(&'static str, String)>,
    /// Whether `plan::verify` refuses the plan.
    refused: bool,
    /// Whether any plan has a place for it.
    planted: bool,
    /// Whether the program or kernel computes the same with it, or nobody sends another word in any plan.
    same: bool,
    /// Operators that were tried.
    tried: Vec<&'static str>,
    /// Whether it is in operators alone whose results chance decides.
    chance: bool,
}

fn judge(samples: &[Sample], mistake: &Mistake, places: &[usize]) -> Verdict {
    let mut verdict =
        Verdict { found: None, refused: false, planted: false, same: false, tried: Vec::new(), chance: false };
    let live = || places.iter().map(|at| &samples[*at]).filter(|s| s.live.has(&s.plan, mistake));
    // One plan of each operator, then the others.
    let mut operators = BTreeSet::new();
    let (mut first, rest): (Vec<&Sample>, Vec<&Sample>) = live().partition(|s| operators.insert(s.operator));
    first.extend(rest);
    verdict.tried = operators.into_iter().collect();
    verdict.chance = first.iter().all(|s| s.instance.by_chance());
    let mut unchanged = true;
    for sample in first.iter().take(TRIES) {
        let Some(broken) = mistake.plant(&sample.plan) else { continue };
        if !verdict.planted {
            verdict.refused = verify::verify(&broken).is_err();
            verdict.planted = true;
        }
        match sample.check(&broken) {
            Ok(sent) => unchanged &= sent == sample.sent,
            Err(what) => {
                verdict.found = Some((sample.operator, what));
                return verdict;
            }
        }
    }
    verdict.same = verdict.planted
        && match mistake {
            Mistake::Instr { program, at, to, .. } => live::same(program, *at, *to, first[0].plan.format.ring),
            Mistake::Kernel { .. } | Mistake::Operands { .. } => {
                first.iter().all(|s| mistake.plant(&s.plan).is_none_or(|broken| live::same_step(&s.plan, &broken)))
            }
            _ => false,
        };
    verdict.same |= verdict.planted && unchanged;
    if verdict.planted && !verdict.same && !verdict.chance && excused(mistake).is_none() {
        let (plans, times) = AGAIN;
        let found = (0..times)
            .flat_map(|time| first.iter().take(plans).map(move |sample| (sample, 100 + time)))
            .find_map(|(sample, seed)| {
                let what = sample.finds_with(seed, &mistake.plant(&sample.plan)?)?;
                Some((sample.operator, what))
            });
        verdict.found = found;
    }
    verdict
}

/// `f` of each, on all processors, in order.
fn parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else { return mine };
                mine.push((at, f(item)));
            }
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Mistakes that the comparison cannot find, by primitive and how they are told, with the reason.
const EQUIVALENT: &[(&str, &str, &str)] = &[
    ("program exp.u", "P0 #19: Mul(Reg(18), Reg(5)) -> Mul(Reg(18), Reg(18))", SMALL),
    ("program exp.u", "P0 #22: Add(Reg(20), Reg(21)) -> Add(Reg(20), Reg(20))", SMALL),
    ("program exp.u", "P0 #28: Shr(Reg(27), 16) -> Shr(Reg(27), 17)", SMALL),
];
const SMALL: &str = "a term of a high power, below the documented error";
/// Element programs that no row has.
const ABSENT: &[(&str, &str)] = &[(
    "program broadcast",
    "no row compares, or multiplies as a matrix, what was broadcast and is no result of anything",
)];
/// So many of a thousand mistakes that are found may be missed. Slices have few elements, and most functions of a block are of
/// inputs that few elements have: more samples a primitive would find more.
const MISSED: usize = 30;

fn excused(mistake: &Mistake) -> Option<usize> {
    let (primitive, what) = (mistake.primitive(), mistake.what());
    EQUIVALENT.iter().position(|(p, w, _)| primitive == *p && what.starts_with(w))
}

/// Names of element programs that the protocols are written with.
fn written() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in crate::files::all(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan")) {
        let text = std::fs::read_to_string(path).unwrap();
        let calls = ["ring_map(", "plane_map(", "each_share(", "each_summand("];
        for call in calls.into_iter().flat_map(|call| text.split(call).skip(1)) {
            let arguments = call.split(';').next().unwrap();
            let words = arguments.split('"').skip(1).step_by(2);
            let names_of = words.filter(|w| w.chars().all(|c| c.is_ascii_lowercase() || "._0123456789".contains(c)));
            names.extend(names_of.map(|name| format!("program {name}")));
        }
    }
    names
}

#[test]
fn mistakes_in_every_primitive_are_found() {
    let samples = samples();
    let mistakes = mistakes(&samples);
    let verdicts = parallel(&mistakes, |(mistake, places)| judge(&samples, mistake, places));
    let (mut found, mut refused, mut unread, mut same, mut chance) = (0, 0, 0, 0, 0);
    let mut primitives: BTreeMap<String, usize> = BTreeMap::new();
    let mut misses: BTreeMap<String, usize> = BTreeMap::new();
    let mut missed = Vec::new();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for ((mistake, _), verdict) in mistakes.iter().zip(&verdicts) {
        if !verdict.planted {
            unread += 1;
            continue;
        }
        let told = format!("{}: {}", mistake.primitive(), mistake.what());
        refused += usize::from(verdict.refused);
        let count = primitives.entry(mistake.primitive()).or_default();
        let excuse = excused(mistake);
        used.extend(excuse);
        match &verdict.found {
            Some((operator, what)) => {
                found += 1;
                *count += 1;
                if excuse.is_some() {
                    wrong.push(format!("{told} is excused and found by {operator}: {what}"));
                }
            }
            None if excuse.is_some() => {}
            None if verdict.same => same += 1,
            None if verdict.chance => chance += 1,
            None => {
                let refused = if verdict.refused { " though `plan::verify` refuses it" } else { "" };
                missed.push(format!("{told} is not found{refused}: {}", verdict.tried.join(", ")));
                *misses.entry(mistake.primitive()).or_default() += 1;
            }
        }
    }
    println!(
        "{} plans, {} mistakes in {} primitives: {found} found by comparison; {same} change no word, {chance} change \
         what chance decides, {} are excused, {} are missed, {unread} are in what nobody reads; `plan::verify` refuses \
         {refused}",
        samples.len(),
        mistakes.len(),
        primitives.len(),
        used.len(),
        missed.len()
    );
    println!("{}", missed.join("\n"));
    if missed.len() * 1000 > MISSED * found {
        wrong.push(format!("{} are missed", missed.len()));
    }
    for (primitive, found) in &primitives {
        if *found < 2 * misses.get(primitive).copied().unwrap_or(0) {
            wrong.push(format!("of the mistakes in {primitive} {found} are found and {} missed", misses[primitive]));
        }
    }
    wrong.extend(
        (0..EQUIVALENT.len()).filter(|at| !used.contains(at)).map(|at| format!("{:?} is idle", EQUIVALENT[at])),
    );
    wrong.extend(primitives.iter().filter(|(_, n)| **n == 0).map(|(p, _)| format!("no mistake in {p} is found")));
    let names = written();
    assert!(names.len() > 50, "{names:?}");
    wrong.extend(
        names
            .iter()
            .filter(|n| primitives.contains_key(*n) == ABSENT.iter().any(|(name, _)| name == n))
            .map(|n| format!("{n} is in no plan, or in one in spite of `ABSENT`")),
    );
    wrong.extend(
        KINDS
            .iter()
            .filter(|k| **k != "Map" && !primitives.contains_key(&format!("kernel {k}")))
            .map(|k| format!("no plan has {k}")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Flips bits of one element of a result of a launch.
fn damage(device: &mut Cpu, launch: &Launch<'_>, random: &mut Random) -> Result<(), BackendError> {
    let id = launch.outs[random.below(launch.outs.len())];
    let buf = &launch.bufs[id.index()];
    let (plane, element) = (random.below(buf.planes), random.below(buf.len));
    let noise = random.next();
    device.write(buf.storage(id).0, &mut |words| {
        if buf.width == 1 {
            words[plane * buf.stride() + element / 64] ^= 1 << (element % 64);
        } else {
            words[buf.storage(id).1 + element] ^= noise;
        }
    })
}

/// Damage to one element of a result, tried so often for each kernel.
const DAMAGES: usize = if cfg!(debug_assertions) { 40 } else { 400 };

#[test]
fn damage_by_every_kernel_is_found() {
    let samples = samples();
    let mut told = Vec::new();
    for wanted in KINDS {
        // Launches of that kind whose results are read, by sample and party.
        let launches = |sample: &Sample, party: Party| {
            let steps = sample.plan.rounds.iter().flat_map(|r| &r.steps).zip(sample.live.steps());
            let mine = steps.filter(|(step, _)| step.party == party && kind(&step.kernel) == wanted);
            let read = |(at, (_, live)): (usize, (_, &Vec<bool>))| live.iter().all(|live| *live).then_some(at + 1);
            mine.enumerate().filter_map(read).collect::<Vec<_>>()
        };
        let places: Vec<(&Sample, Party, Vec<usize>)> = samples
            .iter()
            .filter(|s| !s.instance.by_chance())
            .flat_map(|s| Party::ALL.map(|party| (s, party, launches(s, party))))
            .filter(|(.., launches)| !launches.is_empty())
            .collect();
        assert!(!places.is_empty(), "no plan has {wanted}");
        let tries: Vec<usize> = (0..DAMAGES).collect();
        let found = parallel(&tries, |seed| {
            let mut random = Random(*seed as u64);
            let (sample, party, launches) = &places[random.below(places.len())];
            let spared = launches[random.below(launches.len())];
            let device = |at: Party, keys: &[StreamKey; 2]| {
                // Launches of that kind that are left until the one that is damaged.
                let (mut left, mut random) = (if at == *party { spared } else { 0 }, random.clone());
                let launch = move |device: &mut Cpu, launch: Launch<'_>| {
                    device.launch(launch)?;
                    if kind(launch.kernel) == wanted && left > 0 {
                        left -= 1;
                        if left == 0 {
                            return damage(device, &launch, &mut random);
                        }
                    }
                    Ok(())
                };
                Around { inner: Cpu::new(at, keys.clone()), launch }
            };
            sample.check_on(&sample.plan, devices(&keys(sample.seed), device)).is_err()
        });
        let count = found.iter().filter(|found| **found).count();
        told.push(format!("{wanted} {count}"));
        assert!(count > 0, "damage by {wanted} is never found");
    }
    println!("damage to one element is found, of {DAMAGES} times: {}", told.join(", "));
}
