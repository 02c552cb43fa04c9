//! What fails on a GPU is told with the lines that it is from.

use std::collections::BTreeSet;

use smlc::backend::cuda::Cuda;
use smlc::backend::{Backend, BackendError, Launch, StreamKey};
use smlc::plan::layout::Layout;
use smlc::plan::{Access, Buf, BufId, Kernel, Operand, Party};

use crate::command::{MODEL, smlc, written};
use crate::device::{Fails, another, counter, fail, gpu, is_emulated};

/// Failures of the driver end a run with what failed and the line of the model.
#[test]
fn failures_name_the_line() {
    if !is_emulated() {
        return;
    }
    let run = |fail: &str| {
        let environment = [("SMLC_SIM_FAIL", fail)];
        let (code, out, err) = smlc(&["run", MODEL, "--take", "1", "--device", "cpu,cuda,cpu"], &environment);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{fail}");
        assert!(err.contains("P1 stopped: ") || err.contains("P1"), "{fail}: {err}");
        err
    };
    for launch in [1, 9, 25] {
        let found = run(&format!("launch:{launch}"));
        assert!(found.contains("the GPU failed: a kernel failed (CUDA_ERROR_LAUNCH_FAILED)"), "{found}");
        assert!(found.contains("small_digits.sml:"), "no line: {found}");
    }
    let found = run("lost:200");
    assert!(found.contains("the GPU failed: the GPU was lost"), "{found}");
    assert!(found.contains("small_digits.sml:"), "no line: {found}");
    let (code, _, found) = smlc(&["run", MODEL, "--take", "1", "--device", "cuda"], &[("SMLC_SIM_MEM", "20000")]);
    assert_eq!(code, Some(2));
    assert!(found.contains("the GPU is out of memory; fewer inputs at a time take less"), "{found}");
}

/// Whenever a GPU is lost, from when it has been opened: all that run on it stop, with the line where there is one.
#[test]
fn a_lost_gpu_is_told_whenever_it_goes() {
    if !is_emulated() {
        return;
    }
    for (device, step) in [("cuda", 37), ("cpu,cuda,cpu", 29)] {
        let (mut opened, mut lines) = (0, BTreeSet::new());
        for call in (2..).step_by(step) {
            let fails = format!("lost:{call}");
            let arguments = ["run", MODEL, "--take", "1", "--device", device];
            let (code, out, err) = smlc(&arguments, &[("SMLC_SIM_FAIL", &fails)]);
            if code == Some(0) {
                break;
            }
            assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{device}, {fails}: {err}");
            assert!(
                err.contains("CUDA_ERROR_DEVICE_UNAVAILABLE") || err.contains("the GPU was lost"),
                "{fails}: {err}"
            );
            if err.contains(" stopped: ") {
                let (_, place) =
                    err.split_once("small_digits.sml:").unwrap_or_else(|| panic!("{fails}: no line: {err}"));
                opened += 1;
                lines.insert(place.split(':').next().unwrap().to_string());
            }
        }
        assert!(opened > 5 && lines.len() > 1, "{device}: {opened} runs, lines {lines:?}");
    }
}

/// Parties on GPUs of one process learn of a failure when the host next waits, which is at the end: the lines are those of what
/// was put in line together with the launch that failed.
#[test]
fn a_launch_that_failed_long_before_is_named() {
    if !is_emulated() {
        return;
    }
    let text = "owners a, b;\nfixed(int = 16, frac = 16);\nuse nn::relu;\n\
                entry f(x: fix[8, 8] from a, y: fix[8, 8] from b) -> fix[8, 8] to a {\n\
                let product = matmul(x, y);\nlet high = relu(product);\nlet again = matmul(high, y);\nlet low = relu(again);\n\
                low * x\n}\n";
    let (_folder, model) = written(text);
    let model = model.as_str();
    // Lines that kernels are from, by how their names begin.
    let from = [("gemv_rows", &[5, 7][..]), ("element_sign_", &[6, 8]), ("element_multiply_", &[9])];
    let (mut seen, mut firsts) = (BTreeSet::new(), BTreeSet::new());
    for launch in (1..130).step_by(3) {
        let fails = format!("launch:{launch}");
        let (code, out, err) =
            smlc(&["bench", model, "--repeat", "1", "--device", "cuda"], &[("SMLC_SIM_FAIL", &fails)]);
        if code == Some(0) {
            break;
        }
        assert_eq!((code, out.as_str()), (Some(2), ""), "{fails}: {err}");
        let (_, rest) = err.split_once("emulated device 0: kernel `").unwrap_or_else(|| panic!("{fails}: {err}"));
        let (kernel, rest) = rest.split_once("` was ordered to fail\n").unwrap();
        assert!(rest.contains(" stopped: the GPU failed: a kernel failed (CUDA_ERROR_LAUNCH_FAILED) ("), "{rest}");
        let place = format!("{model}:");
        let lines = rest.split(&place).skip(1);
        let lines: Vec<usize> = lines.map(|rest| rest.split_once(':').unwrap().0.parse().unwrap()).collect();
        let (first, last) = (lines[0], lines[lines.len() - 1]);
        assert!(lines.len() <= 2 && first <= last && last - first <= 2, "{kernel}: {rest}");
        assert!(rest.contains(if lines.len() == 2 { " (between " } else { " (at " }), "{rest}");
        firsts.insert(first);
        for (name, lines) in from.iter().filter(|(name, _)| kernel.starts_with(name)) {
            seen.insert(name);
            assert!(lines.iter().any(|line| (first..=last).contains(line)), "{kernel}: {rest}");
        }
    }
    // Which launch is of which party, and with it what fails, differs from run to run.
    assert!(seen.contains(&"element_sign_") && firsts.len() >= 4, "{seen:?} {firsts:?}");
}

/// Copies the first of buffers to the next one, and so on, for these sites, and puts that in line on the GPU.
fn batch(device: &mut Cuda, bufs: &[Buf], sites: &[usize]) -> Result<(), BackendError> {
    let kernel = Kernel::Concat { outer: 1, chunks: vec![bufs[0].len] };
    for site in sites {
        let ins = [Operand { buf: BufId(*site as u32), access: Access::Dense }];
        let outs = [BufId(*site as u32 + 1)];
        device.launch(Launch { kernel: &kernel, ins: &ins, streams: &[], outs: &outs, bufs, site: Some(*site) })?;
    }
    device.parcels().unwrap().leave()
}

/// The sites that are named are those of one batch, whichever fails of it, and for all parties on the GPU.
#[test]
fn the_batch_that_stopped_is_known() {
    if !is_emulated() {
        return;
    }
    let keys = [StreamKey([1; 16]), StreamKey([2; 16])];
    let batches = [&[0, 1, 2][..], &[3, 4], &[5, 6, 7]];
    let bufs: Vec<Buf> = (0..9).map(|_| Buf::ring(Party(1), 70, 64)).collect();
    // In the third turn launches go as graphs.
    for (fails, count, wanted) in [
        (Fails::Launch, 1, batches[0]),
        (Fails::Launch, 3, batches[0]),
        (Fails::Launch, 4, batches[1]),
        (Fails::Launch, 8, batches[2]),
        (Fails::Launch, 17, batches[0]),
        (Fails::Launch, 24, batches[2]),
        // A graph of the second turn, of those that are worth it, is not made: that is no other party's.
        (Fails::Graph, 2, batches[2]),
    ] {
        let gpu = another();
        let [mut device, mut other] = [1, 2].map(|party| Cuda::new(&gpu, Party(party), &keys).unwrap());
        device.reserve(Layout::apart(&bufs)).unwrap();
        device.write(BufId(0), &mut |words| words.fill(7)).unwrap();
        fail(fails, count);
        let turns = (0..3).flat_map(|_| batches).try_for_each(|sites| batch(&mut device, &bufs, sites));
        let failed = turns.and_then(|()| device.settle()).unwrap_err();
        fail(fails, 0);
        assert!(matches!(failed, BackendError::Launched(_)), "{failed}");
        assert_eq!(device.stopped(), wanted, "{count}");
        match fails {
            Fails::Graph => assert!(other.settle().is_ok() && other.stopped().is_empty()),
            _ => assert!(other.settle().is_err() && other.stopped() == wanted, "{count}"),
        }
    }
    // All has run before the GPU is lost: nothing is blamed. What comes then is.
    let gpu = another();
    let mut device = Cuda::new(&gpu, Party(1), &keys).unwrap();
    device.reserve(Layout::apart(&bufs)).unwrap();
    device.write(BufId(0), &mut |words| words.fill(7)).unwrap();
    batches.iter().for_each(|sites| batch(&mut device, &bufs, sites).unwrap());
    device.settle().unwrap();
    fail(Fails::Lost, 1);
    assert!(device.settle().is_err() && device.stopped().is_empty());
    let failed = batch(&mut device, &bufs, batches[1]).unwrap_err();
    assert_eq!(device.stopped(), batches[1], "{failed}");
    fail(Fails::Lost, 0);
}

/// A message that does not get to the host is none: what was begun before it leaves, what comes after it too, from the same
/// memory.
#[test]
fn a_message_that_cannot_leave_is_told() {
    let gpu = gpu();
    let mut device = Cuda::new(&gpu, Party(1), &[StreamKey([1; 16]), StreamKey([2; 16])]).unwrap();
    let bufs: Vec<Buf> = (0..9).map(|_| Buf::ring(Party(1), 70, 64)).collect();
    device.reserve(Layout::apart(&bufs)).unwrap();
    let message = |number: u64| vec![number; 70];
    let write = |device: &mut Cuda, id: u32, number| device.write(BufId(id), &mut |words| words.fill(number)).unwrap();
    (0..3).for_each(|id| write(&mut device, id, u64::from(id) + 5));
    let taken = || counter("smlc_sim_thread_allocations");
    let mut before = 0;
    for turn in 0..3 {
        device.pack_ahead(&bufs, &[BufId(0)]).unwrap();
        fail(Fails::Copy, 1);
        let failed = device.pack_ahead(&bufs, &[BufId(1)]);
        fail(Fails::Copy, 0);
        if is_emulated() {
            assert_eq!(failed.unwrap_err().to_string(), "the GPU failed: CUDA_ERROR_UNKNOWN");
        } else {
            device.packed(&mut Vec::new()).unwrap();
        }
        device.pack_ahead(&bufs, &[BufId(2)]).unwrap();
        for wanted in [5, 7] {
            let mut found = Vec::new();
            device.packed(&mut found).unwrap();
            assert_eq!(bytemuck::cast_slice::<u8, u64>(&found), message(wanted));
        }
        assert!(device.packed(&mut Vec::new()).is_err(), "nothing else was begun");
        // The failed one's memory serves again: once all has been taken, no more is.
        assert!(turn < 1 || taken() == before, "{} allocations more", taken() - before);
        before = taken();
        device.rekey([StreamKey([1; 16]), StreamKey([2; 16])]).unwrap();
    }
}

/// Wherever a copy of a message to the host is refused the run ends, with the line that the message serves; the peers are told,
/// and nothing is left in memory.
#[test]
fn messages_that_cannot_leave_name_the_line() {
    if !is_emulated() {
        return;
    }
    let mut failed = 0;
    for copy in 1..40 {
        let fail = format!("copy:{copy}");
        let environment = [("SMLC_SIM_FAIL", fail.as_str()), ("SMLC_SIM_WIPED", "1")];
        let (code, out, err) = smlc(&["run", MODEL, "--take", "1", "--device", "cpu,cuda,cpu"], &environment);
        if code == Some(0) {
            break;
        }
        failed += 1;
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{fail}: {err}");
        assert!(err.contains("P1 stopped: the GPU failed: CUDA_ERROR_UNKNOWN (at "), "{fail}: {err}");
        assert!(err.contains("small_digits.sml:"), "{fail}: {err}");
    }
    assert!(failed > 5, "{failed} runs failed");
}
