//! Parties on several GPUs of one machine.

use std::collections::BTreeMap;

use smlc::backend::StreamKey;
use smlc::backend::cpu::Cpu;
use smlc::backend::cuda::Cuda;
use smlc::plan::Party;
use smlc::run::lockstep;
use smlc::run::session::Session;

use crate::device::{counter, gpus, is_emulated};
use crate::networks::{Near, example, run};

/// Messages go straight from one GPU to another where these reach each other's memory, and through the host where they do not;
/// results are the same. Leave is asked in the first run only: it may have the host wait.
#[test]
fn messages_between_gpus_take_the_way_there_is() {
    let (plan, data) = example("small_digits/small_digits.sml", &[("N", 1)]);
    let loads = lockstep::share(&plan, &data).unwrap();
    let (_, wanted) = run(&plan, &loads, |party, keys| Box::new(Cpu::new(party, keys)));
    let key = |number: u8| StreamKey([7 * (number % 3) + 1; 16]);
    let keys = |party: Party| [key(party.0), key(party.0 + 1)];
    for (pair, reach) in gpus().iter().zip([true, false]) {
        let mut sessions = Party::ALL.map(|party| {
            let device = Cuda::new(&pair[usize::from(party != Party(0))], party, &keys(party)).unwrap();
            let mut session = Session::new(&plan, party, device, true).unwrap();
            for (id, words) in &loads[party.index()] {
                session.load(*id, &mut |to| to.copy_from_slice(words)).unwrap();
            }
            session
        });
        let mut link = Near { me: Party(0), parcels: BTreeMap::new() };
        for number in 0..3 {
            let counts = || {
                ["bytes_between_devices", "bytes_staged", "thread_synchronisations"]
                    .map(|what| counter(&format!("smlc_sim_{what}")))
            };
            let before = counts();
            for round in 0..=plan.rounds.len() {
                for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
                    link.me = party;
                    session.round(round, &mut link).unwrap();
                }
            }
            let waits = counts()[2] - before[2];
            for (party, wanted) in wanted.halves.iter().enumerate() {
                assert_eq!(&sessions[party].outputs(Vec::new()).unwrap(), wanted, "P{party}");
            }
            let after = counts();
            let (between, staged) = (after[0] - before[0], after[1] - before[1]);
            if is_emulated() {
                assert!(between > 1000, "{between} bytes between GPUs");
                assert_eq!(staged, if reach { 0 } else { between }, "of {between}, run {number}");
                // Each of the two once.
                assert_eq!(waits, if reach && number == 0 { 2 } else { 0 }, "run {number}");
            }
            for (party, session) in Party::ALL.into_iter().zip(&mut sessions) {
                session.again(keys(party)).unwrap();
            }
        }
    }
}
