//! Nothing is opened that the entry does not declare: counted where it arrives.
//!
//! The transfers that sessions took are held against the entry and the plan. Results are the entry's `reveal`s and go to
//! their receivers. What is opened between the parties is one bit plane under a random bit: three parties send one
//! summand each, all three learn the sum, and the random bit's stream serves this opening alone. Whether an opened
//! value is noise is statistics: [`crate::views`] for each party and for the owners.

use std::collections::{BTreeMap, BTreeSet};

use smlc::graph::{Graph, Op};
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Party, Plan};
use smlc::run::local;
use smlc::run::lockstep::{self, Outcome};

use crate::planted::{keeping, rename, summands, transfer, writer, zero};
use crate::table::{CASES, SMALL, case};
use crate::views::{RUNS, Viewer, test};

/// Compares the results of a run with what the entry reveals, and what was taken with the rules of openings.
fn count(graph: &Graph, plan: &Plan, outcome: &Outcome) -> Result<(), String> {
    results(graph, plan, outcome)?;
    // Every transfer of the plan arrived once, at its receiver, whole; nothing else did.
    let planned = plan.rounds.iter().enumerate().flat_map(|(round, r)| {
        r.sends.iter().enumerate().map(move |(n, s)| ((round, n), (s.to, plan.buf(s.source).wire_bytes(), s.opening)))
    });
    let planned: BTreeMap<_, _> = planned.collect();
    let taken: BTreeMap<_, _> = outcome.taken.iter().map(|t| ((t.round, t.send), (t.by, t.bytes, t.opening))).collect();
    if taken != planned || outcome.taken.len() != planned.len() {
        return Err(format!("{} transfers were taken of {}", outcome.taken.len(), planned.len()));
    }
    let mut openings: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
    for taken in &outcome.taken {
        if let Some(r) = taken.opening {
            openings.entry(r).or_default().push((taken.round, taken.send));
        }
    }
    for (r, taken) in &openings {
        opening(plan, *r, taken).map_err(|what| format!("opening under #{r}: {what}"))?;
    }
    // No message but the summands of its own opening adds the random bit.
    for (number, round) in plan.rounds.iter().enumerate() {
        for send in &round.sends {
            let Some((step, program, output)) = writer(&round.steps, send.source) else { continue };
            for stream in summands(program, output) {
                let id = round.steps[step].streams[usize::from(stream)].id;
                if openings.contains_key(&id) && send.opening != Some(id) {
                    return Err(format!("round {number}: `{}` carries the random bit #{id} of an opening", send.name));
                }
            }
        }
    }
    Ok(())
}

fn results(graph: &Graph, plan: &Plan, outcome: &Outcome) -> Result<(), String> {
    let declared = graph.dag.node_weights().filter_map(|node| match &node.op {
        Op::Reveal { name, to } => Some((name.clone(), format!("{to:?}"), node.ty.shape.clone())),
        _ => None,
    });
    let given = plan.outputs.iter().map(|o| (o.name.clone(), format!("{:?}", o.to), o.shape.clone()));
    let (declared, given): (BTreeSet<_>, Vec<_>) = (declared.collect(), given.collect());
    if declared != given.iter().cloned().collect() || declared.len() != given.len() {
        return Err(format!("the entry reveals {declared:?}, the parties give {given:?}"));
    }
    for half in &outcome.halves {
        let lens: Vec<usize> = half.iter().map(Vec::len).collect();
        let wanted = plan.outputs.iter().map(|o| o.shape.iter().product::<usize>() * plan.format.ring as usize);
        let wanted: Vec<usize> = wanted.map(|bits| bits.div_ceil(8)).collect();
        if lens != wanted {
            return Err(format!("results take {wanted:?} bytes, a party gives {lens:?}"));
        }
    }
    Ok(())
}

/// One plane; each party sends one buffer, which carries its random bit, and learns the others'. P0 may be a round ahead.
fn opening(plan: &Plan, r: u32, taken: &[(usize, usize)]) -> Result<(), String> {
    let sends: Vec<_> = taken.iter().map(|t| &plan.rounds[t.0].sends[t.1]).collect();
    let shape = |s: &smlc::plan::Send| (plan.buf(s.source).planes, plan.buf(s.source).width, plan.buf(s.source).len);
    if sends.iter().any(|s| shape(s) != (1, 1, shape(sends[0]).2)) {
        return Err("more than a plane".to_string());
    }
    let sources: BTreeSet<_> = taken.iter().zip(&sends).map(|(t, s)| (t.0, s.from, s.source)).collect();
    let links: BTreeSet<_> = sends.iter().map(|s| (s.from, s.to)).collect();
    let receivers: BTreeSet<_> = sends.iter().map(|s| s.to).collect();
    if sources.len() != 3 || receivers.len() != 3 || links.len() != sends.len() || !matches!(sends.len(), 3 | 6) {
        return Err(format!("{} summands of {sources:?} go over {links:?}", sends.len()));
    }
    // A summand carries the bit of its sender's own key (6 transfers) or of its next (3).
    let part = u8::from(sends.len() == 3);
    for (round, from, source) in sources {
        let steps = &plan.rounds[round].steps;
        let (step, program, output) = writer(steps, source).ok_or("a summand that no program writes")?;
        let streams = summands(program, output).into_iter().map(|s| steps[step].streams[usize::from(s)]);
        if streams.filter(|s| s.id == r && s.key == from.plus(part).0).count() != 1 {
            return Err(format!("the summand of {from} is without its random bit"));
        }
    }
    Ok(())
}

#[test]
fn nothing_is_opened_but_bits_under_random_bits_and_the_results() {
    let mut opened = 0;
    for case in CASES {
        for prefer in [Prefer::Bytes, Prefer::Rounds] {
            let (graph, plan, data) = (case.graph(SMALL), case.plan(SMALL, prefer), case.data(SMALL, 5));
            let outcome = lockstep::run(&plan, &data, &mut |_, _, _, _| {}).unwrap();
            count(&graph, &plan, &outcome).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            // The parties of a real run count the same.
            let openings = outcome.taken.iter().filter(|t| t.opening.is_some()).count();
            let reports = local::memory(&plan, &data, None, &|_| {}).unwrap().reports;
            let counted: usize = reports.iter().map(|r| r.openings).sum();
            assert_eq!((counted, plan.openings()), (openings, openings), "{}", case.name);
            opened += openings;
        }
    }
    assert!(opened > 100, "{opened}");
}

#[test]
fn an_opening_or_a_result_too_many_is_counted() {
    let case = case("select");
    let graph = case.graph(SMALL);
    let plan = keeping(&case.plan(SMALL, Prefer::Rounds));
    let data = case.data(SMALL, 5);
    let run = |plan: &Plan| {
        let outcome = lockstep::run(plan, &data, &mut |_, _, _, _| {}).unwrap();
        count(&graph, plan, &outcome)
    };
    run(&plan).unwrap();
    let broken = |change: &dyn Fn(&mut Plan)| {
        let mut broken = plan.clone();
        change(&mut broken);
        run(&broken).unwrap_err()
    };
    let at = |plan: &Plan| {
        let opens = |r: &smlc::plan::Round| r.sends.iter().any(|s| s.opening.is_some());
        plan.rounds.iter().position(opens).unwrap()
    };

    let more = broken(&|p| {
        let output = smlc::plan::Output { name: "more".to_string(), ..p.outputs[0].clone() };
        p.outputs.push(output);
    });
    assert!(more.contains("the entry reveals"), "{more}");
    let other = broken(&|p| p.outputs[0].to = p.outputs[1].to);
    assert!(other.contains("the entry reveals"), "{other}");

    // A plane that is sent as an opening without a random bit of its own, and one that claims another's.
    let plane = |p: &Plan| p.rounds[at(p)].sends.iter().find(|s| s.opening.is_some()).cloned().unwrap();
    let undeclared = broken(&|p| {
        let (round, source) = (at(p), plane(p).source);
        transfer(p, round, source, plane(p).to, Some(9999));
    });
    assert!(undeclared.contains("#9999"), "{undeclared}");
    let again = broken(&|p| {
        let (round, send) = (at(p), plane(p));
        transfer(p, round, send.source, send.to, send.opening);
    });
    assert!(again.contains("7 summands"), "{again}");
    // A second plane under the same random bit, as a message that does not say what it is.
    let hidden = broken(&|p| {
        let (round, send) = (at(p), plane(p));
        transfer(p, round, send.source, send.to, None);
    });
    assert!(hidden.contains("carries the random bit"), "{hidden}");
    let bare = broken(&|p| {
        let (round, send) = (at(p), plane(p));
        remove_random_bit(p, round, send.source, send.opening.unwrap());
    });
    assert!(bare.contains("without its random bit"), "{bare}");
}

/// The summand of an opening no longer carries its random bit; the rest of the plan goes on as if it did.
fn remove_random_bit(plan: &mut Plan, round: usize, source: smlc::plan::BufId, r: u32) {
    let (step, ..) = writer(&plan.rounds[round].steps, source).unwrap();
    let step = &mut plan.rounds[round].steps[step];
    for stream in (0..step.streams.len()).filter(|s| step.streams[*s].id == r).collect::<Vec<_>>() {
        zero(step, stream);
    }
}

/// The statistics see an opening without its random bit, and two openings under one, at each party and at the owners.
#[test]
fn opened_secrets_are_seen() {
    let viewers = Party::ALL.map(Viewer::Party).into_iter().chain([Viewer::Owners]);
    // The summands go to everybody, or, of a replicated bit, to one party each.
    for case in ["ReLU", "sign of two bits"].map(case) {
        let plan = case.plan(SMALL, Prefer::Rounds);
        let mut bare = plan.clone();
        for (number, round) in plan.rounds.iter().enumerate() {
            for send in &round.sends {
                if let Some(r) = send.opening {
                    remove_random_bit(&mut bare, number, send.source, r);
                }
            }
        }
        for viewer in viewers.clone() {
            let found = test(case, &bare, viewer, RUNS).unwrap_err();
            assert!(found.contains("open"), "{}, {viewer:?}: {found}", case.name);
        }
    }

    // Two rows' bits: the ReLU's and the revealed one.
    let case = case("sign of two bits");
    let mut common = case.plan(SMALL, Prefer::Rounds);
    let openings: BTreeSet<u32> = common.rounds.iter().flat_map(|r| &r.sends).filter_map(|s| s.opening).collect();
    let openings: Vec<u32> = openings.into_iter().collect();
    assert!(openings.len() >= 2);
    (0..3).for_each(|key| rename(&mut common, key, openings[1], openings[0]));
    for viewer in viewers {
        let found = test(case, &common, viewer, RUNS).unwrap_err();
        assert!(found.contains("open"), "{viewer:?}: {found}");
    }
}

/// Instructions are what is counted above: a plan whose text has no opening has none in its run.
#[test]
fn linear_entries_open_nothing() {
    for case in
        CASES.iter().filter(|c| ["multiply", "convolution", "rearrangement", "public operands"].contains(&c.name))
    {
        let plan = case.plan(SMALL, Prefer::Rounds);
        let outcome = lockstep::run(&plan, &case.data(SMALL, 5), &mut |_, _, _, _| {}).unwrap();
        assert!(outcome.taken.iter().all(|t| t.opening.is_none()), "{}", case.name);
    }
}
