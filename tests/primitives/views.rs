//! Masking: what each party receives is uniform and tells nothing, whatever the secret.
//!
//! A party's two keys and its shares of the inputs are held fixed, the share that it lacks is what the secret demands,
//! and the key that it lacks is drawn anew for each run. So everything that the party could subtract from a message is
//! a constant here, and a mask that it knows is no mask. The received bits, with the opened values and, at P2, P0's
//! halves of the outputs, must then be jointly uniform for every secret: see [`crate::statistics`].
//!
//! The mistakes that this finds are in [`crate::planted`].

use std::collections::BTreeMap;

use smlc::graph::{NodeId, eval};
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{Party, Plan};
use smlc::run::{lockstep, owner};

use crate::random::Random;
use crate::statistics::{Field, Sample, check};
use crate::table::{CASES, Case, Data, SMALL};

/// Runs for each secret: more than there are received bits in most cases. Builds without optimisation see gross mistakes.
pub const RUNS: usize = if cfg!(debug_assertions) { 256 } else { 2048 };
/// The secrets: all zeros, and drawn ones.
pub const SECRETS: [u64; 2] = [0, 5];

/// Whose view is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A party, which holds what it holds.
    Party(Party),
    /// All owners together: they know the shares of all inputs and no key. What is opened, and the halves of the outputs.
    Owners,
}

impl Viewer {
    fn has_key(self, key: u8) -> bool {
        matches!(self, Viewer::Party(party) if party.holds_key(key))
    }

    /// The halves of outputs that are seen: P2's are those that it could see with a receiver's help and not compute.
    fn halves(self) -> std::ops::Range<usize> {
        match self {
            Viewer::Party(Party(2)) => 0..1,
            Viewer::Party(_) => 0..0,
            Viewer::Owners => 0..2,
        }
    }

    /// The share that makes up the value, the others being the same in every run.
    fn rest(self) -> u8 {
        self.party().map_or(2, |party| party.plus(2).0)
    }

    fn party(self) -> Option<Party> {
        match self {
            Viewer::Party(party) => Some(party),
            Viewer::Owners => None,
        }
    }
}

/// The owners' data as words of the ring, by input.
fn encoded(plan: &Plan, data: &Data) -> Vec<Vec<u64>> {
    let clear = owner::clear_graph(plan).unwrap();
    plan.inputs.iter().map(|i| eval::encoded(&clear, data, NodeId::new(i.node as usize)).unwrap()).collect()
}

/// Shares of the words, the same in every run: `rest` makes up the value, the others are drawn.
fn shares(plan: &Plan, words: &[Vec<u64>], rest: u8, held: &mut Random) -> lockstep::Loads {
    let mut loads = lockstep::Loads::default();
    let mask = u64::MAX >> (64 - plan.format.ring);
    for (input, words) in plan.inputs.iter().zip(words) {
        let mut all = [(); 3].map(|()| vec![0; words.len()]);
        for (e, word) in words.iter().enumerate() {
            let mut left = *word;
            for j in (0..3).filter(|j| *j != rest) {
                all[usize::from(j)][e] = held.next() & mask;
                left = left.wrapping_sub(all[usize::from(j)][e]);
            }
            all[usize::from(rest)][e] = left & mask;
        }
        for party in Party::ALL {
            let load = &mut loads[party.index()];
            if input.owner.is_none() {
                load.push((input.bufs[0][party.index()], words.clone()));
                continue;
            }
            for part in 0..2u8 {
                load.push((input.bufs[usize::from(part)][party.index()], all[party.plus(part).index()].clone()));
            }
        }
    }
    loads
}

/// What the viewer sees, in the order of the bytes of a row.
struct Layout {
    fields: Vec<Field>,
    /// Openings by stream, in the order of their fields.
    openings: Vec<u32>,
}

fn layout(plan: &Plan, viewer: Viewer) -> Layout {
    let mut fields = Vec::new();
    let mut add = |name: String, buf: &smlc::plan::Buf, free: bool| {
        let (bits, width) = (buf.len * buf.width as usize, buf.width as usize);
        for plane in 0..buf.planes {
            fields.push(Field { name: format!("{name} (plane {plane})"), bits, width, free });
        }
    };
    let mut openings = BTreeMap::new();
    let sends = || plan.rounds.iter().enumerate().flat_map(|(r, round)| round.sends.iter().map(move |s| (r, s)));
    // The last summand of an opened value that arrives is a function of the value and the rest.
    let mut last: BTreeMap<u32, usize> = BTreeMap::new();
    let mine = |send: &smlc::plan::Send| Some(send.to) == viewer.party();
    for (at, (_, send)) in in_order(sends()).enumerate() {
        let Some(r) = send.opening else { continue };
        openings.insert(r, plan.buf(send.source));
        if mine(send) {
            last.insert(r, at);
        }
    }
    for (at, (round, send)) in in_order(sends()).enumerate().filter(|(_, (_, s))| mine(s)) {
        let name = format!("round {round}: {} -> {} `{}`", send.from, send.to, send.name);
        add(name, plan.buf(send.source), send.opening.is_none_or(|r| last[&r] != at));
    }
    for (r, buf) in &openings {
        add(format!("the value opened under #{r}"), buf, true);
    }
    // The second halves are the results without the first.
    for half in viewer.halves() {
        for output in &plan.outputs {
            add(
                format!("{} of output `{}`", ["first half", "second half"][half], output.name),
                plan.buf(output.bufs[half]),
                half == 0,
            );
        }
    }
    Layout { fields, openings: openings.into_keys().collect() }
}

/// The order in which the rounds deliver: by sender, then receiver.
fn in_order<'p>(
    sends: impl Iterator<Item = (usize, &'p smlc::plan::Send)>,
) -> impl Iterator<Item = (usize, &'p smlc::plan::Send)> {
    let mut all: Vec<_> = sends.collect();
    all.sort_by_key(|(round, s)| (*round, s.from, s.to));
    all.into_iter()
}

/// What the viewer sees in `runs` runs.
pub fn sample(plan: &Plan, data: &Data, viewer: Viewer, runs: usize, seed: u64) -> Sample {
    let words = encoded(plan, data);
    let Layout { fields, openings } = layout(plan, viewer);
    let mut fresh = Random(seed ^ 0x5eed);
    let mut parties =
        lockstep::Parties::new(plan, lockstep::devices(&[fresh.key(), fresh.key(), fresh.key()])).unwrap();
    let row = |_| {
        // Held numbers are the same in every run and for every secret.
        let mut held = Random(41);
        let held_keys = [held.key(), held.key(), held.key()];
        let keys = [0, 1, 2u8].map(|j| if viewer.has_key(j) { held_keys[usize::from(j)].clone() } else { fresh.key() });
        let loads = shares(plan, &words, viewer.rest(), &mut held);
        let mut row = Vec::new();
        let mut summands: BTreeMap<u32, [Option<Vec<u8>>; 3]> = BTreeMap::new();
        parties.again(&keys).unwrap();
        let outcome = parties.run(loads, &mut |round, from, to, payload| {
            if Some(to) == viewer.party() {
                row.extend_from_slice(payload);
            }
            let mut at = 0;
            for send in plan.rounds[round].sends.iter().filter(|send| send.from == from && send.to == to) {
                let bytes = plan.buf(send.source).wire_bytes();
                if let Some(r) = send.opening {
                    let summand = &mut summands.entry(r).or_default()[from.index()];
                    summand.get_or_insert_with(|| payload[at..at + bytes].to_vec());
                }
                at += bytes;
            }
        });
        let outcome = outcome.unwrap();
        for r in &openings {
            let mut sum: Vec<u8> = Vec::new();
            for summand in summands[r].iter().flatten() {
                sum.resize(summand.len(), 0);
                sum.iter_mut().zip(summand).for_each(|(a, b)| *a ^= b);
            }
            row.extend(sum);
        }
        viewer.halves().for_each(|half| row.extend(outcome.halves[half].concat()));
        row
    };
    Sample { rows: (0..runs).map(row).collect(), fields }
}

/// Samples a view with each secret and tests it.
pub fn test(case: &Case, plan: &Plan, viewer: Viewer, runs: usize) -> Result<(), String> {
    let view = |secret: &u64| sample(plan, &case.data(SMALL, *secret), viewer, runs, secret * 3 + 1);
    let samples: Vec<Sample> = SECRETS.iter().map(view).collect();
    if samples[0].fields.is_empty() { Ok(()) } else { check(&samples) }
}

/// The other choice of blocks is tried on one row: it changes the sizes of the messages of a sign, and nothing else.
fn every_case(viewer: Viewer) {
    for case in CASES {
        let both = case.name == "sign";
        for prefer in [Prefer::Rounds, Prefer::Bytes].into_iter().take(1 + usize::from(both)) {
            let plan = case.plan(SMALL, prefer);
            test(case, &plan, viewer, RUNS).unwrap_or_else(|e| panic!("{} ({prefer:?}), {viewer:?}: {e}", case.name));
        }
    }
}

#[test]
fn p0_sees_noise() {
    every_case(Viewer::Party(Party(0)));
}

#[test]
fn p1_sees_noise() {
    every_case(Viewer::Party(Party(1)));
}

#[test]
fn p2_sees_noise() {
    every_case(Viewer::Party(Party(2)));
}

/// The owners' part of the runs: each half of an output is noise, whatever the result.
#[test]
fn halves_of_outputs_and_opened_values_are_noise_to_owners() {
    every_case(Viewer::Owners);
}
