//! Three parties on devices of the caller's choice, from keys and shares that are the same in every run.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use smlc::backend::cpu::{Cpu, Isa};
use smlc::backend::{Backend, StreamKey};
use smlc::graph::{NodeId, eval};
use smlc::plan::{Party, Plan};
use smlc::run::lockstep::{self, Loads, Outcome};
use smlc::run::{RunError, owner};

use crate::table::{Data, Random};

/// Makes a party's device from keys `party` and `party + 1`.
pub type Make = Box<dyn Fn(Party, &[StreamKey; 2]) -> Box<dyn Backend>>;

/// Every backend of this machine; each second one writes and reads even small messages in place, and runs even small steps as
/// one.
pub fn backends() -> Vec<(String, Make)> {
    let cpu = |(number, isa): (usize, Isa)| -> (String, Make) {
        let least = if number % 2 == 0 { 0 } else { usize::MAX };
        let device = move |party, keys: &[StreamKey; 2]| Cpu::with_isa(party, keys, isa).with_messages_from(least);
        let make = move |party, keys: &[StreamKey; 2]| device(party, keys).with_joint_from(least);
        let name = if least == 0 { "in messages" } else { "beside them" };
        (format!("{isa:?} {name}"), Box::new(move |party, keys| Box::new(make(party, keys))))
    };
    Isa::available().into_iter().enumerate().map(cpu).collect()
}

/// The three stream keys of a seed.
pub fn keys(seed: u64) -> [StreamKey; 3] {
    let mut random = Random(seed ^ 0x5eed);
    [(); 3].map(|()| {
        let mut key = StreamKey([0; 16]);
        key.0[..8].copy_from_slice(&random.next().to_le_bytes());
        key.0[8..].copy_from_slice(&random.next().to_le_bytes());
        key
    })
}

/// A device for each party.
pub fn devices<B>(keys: &[StreamKey; 3], make: impl Fn(Party, &[StreamKey; 2]) -> B) -> [B; 3] {
    Party::ALL.map(|p| make(p, &[keys[p.index()].clone(), keys[p.plus(1).index()].clone()]))
}

/// Shares of the owners' data, and public data at everybody.
pub fn share(plan: &Plan, data: &Data, seed: u64) -> Loads {
    let clear = owner::clear_graph(plan).unwrap();
    let mut random = Random(seed ^ 0x51a7e);
    let mask = plan.format.mask();
    let mut loads = Loads::default();
    for input in &plan.inputs {
        let words = eval::encoded(&clear, data, NodeId::new(input.node as usize)).unwrap();
        if input.owner.is_none() {
            for (load, buf) in loads.iter_mut().zip(input.bufs[0]) {
                load.push((buf, words.clone()));
            }
            continue;
        }
        let mut shares = [Vec::new(), Vec::new(), Vec::new()];
        for word in words {
            let [a, b] = [random.next() & mask, random.next() & mask];
            for (share, part) in shares.iter_mut().zip([a, b, word.wrapping_sub(a).wrapping_sub(b) & mask]) {
                share.push(part);
            }
        }
        for party in Party::ALL {
            let i = party.index();
            loads[i].push((input.bufs[0][i], shares[i].clone()));
            loads[i].push((input.bufs[1][i], shares[party.plus(1).index()].clone()));
        }
    }
    loads
}

/// A run and a hash of all that was sent in it.
pub fn run<B: Backend>(plan: &Plan, devices: [B; 3], loads: Loads) -> Result<(Outcome, u64), RunError> {
    let mut sent = DefaultHasher::new();
    let outcome = lockstep::execute(plan, devices, loads, &mut |round, from, to, payload| {
        (round, from, to, payload).hash(&mut sent);
    })?;
    Ok((outcome, sent.finish()))
}
