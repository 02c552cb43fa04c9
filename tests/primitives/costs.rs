//! What a plan costs by its text is what a run of it counts, for every primitive and size.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smlc::backend::cpu::Cpu;
use smlc::backend::{Backend, BackendError, Fill, Launch, StreamKey};
use smlc::graph::Receiver;
use smlc::plan::cost::{self, Cost};
use smlc::plan::layout::Layout;
use smlc::plan::protocol::sign::Prefer;
use smlc::plan::{BufId, Party, Plan};
use smlc::run::{lockstep, owner};

use crate::table::{CASES, Data, SIZES, case};

/// A processor whose buffers are counted.
struct Counting {
    inner: Cpu,
    bytes: BTreeMap<BufId, u64>,
    peak: Arc<AtomicU64>,
}

impl Counting {
    fn there(&mut self, id: BufId) {
        let words = self.inner.read(id).unwrap().len();
        self.bytes.insert(id, 8 * words as u64);
        self.peak.fetch_max(self.bytes.values().sum(), Ordering::Relaxed);
    }
}

impl Backend for Counting {
    fn reserve(&mut self, layout: Layout) -> Result<(), BackendError> {
        self.inner.reserve(layout)
    }

    fn rekey(&mut self, keys: [StreamKey; 2]) -> Result<(), BackendError> {
        self.inner.rekey(keys)
    }

    fn write(&mut self, id: BufId, fill: Fill<'_>) -> Result<(), BackendError> {
        self.inner.write(id, fill)?;
        self.there(id);
        Ok(())
    }

    fn read(&self, id: BufId) -> Result<Cow<'_, [u64]>, BackendError> {
        self.inner.read(id)
    }

    fn free(&mut self, id: BufId) {
        self.inner.free(id);
        self.bytes.remove(&id);
    }

    fn launch(&mut self, launch: Launch<'_>) -> Result<(), BackendError> {
        self.inner.launch(launch)?;
        launch.outs.iter().for_each(|id| self.there(launch.bufs[id.index()].storage(*id).0));
        Ok(())
    }
}

/// Compares the count over a plan's text with a run.
fn compare(plan: &Plan, data: &Data, cost: &Cost) -> Result<Data, String> {
    let mut messages = 0;
    let peaks: [Arc<AtomicU64>; 3] = Default::default();
    let mut counters = peaks.iter().cloned();
    let devices = lockstep::devices(&[1, 2, 3].map(|byte| StreamKey([byte; 16]))).map(|inner| Counting {
        inner,
        bytes: BTreeMap::new(),
        peak: counters.next().unwrap(),
    });
    let loads = lockstep::share(plan, data).map_err(|e| e.to_string())?;
    let outcome =
        lockstep::execute(plan, devices, loads, &mut |_, _, _, _| messages += 1).map_err(|e| e.to_string())?;
    let peaks = peaks.map(|peak| peak.load(Ordering::Relaxed));
    if (peaks, outcome.live_bytes) != (cost.live_bytes, cost.live_bytes) {
        let counted = (peaks, outcome.live_bytes);
        return Err(format!("the peak is {:?} bytes, the run counted {counted:?}", cost.live_bytes));
    }
    let counted = (outcome.bytes_per_link, outcome.rounds, messages);
    let stated = (cost.bytes_per_link, cost.rounds, cost.messages);
    if counted != stated {
        return Err(format!("the cost is {stated:?}, the run counted {counted:?}"));
    }
    let taken: usize = outcome.taken.iter().map(|t| t.bytes).sum();
    let sum: u64 = cost.bytes_per_party.iter().sum();
    if taken as u64 != cost.bytes_total || sum != cost.bytes_total {
        return Err(format!("the cost is {} and {sum} bytes, the parties took {taken}", cost.bytes_total));
    }
    // A shared tensor has two 16-byte seeds, each of which goes to two parties.
    let shared = plan.inputs.iter().filter(|input| input.owner.is_some());
    let sent = |input| Party::ALL.map(|p| owner::submission_bytes(plan, input, p)).iter().sum::<usize>() - 4 * 16;
    let sent: usize = shared.map(sent).sum();
    let received = plan.outputs.iter().enumerate().map(|(at, output)| {
        let receivers = if output.to == Receiver::All { plan.owners.len() } else { 1 };
        receivers * (outcome.halves[0][at].len() + outcome.halves[1][at].len())
    });
    let owners = (sent as u64, received.sum::<usize>() as u64);
    if owners != (cost.owner_bytes_in, cost.owner_bytes_out) {
        let stated = (cost.owner_bytes_in, cost.owner_bytes_out);
        return Err(format!("the cost for owners is {stated:?}, the run counted {owners:?}"));
    }
    Ok(outcome.outputs)
}

#[test]
fn static_costs_are_counted_costs_and_results_are_right() {
    for case in CASES {
        for &n in SIZES {
            for prefer in [Prefer::Bytes, Prefer::Rounds, Prefer::Time { bits: 1 << 20 }] {
                let plan = case.plan(n, prefer);
                let data = case.data(n, 5);
                let outputs = compare(&plan, &data, &cost::cost(&plan));
                case.check(n, &data, &outputs.unwrap_or_else(|e| panic!("{}, n = {n}, {prefer:?}: {e}", case.name)));
            }
        }
    }
}

/// A cost that leaves out one transfer, or a bit of one, is told from the run's.
#[test]
fn a_wrong_cost_is_found() {
    let case = case("ReLU of a product");
    let plan = case.plan(7, Prefer::Bytes);
    let data = case.data(7, 5);
    for (round, send) in (0..plan.rounds.len()).flat_map(|r| (0..plan.rounds[r].sends.len()).map(move |s| (r, s))) {
        let mut fewer = plan.clone();
        fewer.rounds[round].sends.remove(send);
        compare(&plan, &data, &cost::cost(&fewer)).unwrap_err();
    }
    let mut narrow = plan.clone();
    narrow.bufs.iter_mut().filter(|b| b.width == 64).for_each(|b| b.width = 62);
    compare(&plan, &data, &cost::cost(&narrow)).unwrap_err();
}
