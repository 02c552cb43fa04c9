//! What a party sees: the plan's mask check, and a check that it fails when a mask is removed or used twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use smlc::fixed::Format;
use smlc::graph;
use smlc::plan::build::Builder;
use smlc::plan::{BufId, Instr, Kernel, Operand, Part, Party, Plan, Step, lower, verify};
use smlc::span::Sources;

fn plan() -> Plan {
    let text = "graph test\nformat ring=64 int=16 frac=16\nowners a b\n\
        %0 = input \"x\" : clear(a) [130]\n%1 = input \"y\" : clear(b) [130]\n\
        %2 = share scale=16 %0 : ring(16) [130]\n%3 = share scale=16 %1 : ring(16) [130]\n\
        %4 = mul %2 %3 : ring(32) [130]\n%5 = trunc bits=16 %4 : ring(16) [130]\n%6 = relu %5 : ring(16) [130]\n\
        %7 = reshape %6 : ring(16) [13, 10]\n%8 = argmax axis=1 %7 : ring(0) [13]\n\
        %9 = is_negative %5 : bit [130]\n%10 = is_negative %2 : bit [130]\n%11 = and %9 %10 : bit [130]\n\
        %12 = select %11 %2 %3 : ring(16) [130]\n\
        %13 = reveal \"i\" to=a %8 : ring(0) [13]\n%14 = reveal \"b\" to=all %11 : bit [130]\n%15 = reveal \"s\" to=b %12 : ring(16) [130]\n\
        %16 = input \"q\" : clear [130]\n%17 = encode scale=0 %16 : public(0) [130]\n%18 = and %11 %17 : bit [130]\n\
        %19 = xor %18 %17 : bit [130]\n%20 = reveal \"q\" to=b %19 : bit [130]\n%21 = relu unread=6 %5 : ring(16) [130]\n\
        %22 = reveal \"r\" to=a %21 : ring(16) [130]\n";
    let graph = graph::text::parse(text).unwrap();
    lower::lower(&graph, &Sources::default(), lower::Options::default())
}

#[test]
fn every_message_is_masked() {
    verify::verify(&plan()).unwrap();
}

/// A mask that is added to what came of it, by way of a word's bits, masks nothing.
#[test]
fn bits_depend_on_what_their_words_do() {
    let check = |fresh: bool| {
        let (mut b, sender, len) = (Builder::new(Format::default()), Party(0), 64);
        let (mask, other) = (b.stream(), b.stream());
        let mut m = b.plane_map(sender, "mask", len);
        let bit = m.prf_plane(0, mask, 0);
        let plane = m.write_planes(&[bit]);
        m.finish();
        let mut m = b.ring_map(sender, "word", len);
        let (bit, ring) = (m.bit(plane, 0), m.ring());
        let word = m.write(bit, ring);
        m.finish();
        let mut m = b.plane_map(sender, "message", len);
        let bit = m.read_plane(Operand::bits(word, 0, 0), 0);
        let mask = m.prf_plane(0, if fresh { other } else { mask }, 0);
        let sum = m.xor(bit, mask);
        let message = m.write_planes(&[sum]);
        m.finish();
        let received = b.send(message, Party(1), "message");
        let format = b.format;
        let (bufs, rounds) = b.finish(&[received], false);
        let (entry, clear) = ("built".to_string(), String::new());
        let plan = Plan {
            entry,
            format,
            owners: vec![],
            clear,
            bufs,
            inputs: vec![],
            rounds,
            outputs: vec![],
            places: vec![],
        };
        verify::verify(&plan)
    };
    check(true).unwrap();
    let error = check(false).unwrap_err().to_string();
    assert!(error.contains("occurs in it again"), "{error}");
}

/// Removes the streams one at a time, or makes one repeat another: each time some message loses its mask.
#[test]
fn removed_and_reused_masks_are_found() {
    let plan = plan();
    let mut tried = 0;
    for (r, round) in plan.rounds.iter().enumerate() {
        for send in &round.sends {
            let writer = round.steps.iter().position(|s| s.outs.contains(&send.source));
            let Some(s) = writer else { continue };
            let step = &round.steps[s];
            let Kernel::Map(program) = &step.kernel else { panic!("messages are results of element programs") };
            for (i, stream) in step.streams.iter().enumerate() {
                if send.to.holds_key(stream.key) {
                    continue;
                }
                // The stream is drawn as zero wherever this step draws it.
                let mut broken = plan.clone();
                let Kernel::Map(code) = &mut broken.rounds[r].steps[s].kernel else { unreachable!() };
                for instr in &mut Arc::make_mut(code).code {
                    if matches!(instr, Instr::Prf { stream, .. } if *stream as usize == i) {
                        *instr = Instr::Imm(0);
                    }
                }
                let needed = drawn_for(program, step.outs.iter().position(|o| *o == send.source).unwrap(), i);
                if needed && send.opening.is_none() {
                    assert!(
                        verify::verify(&broken).is_err(),
                        "{} -> {} {}: stream {i} removed",
                        send.from,
                        send.to,
                        send.name
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 50, "{tried} masks tried");

    // The same stream numbers twice: every mask serves a second message.
    let mut broken = plan.clone();
    for step in broken.rounds.iter_mut().flat_map(|r| &mut r.steps) {
        step.streams.iter_mut().for_each(|s| s.id %= 7);
    }
    assert!(verify::verify(&broken).is_err());
}

/// Whether the mask search of an output could use stream `i`: it is a summand of it.
fn drawn_for(program: &smlc::plan::Program, output: usize, i: usize) -> bool {
    let mut stack: Vec<_> = program
        .code
        .iter()
        .filter_map(|instr| match instr {
            Instr::Out { output: o, value, .. } if *o as usize == output => Some(*value),
            _ => None,
        })
        .collect();
    while let Some(reg) = stack.pop() {
        match program.code[reg.0 as usize] {
            Instr::Prf { stream, .. } if stream as usize == i => return true,
            Instr::Add(a, b) | Instr::Sub(a, b) | Instr::Xor(a, b) => stack.extend([a, b]),
            _ => {}
        }
    }
    false
}

#[test]
fn outputs_have_names_of_their_own() {
    let mut plan = plan();
    plan.outputs[1].name = plan.outputs[0].name.clone();
    let error = verify::verify(&plan).unwrap_err().to_string();
    assert!(error.contains("two outputs `i`"), "{error}");
}

#[test]
fn a_plan_with_a_missing_key_or_a_foreign_buffer_is_refused() {
    let good = plan();
    let mut broken = good.clone();
    let step = broken.rounds.iter_mut().flat_map(|r| &mut r.steps).find(|s| !s.streams.is_empty()).unwrap();
    step.streams[0].key = (step.party.0 + 2) % 3;
    assert!(verify::verify(&broken).is_err());
    let mut broken = good.clone();
    let send = &mut broken.rounds[0].sends[0];
    send.to = Party(3 - send.from.0 - send.to.0);
    assert!(verify::verify(&broken).is_err());
    let mut broken = good;
    let again = broken.rounds[0].sends[0].clone();
    broken.rounds[1].sends.push(again);
    assert!(verify::verify(&broken).is_err());
}

#[test]
fn storage_is_freed_once_and_not_before_its_last_use() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = plan();
        change(&mut plan);
        verify::verify(&plan).unwrap_err().to_string()
    };
    let first = |plan: &Plan| {
        let steps = plan.rounds.iter().flat_map(|r| &r.steps);
        steps.flat_map(|s| s.free.iter().map(|id| (*id, s.party))).next().unwrap()
    };
    assert!(first(&plan()).0.index() < plan().bufs.len());
    let unknown = refused(|plan| plan.rounds[0].sends[0].free.push(BufId(65535)));
    assert!(unknown.contains("does not exist"), "{unknown}");
    let foreign = refused(|plan| {
        let [step, other] = [0, 1].map(|p| plan.rounds[0].steps.iter().position(|s| s.party == Party(p)).unwrap());
        let id = plan.rounds[0].steps[other].outs[0];
        plan.rounds[0].steps[step].free.push(id);
    });
    assert!(foreign.contains("which is P1's"), "{foreign}");
    let twice = refused(|plan| {
        let step = plan.rounds.iter_mut().flat_map(|r| &mut r.steps).find(|s| !s.free.is_empty()).unwrap();
        step.free.push(step.free[0]);
    });
    assert!(twice.contains("holds no storage"), "{twice}");
    let early = refused(|plan| {
        let input = plan.inputs[0].bufs[0][0];
        plan.rounds[0].steps.iter_mut().find(|s| s.party == Party(0)).unwrap().free.insert(0, input);
    });
    assert!(early.contains("after it was freed") || early.contains("holds no storage"), "{early}");
    let result = refused(|plan| {
        let result = plan.outputs[0].bufs[0];
        let last = plan.rounds.iter_mut().rev().flat_map(|r| &mut r.steps).find(|s| s.party == Party(0)).unwrap();
        last.free.push(result);
    });
    assert!(result.contains("after it was freed") || result.contains("holds no storage"), "{result}");
}

/// The refusal of a plan in which parts of buffers were changed: those that steps write, in order.
fn refused(change: impl FnOnce(&mut Plan, &[BufId])) -> String {
    let mut plan = plan();
    let outs = plan.rounds.iter().flat_map(|r| &r.steps).flat_map(|s| &s.outs);
    let written: Vec<BufId> = outs.copied().filter(|out| plan.buf(*out).part.is_some()).collect();
    assert!(written.len() > 6, "ReLU at three parties comes in slices");
    change(&mut plan, &written);
    verify::verify(&plan).unwrap_err().to_string()
}

fn part(plan: &mut Plan, id: BufId) -> &mut Part {
    plan.bufs[id.index()].part.as_mut().unwrap()
}

#[test]
fn parts_of_buffers_are_written_once_and_before_they_are_read() {
    let overlap = refused(|plan, parts| {
        let with_room = parts.iter().find(|id| part(plan, **id).start > 0).unwrap();
        part(plan, *with_room).start -= 1;
    });
    assert!(overlap.contains("is written twice"), "{overlap}");
    let outside = refused(|plan, parts| part(plan, parts[0]).start += 1 << 20);
    assert!(outside.contains("is no part of"), "{outside}");
    let nested = refused(|plan, parts| {
        let whole = part(plan, parts[0]).of;
        plan.bufs[whole.index()].part = Some(Part { of: whole, start: 0 });
    });
    assert!(nested.contains("is no part of"), "{nested}");
    let missing = refused(|plan, parts| {
        let step = plan.rounds.iter_mut().flat_map(|r| &mut r.steps).find(|s| s.outs.contains(&parts[0])).unwrap();
        let party = step.party;
        let unused = BufId(plan.bufs.len() as u32);
        plan.bufs.push(smlc::plan::Buf { part: None, ..plan.bufs[parts[0].index()].clone() });
        step.outs.iter_mut().filter(|out| **out == parts[0]).for_each(|out| *out = unused);
        assert_eq!(party, plan.bufs[parts[0].index()].party);
    });
    assert!(missing.contains("before it is there"), "{missing}");
    let travels = refused(|plan, parts| {
        let id = parts[0];
        // It is there to the end.
        let whole = part(plan, id).of;
        plan.rounds.iter_mut().flat_map(|r| &mut r.steps).for_each(|step| step.free.retain(|freed| *freed != whole));
        let round = plan.rounds.iter().position(|r| r.steps.iter().any(|s| s.outs.contains(&id))).unwrap();
        let send = plan.rounds[round].sends.iter_mut().find(|s| s.from == plan.bufs[id.index()].party).unwrap();
        send.source = id;
    });
    assert!(travels.contains("a part of a buffer travels"), "{travels}");
}

/// The streams of steps that mask slices of results at a party, by the first element.
fn masks_of_slices(plan: &mut Plan, party: Party) -> Vec<&mut u32> {
    let starts: Vec<Option<usize>> = plan.bufs.iter().map(|buf| buf.part.map(|part| part.start)).collect();
    let steps = plan.rounds.iter_mut().flat_map(|round| &mut round.steps);
    let masking = steps.filter(|step| step.party == party && step.kernel.name().contains("output."));
    let mut found: Vec<(usize, &mut u32)> = masking
        .map(|step| {
            (starts[step.outs[0].index()].unwrap(), &mut step.streams.iter_mut().find(|s| s.key == 1).unwrap().id)
        })
        .collect();
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, id)| id).collect()
}

#[test]
fn each_slice_of_a_large_result_has_a_mask_of_its_own() {
    let text = "graph test\nformat ring=64 int=16 frac=16\nowners a\n%0 = input \"x\" : clear(a) [98304]\n\
        %1 = share scale=16 %0 : ring(16) [98304]\n%2 = relu %1 : ring(16) [98304]\n\
        %3 = reveal \"r\" to=a %2 : ring(16) [98304]\n";
    let graph = graph::text::parse(text).unwrap();
    let plan = lower::lower(&graph, &Sources::default(), lower::Options::default());
    verify::verify(&plan).unwrap();
    let halves = [Party(0), Party(1)];
    let masks = halves.map(|party| {
        let mut plan = plan.clone();
        masks_of_slices(&mut plan, party).into_iter().map(|id| *id).collect::<Vec<u32>>()
    });
    assert!(masks[0] == masks[1] && masks[0].len() == 6, "{masks:?}");
    let refused = |change: &dyn Fn(Party, usize) -> u32| {
        let mut plan = plan.clone();
        for party in halves {
            for (slice, id) in masks_of_slices(&mut plan, party).into_iter().enumerate() {
                *id = change(party, slice);
            }
        }
        verify::verify(&plan).unwrap_err().to_string()
    };
    // One mask for two slices; the masks of another slice in one half.
    let twice = refused(&|_, slice| masks[0][slice.max(1)]);
    assert!(twice.contains("its mask serves another message"), "{twice}");
    let other = refused(&|party, slice| masks[0][if party == Party(1) { (slice + 1) % 6 } else { slice }]);
    assert!(other.contains("it is not masked"), "{other}");
    // A slice that is copied to both halves, of shares as they are.
    let mut copied = plan.clone();
    for party in halves {
        let bufs = &copied.bufs;
        let steps = copied.rounds.iter_mut().flat_map(|round| &mut round.steps);
        let mut masking = steps.filter(|step| step.party == party && step.kernel.name().contains("output."));
        let is_first = |step: &&mut Step| bufs[step.outs[0].index()].part.unwrap().start == 0;
        let step = masking.find(is_first).unwrap();
        let len = bufs[step.outs[0].index()].len;
        step.ins.retain(|operand| bufs[operand.buf.index()].width > 1);
        step.ins.truncate(1);
        step.streams.clear();
        step.kernel = Kernel::Concat { outer: 1, chunks: vec![len] };
    }
    let copied = verify::verify(&copied).unwrap_err().to_string();
    assert!(copied.contains("it is not masked"), "{copied}");
}
