//! Steps of which nobody wants a result: an owner hears P0 and P1, so at the end P2 has shares that are for nothing.

use std::collections::BTreeSet;

use super::super::{Buf, BufId, Round};

/// Leaves out steps whose results are neither read, nor sent, nor `kept`.
pub(super) fn drop(bufs: &[Buf], rounds: &mut [Round], kept: &[BufId]) {
    let storage = |id: &BufId| bufs[id.index()].storage(*id).0;
    let mut wanted: BTreeSet<BufId> = kept.iter().map(storage).collect();
    for round in rounds.iter_mut().rev() {
        wanted.extend(round.sends.iter().map(|send| storage(&send.source)));
        let mut live: Vec<_> = std::mem::take(&mut round.steps);
        live.reverse();
        live.retain(|step| {
            let is_wanted = step.outs.iter().any(|id| wanted.contains(&storage(id)));
            if is_wanted {
                wanted.extend(step.ins.iter().map(|operand| storage(&operand.buf)));
            }
            is_wanted
        });
        live.reverse();
        round.steps = live;
    }
}

#[cfg(test)]
mod tests {
    use crate::fixed::Format;
    use crate::plan::build::Builder;
    use crate::plan::{BufId, Party};

    #[test]
    fn what_nobody_wants_is_not_computed() {
        let mut b = Builder::new(Format::default());
        let x = b.input(Party(0), 8);
        let double = |b: &mut Builder, name: &str, x: BufId| {
            let mut m = b.ring_map(Party(0), name, 8);
            let x = m.read(x);
            let sum = m.add(x, x);
            let out = m.write(sum, 64);
            m.finish();
            out
        };
        let kept = double(&mut b, "kept", x);
        let sent = double(&mut b, "sent", kept);
        b.send(sent, Party(1), "sent");
        let unread = double(&mut b, "read by what is dead", sent);
        double(&mut b, "dead", unread);
        let part = double(&mut b, "of a part", x);
        let half = b.part(part, 0, 4, 0);
        let (_, rounds) = b.finish(&[kept, half], false);
        let mut names: Vec<&str> =
            rounds.iter().flat_map(|round| &round.steps).map(|step| step.kernel.name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["kept", "of a part", "sent"]);
    }
}
