//! Launches that stand in line on the host, go to the GPU together, and the next time as a graph.

use smlc::backend::cuda::Cuda;
use smlc::backend::{Backend as _, BackendError, Launch, StreamKey};
use smlc::plan::layout::Layout;
use smlc::plan::{Access, Buf, BufId, Kernel, Operand, Party};

use crate::device::{Fails, counter, fail, gpu, is_emulated};

/// Copies the first of buffers to the next one, and so on.
fn pass_on(device: &mut Cuda, bufs: &[Buf]) -> Result<(), BackendError> {
    let kernel = Kernel::Concat { outer: 1, chunks: vec![bufs[0].len] };
    (1..bufs.len() as u32).try_for_each(|to| {
        let ins = [Operand { buf: BufId(to - 1), access: Access::Dense }];
        let launch = Launch { kernel: &kernel, ins: &ins, streams: &[], outs: &[BufId(to)], bufs, site: None };
        device.launch(launch)
    })
}

/// Launches that come again go as a graph, which other contents of the same memory do not change; where there is no memory for a graph
/// they go by themselves, and none is tried again; another failure is told.
#[test]
fn what_comes_again_goes_as_a_graph() {
    let gpu = gpu();
    let mut device = Cuda::new(&gpu, Party(1), &[StreamKey([1; 16]), StreamKey([2; 16])]).unwrap();
    let bufs: Vec<Buf> = (0..6).map(|_| Buf::ring(Party(1), 70, 64)).collect();
    let counts = || ["launches", "calls"].map(|what| counter(&format!("smlc_sim_thread_{what}")));
    let mut turns = (1..).zip([
        (5, None),
        (1, None),
        (1, None),
        // No memory for the graph that the second turn would make; the third would notice if it tried.
        (5, None),
        (5, Some(Fails::Allocation)),
        (5, Some(Fails::Graph)),
    ]);
    for _ in 0..2 {
        // Forgets what came before.
        device.reserve(Layout::apart(&bufs)).unwrap();
        for (turn, (wanted, fails)) in turns.by_ref().take(3) {
            device.write(BufId(0), &mut |words| words.fill(turn)).unwrap();
            pass_on(&mut device, &bufs).unwrap();
            fails.into_iter().for_each(|kind| fail(kind, 1));
            let [launches, calls] = counts();
            device.settle().unwrap();
            let [launched, called] = counts();
            fails.into_iter().for_each(|kind| fail(kind, 0));
            assert!((launched - launches, called - calls) == (5, wanted) || !is_emulated(), "turn {turn}");
            assert!(device.read(BufId(5)).unwrap().iter().all(|word| *word == turn));
        }
    }
    if is_emulated() {
        device.reserve(Layout::apart(&bufs)).unwrap();
        device.write(BufId(0), &mut |words| words.fill(7)).unwrap();
        pass_on(&mut device, &bufs).unwrap();
        device.settle().unwrap();
        pass_on(&mut device, &bufs).unwrap();
        fail(Fails::Graph, 1);
        let failed = device.settle().unwrap_err().to_string();
        assert_eq!(failed, "the GPU failed: CUDA_ERROR_UNKNOWN");
        let failed = device.read(BufId(5)).unwrap_err().to_string();
        assert_eq!(failed, "the GPU failed: what was launched before has failed");
    }
}

/// Where a device gets no memory for a plan it has none, not that at address 0.
#[test]
fn without_memory_there_are_no_launches() {
    if !is_emulated() {
        return;
    }
    let gpu = gpu();
    let mut device = Cuda::new(&gpu, Party(1), &[StreamKey([1; 16]), StreamKey([2; 16])]).unwrap();
    let bufs: Vec<Buf> = (0..3).map(|_| Buf::ring(Party(1), 70, 64)).collect();
    device.reserve(Layout::apart(&bufs)).unwrap();
    device.write(BufId(0), &mut |words| words.fill(7)).unwrap();
    fail(Fails::Allocation, 1);
    let large = device.reserve(Layout::apart(&[Buf::ring(Party(1), 5000, 64)])).unwrap_err();
    assert!(matches!(large, BackendError::Memory { bytes: 40_000, .. }), "{large}");
    for failed in [pass_on(&mut device, &bufs).err(), device.read(BufId(0)).err()] {
        assert_eq!(failed.unwrap().to_string(), "the GPU failed: it was given no memory");
    }
    // Nothing has run that should not have, and with memory all is well.
    device.settle().unwrap();
    device.reserve(Layout::apart(&bufs)).unwrap();
    device.write(BufId(0), &mut |words| words.fill(8)).unwrap();
    pass_on(&mut device, &bufs).unwrap();
    assert!(device.read(BufId(2)).unwrap().iter().all(|word| *word == 8));
}

/// What fails for one party where no error can be returned is not told to another on the same GPU.
#[test]
fn parties_on_a_gpu_have_errors_of_their_own() {
    let gpu = gpu();
    let keys = [StreamKey([1; 16]), StreamKey([2; 16])];
    let [mut p0, mut p1] = [0, 1].map(|party| Cuda::new(&gpu, Party(party), &keys).unwrap());
    let bufs = [0, 1].map(|party| [(); 2].map(|()| Buf::ring(Party(party), 70, 64)));
    for (device, bufs) in [&mut p0, &mut p1].into_iter().zip(&bufs) {
        device.reserve(Layout::apart(bufs)).unwrap();
        device.write(BufId(0), &mut |words| words.fill(7)).unwrap();
    }
    // The first event of P0 that goes with it.
    fail(Fails::Event, 1);
    drop(p0);
    pass_on(&mut p1, &bufs[1]).unwrap();
    p1.settle().unwrap();
    let mut message = Vec::new();
    p1.pack(&bufs[1], &[BufId(1)], &mut message).unwrap();
    assert_eq!(message.len(), 560);
    // It has failed, and that order is done.
    fail(Fails::Event, 0);
}
