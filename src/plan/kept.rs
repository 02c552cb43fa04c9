//! What stays on a party's device from run to run.

use std::collections::BTreeSet;

use super::{BufId, Kernel, Party, Plan};

/// What a party keeps for further runs on the same inputs, in order: of the inputs those that it needs in each, and what it
/// computes of others once.
#[must_use]
pub fn kept(plan: &Plan, party: Party) -> Vec<BufId> {
    let inputs = plan.inputs.iter().flat_map(|input| input.bufs).map(|bufs| bufs[party.index()]);
    let inputs: BTreeSet<BufId> = inputs.collect();
    let mut kept = inputs.clone();
    let steps = || plan.rounds.iter().flat_map(|round| &round.steps).filter(|step| step.party == party);
    let storage = |id: BufId| plan.bufs.get(id.index()).map_or(id, |buf| buf.storage(id).0);
    for step in steps().filter(|step| step.once) {
        for operand in &step.ins {
            kept.remove(&storage(operand.buf));
        }
        kept.extend(&step.outs);
    }
    for step in steps().filter(|step| !step.once) {
        kept.extend(step.ins.iter().map(|operand| storage(operand.buf)).filter(|id| inputs.contains(id)));
    }
    kept.into_iter().collect()
}

/// Which buffers a party computes once for all runs and reads as an operand of one product alone, by number.
pub(super) fn factors(plan: &Plan, party: Party) -> Vec<bool> {
    let steps = || plan.rounds.iter().flat_map(|round| &round.steps).filter(|step| step.party == party);
    let storage = |id: BufId| plan.bufs.get(id.index()).map_or(id, |buf| buf.storage(id).0);
    let mut once: BTreeSet<BufId> =
        steps().filter(|step| step.once).flat_map(|step| step.outs.iter().copied()).collect();
    once.retain(|id| storage(*id) == *id);
    let mut read = BTreeSet::new();
    for step in steps() {
        let is_product = matches!(step.kernel, Kernel::Product(_) | Kernel::ProductOfSums(..));
        for id in step.ins.iter().map(|operand| storage(operand.buf)) {
            if !is_product || !read.insert(id) {
                once.remove(&id);
            }
        }
    }
    let sends = plan.rounds.iter().flat_map(|round| &round.sends).filter(|send| send.from == party);
    sends.map(|send| storage(send.source)).for_each(|id| _ = once.remove(&id));
    (0..plan.bufs.len()).map(|at| once.contains(&BufId(at as u32))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::layout::Layout;
    use crate::plan::{Buf, Input, Part, Product, View};

    #[derive(Clone, Copy, PartialEq)]
    enum Use {
        Once,
        Twice,
        InPart,
        Copied,
        Sent,
        EachRun,
    }

    /// Whether a sum of an input that is used like this is a factor that stays.
    fn is_factor(used: Use, again: bool) -> bool {
        let mut b = Builder::new(Format::default());
        let (x, y) = (b.input(Party(0), 8), b.input(Party(0), 8));
        let ring = b.ring();
        let mut m = b.ring_map(Party(0), "product.factor", 8);
        let read = m.read(y);
        let sum = m.add(read, read);
        let factor = m.write(sum, ring);
        if used == Use::EachRun {
            m.finish()
        } else {
            m.finish_once()
        }
        let product = Kernel::Product(Product::MatMul { batch: 1, m: 1, k: 8, n: 1 });
        let mut outs = vec![b.launch(Party(0), product.clone(), &[x, factor], 1)];
        match used {
            Use::Once | Use::EachRun => {}
            Use::Twice | Use::InPart => outs.push(b.launch(Party(0), product, &[x, factor], 1)),
            Use::Copied => {
                let view = View { shape: vec![8], strides: vec![1], start: 0, bounds: vec![], fill: 0 };
                outs.push(b.launch(Party(0), Kernel::Copy(view), &[factor], 8));
            }
            Use::Sent => outs.push(b.send(factor, Party(1), "once")),
        }
        let input = |id| Input { node: 0, owner: Some(0), len: 8, bufs: [[id; 3]; 2] };
        let mut plan = Plan { owners: vec!["a".to_string()], inputs: vec![input(x), input(y)], ..b.into_plan(&outs) };
        if used == Use::InPart {
            // The second product reads it by another name.
            let (part, whole) = (BufId(plan.bufs.len() as u32), plan.buf(factor).clone());
            plan.bufs.push(Buf { part: Some(Part { of: factor, start: 0 }), ..whole });
            let ins = plan.rounds.iter_mut().flat_map(|round| &mut round.steps).flat_map(|step| &mut step.ins);
            ins.filter(|operand| operand.buf == factor).last().unwrap().buf = part;
        }
        Layout::of(&plan, Party(0), again).is_factor(factor)
    }

    #[test]
    fn a_factor_is_read_by_one_product_alone() {
        assert!(is_factor(Use::Once, true));
        assert!(!is_factor(Use::Once, false), "a single run");
        for used in [Use::Twice, Use::InPart, Use::Copied, Use::Sent, Use::EachRun] {
            assert!(!is_factor(used, true));
        }
    }
}
