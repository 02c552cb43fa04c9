//! Fused plans send the same words, and draw no other streams.
//!
//! What holds for the messages of a plan whose steps are each one of its protocol, which is what all else here looks at,
//! then holds for those of the plan that runs.

use std::collections::{BTreeMap, BTreeSet};

use smlc::plan::lower::Options;
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Instr, Kernel, Party, Plan, Stream};
use smlc::run::lockstep::{self, Loads};

use crate::streams::random_keys;
use crate::table::{CASES, Case, SIZES, SMALL, case};

/// All that a party sends another in a round; with the number of rounds for the round, halves of outputs.
type Messages = BTreeMap<(usize, Party, Party), Vec<u8>>;

fn messages(plan: &Plan, keys: &[smlc::backend::StreamKey; 3], loads: &Loads) -> Messages {
    let mut messages = Messages::new();
    let mut note = |round: usize, from: Party, to: Party, payload: &[u8]| {
        messages.entry((round, from, to)).or_default().extend(payload);
    };
    let outcome = lockstep::execute(plan, lockstep::devices(keys), loads.clone(), &mut note).unwrap();
    for (party, halves) in [Party(0), Party(1)].into_iter().zip(outcome.halves) {
        messages.insert((plan.rounds.len(), party, party), halves.concat());
    }
    messages
}

/// The planes of streams that each party draws.
fn drawn(plan: &Plan) -> BTreeSet<(Party, u8, u32, u32, u16)> {
    let steps = plan.rounds.iter().flat_map(|round| &round.steps);
    let programs =
        steps.filter_map(|step| if let Kernel::Map(program) = &step.kernel { Some((step, program)) } else { None });
    let draws = programs.flat_map(|(step, program)| {
        program.code.iter().filter_map(|instr| {
            let Instr::Prf { stream, plane } = instr else { return None };
            let Stream { key, id, bits } = step.streams[usize::from(*stream)];
            Some((step.party, key, id, bits, *plane))
        })
    });
    draws.collect()
}

#[test]
fn fused_plans_send_the_same_words() {
    let (mut steps, mut fewer) = (0, 0);
    for case in CASES {
        for (n, prefer) in [(SMALL, Prefer::Bytes), (SIZES[3], Prefer::Rounds)] {
            let plans = compare(case, n, prefer);
            let [alone, fused] = plans.map(|plan| plan.rounds.iter().map(|round| round.steps.len()).sum::<usize>());
            steps += alone;
            fewer += alone - fused;
        }
    }
    assert!(10 * fewer > steps, "{fewer} of {steps} steps are fused with others");
}

/// The plan of a case whose steps are each one of its protocol, and the one that runs.
fn compare(case: &Case, n: usize, prefer: Prefer) -> [Plan; 2] {
    let (alone, fused) = (case.plan(n, prefer), case.lowered(n, Options { prefer, ..Options::default() }));
    let (loads, keys) = (lockstep::share(&alone, &case.data(n, 7)).unwrap(), random_keys());
    let told = messages(&fused, &keys, &loads) == messages(&alone, &keys, &loads);
    assert!(told, "{}, n = {n}: other words", case.name);
    assert!(drawn(&fused).is_subset(&drawn(&alone)), "{}, n = {n}: other streams", case.name);
    [alone, fused]
}

#[test]
fn programs_beside_parts_of_large_tensors_send_the_same_words() {
    let n = 6 * (1 << 14) + 70;
    let [alone, fused] = compare(case("ReLU6 of a sum"), n, Prefer::Bytes);
    // Programs without a part of their own, for all elements.
    let whole = |plan: &Plan| {
        let steps = plan.rounds.iter().flat_map(|round| &round.steps);
        let whole = steps.filter(|step| plan.buf(step.outs[0]).len == n);
        let names: BTreeSet<&str> = whole.map(|step| step.kernel.name()).collect();
        names.into_iter().map(str::to_string).collect::<Vec<_>>()
    };
    // What is masked as one becomes one with its mask.
    assert_eq!(whole(&alone), ["add", "negate", "output.p0", "output.p1"]);
    assert_eq!(whole(&fused), ["negate+output.p0", "negate+output.p1"]);
}
