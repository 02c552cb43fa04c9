//! Mistakes planted in plans, which run unverified: the statistics of [`crate::views`] find every one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{BufId, Instr, Kernel, Party, Plan, Program, Send, Step};

use crate::table::{Case, SMALL, case};
use crate::views::{Viewer, test};

/// Runs for each secret.
const RUNS: usize = if cfg!(debug_assertions) { 512 } else { 2048 };

/// The rows in which masks are planted: every protocol occurs, at widths from 2 bits to 64. Where the sign is of an input,
/// V is constant in a view, so that a message that lost its mask is a sum of others, which rank finds for sure; where it
/// is of a product, V is drawn with the view, and what is left is a bias.
fn rows() -> &'static [&'static str] {
    let all = &["sign of two bits", "multiply", "multiply and truncate", "eight bits", "ReLU"];
    if cfg!(debug_assertions) { &all[..2] } else { all }
}

/// A stream that a message's receiver lacks, added to the message by the step that writes it.
#[derive(Clone, Debug)]
struct Mask {
    what: String,
    to: Party,
    round: usize,
    step: usize,
    /// Number among the step's streams.
    stream: usize,
    key: u8,
    id: u32,
    /// Bits of an element and elements.
    shape: (u32, usize),
}

/// Streams of which an output of a program is a sum.
pub fn summands(program: &Program, output: usize) -> Vec<u16> {
    let mut stack: Vec<_> = program
        .code
        .iter()
        .filter_map(|instr| match instr {
            Instr::Out { output: o, value, .. } if usize::from(*o) == output => Some(*value),
            _ => None,
        })
        .collect();
    let mut streams = Vec::new();
    while let Some(reg) = stack.pop() {
        match program.code[usize::from(reg.0)] {
            Instr::Prf { stream, .. } => streams.push(stream),
            Instr::Add(a, b) | Instr::Sub(a, b) | Instr::Xor(a, b) => stack.extend([a, b]),
            _ => {}
        }
    }
    streams.sort_unstable();
    streams.dedup();
    streams
}

/// The element program that writes a buffer.
pub fn writer(steps: &[Step], buf: BufId) -> Option<(usize, &Program, usize)> {
    steps.iter().enumerate().find_map(|(at, step)| {
        let output = step.outs.iter().position(|o| *o == buf)?;
        if let Kernel::Map(program) = &step.kernel { Some((at, &**program, output)) } else { None }
    })
}

/// Masks of all messages but openings, which the tests of openings break.
fn masks(plan: &Plan) -> Vec<Mask> {
    let mut found = Vec::new();
    for (number, round) in plan.rounds.iter().enumerate() {
        for send in round.sends.iter().filter(|s| s.opening.is_none()) {
            let (at, program, output) = writer(&round.steps, send.source).unwrap();
            for stream in summands(program, output).into_iter().map(usize::from) {
                let drawn = round.steps[at].streams[stream];
                if send.to.holds_key(drawn.key) {
                    continue;
                }
                let what = format!(
                    "round {number}: {} -> {} `{}`, k{}#{}",
                    send.from, send.to, send.name, drawn.key, drawn.id
                );
                let shape = (drawn.bits, plan.buf(send.source).len);
                let (key, id) = (drawn.key, drawn.id);
                found.push(Mask { what, to: send.to, round: number, step: at, stream, key, id, shape });
            }
        }
    }
    found
}

/// The stream is zero wherever a step draws it.
pub fn zero(step: &mut Step, stream: usize) {
    let Kernel::Map(program) = &mut step.kernel else { panic!("only element programs draw streams") };
    for instr in &mut Arc::make_mut(program).code {
        if matches!(instr, Instr::Prf { stream: s, .. } if usize::from(*s) == stream) {
            *instr = Instr::Imm(0);
        }
    }
}

/// A stream becomes another one wherever it is drawn.
pub fn rename(plan: &mut Plan, key: u8, from: u32, to: u32) {
    let streams = plan.rounds.iter_mut().flat_map(|r| &mut r.steps).flat_map(|s| &mut s.streams);
    streams.filter(|s| s.key == key && s.id == from).for_each(|s| s.id = to);
}

fn expect(case: &Case, broken: &Plan, to: Party, what: &str) {
    // Most mistakes show in a few runs.
    let found = [RUNS / 4, RUNS].into_iter().any(|runs| test(case, broken, Viewer::Party(to), runs).is_err());
    assert!(found, "{}: {what} was not found", case.name);
}

#[test]
fn every_mask_that_is_removed_is_missed() {
    let mut tried = 0;
    for case in rows().iter().map(|name| case(name)) {
        let plan = case.plan(SMALL, Prefer::Rounds);
        for mask in masks(&plan) {
            let mut broken = plan.clone();
            zero(&mut broken.rounds[mask.round].steps[mask.step], mask.stream);
            expect(case, &broken, mask.to, &format!("{} removed", mask.what));
            tried += 1;
        }
    }
    assert!(tried >= if cfg!(debug_assertions) { 15 } else { 40 }, "{tried} masks tried");
}

#[test]
fn every_mask_that_the_receiver_knows_is_found() {
    for case in rows().iter().map(|name| case(name)) {
        let plan = case.plan(SMALL, Prefer::Rounds);
        for mask in masks(&plan) {
            let mut broken = plan.clone();
            let step = &mut broken.rounds[mask.round].steps[mask.step];
            // The sender's other key is the receiver's as well.
            let other = (0..3).find(|k| *k != mask.key && step.party.holds_key(*k)).unwrap();
            assert!(mask.to.holds_key(other));
            step.streams[mask.stream].key = other;
            expect(case, &broken, mask.to, &format!("{} under k{other}", mask.what));
        }
    }
}

/// Each mask replaced by another one towards the same receiver.
#[test]
fn every_mask_that_serves_two_messages_is_found() {
    let mut tried = 0;
    for case in rows().iter().map(|name| case(name)) {
        let plan = case.plan(SMALL, Prefer::Rounds);
        let mut alike: BTreeMap<_, Vec<Mask>> = BTreeMap::new();
        for mask in masks(&plan) {
            alike.entry((mask.to, mask.key, mask.shape)).or_default().push(mask);
        }
        for pair in alike.values().flat_map(|masks| masks.windows(2)).filter(|pair| pair[0].id != pair[1].id) {
            let mut broken = plan.clone();
            rename(&mut broken, pair[1].key, pair[1].id, pair[0].id);
            expect(case, &broken, pair[1].to, &format!("{} with the mask of {}", pair[1].what, pair[0].what));
            tried += 1;
        }
    }
    assert!(tried >= if cfg!(debug_assertions) { 5 } else { 15 }, "{tried} pairs tried");
}

/// A copy of a plan in which no buffer is freed.
pub fn keeping(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for round in &mut plan.rounds {
        round.steps.iter_mut().for_each(|s| s.free.clear());
        round.sends.iter_mut().for_each(|s| s.free.clear());
    }
    plan
}

/// Adds a transfer of a buffer of `from`.
pub fn transfer(plan: &mut Plan, round: usize, source: BufId, to: Party, opening: Option<u32>) {
    let from = plan.buf(source).party;
    let target = BufId(plan.bufs.len() as u32);
    plan.bufs.push(smlc::plan::Buf { party: to, ..plan.buf(source).clone() });
    let name = "undeclared".to_string();
    plan.rounds[round].sends.push(Send { from, to, source, target, name, opening, span: None, free: Vec::new() });
}

/// A share that its receiver lacks, and a message sent on: neither is declared anywhere, and each is seen.
#[test]
fn undeclared_transfers_are_found() {
    let case = case("ReLU of a product");
    let plan = keeping(&case.plan(SMALL, Prefer::Rounds));
    for party in Party::ALL {
        let mut broken = plan.clone();
        let share = plan.inputs[0].bufs[1][party.index()];
        transfer(&mut broken, 0, share, party.plus(2), None);
        expect(case, &broken, party.plus(2), "a share sent in the clear");
    }
    let last = plan.rounds.len() - 1;
    for (round, send) in plan.rounds.iter().enumerate().flat_map(|(r, round)| round.sends.iter().map(move |s| (r, s))) {
        let third = Party(3 - send.from.0 - send.to.0);
        if send.opening.is_some() {
            continue;
        }
        // The third party may have received this very message, which tells it nothing the second time.
        let again = plan.rounds[round].sends.iter().any(|s| s.source == send.source && s.to == third);
        let mut broken = plan.clone();
        transfer(&mut broken, last, send.source, third, None);
        assert!(!again, "{send:?}");
        expect(case, &broken, third, &format!("`{}` of round {round} sent to {third}", send.name));
    }
}

#[test]
fn outputs_without_a_mask_or_with_a_common_one_are_found() {
    let case = case("share and reveal");
    let plan = case.plan(SMALL, Prefer::Rounds);
    for viewer in [Viewer::Party(Party(2)), Viewer::Owners] {
        let mut bare = plan.clone();
        let steps = bare.rounds.iter_mut().flat_map(|r| &mut r.steps);
        steps.filter(|s| s.outs.iter().any(|o| plan.outputs[1].bufs.contains(o))).for_each(|s| zero(s, 0));
        let found = test(case, &bare, viewer, RUNS).unwrap_err();
        assert!(found.contains("half of output `e`"), "{found}");

        let mut common = plan.clone();
        let mask = |output: usize| {
            let buf = plan.outputs[output].bufs[0];
            let (step, ..) = writer(&plan.rounds[0].steps, buf).unwrap();
            plan.rounds[0].steps[step].streams[0].id
        };
        rename(&mut common, 1, mask(2), mask(1));
        let found = test(case, &common, viewer, RUNS).unwrap_err();
        assert!(found.contains("half of output"), "{found}");
    }
}
