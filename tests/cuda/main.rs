//! The GPU backend on the emulated driver, whose kernels are the PTX that ships; with `SMLC_REQUIRE_GPU=1` on a real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod device;
mod networks;

use smlc::backend::cases;
use smlc::backend::cases::products::{conv, matmul, of_sums};
use smlc::backend::cuda::{Cuda, Multiply};
use smlc::graph::Window;
use smlc::plan::Party;

use crate::device::gpu;

/// Runs all cases, multiplying in one way.
fn every_case(multiply: Multiply) {
    let gpu = gpu();
    let reports =
        cases::run_all(&mut |party, keys| Box::new(Cuda::new(&gpu, party, &keys).unwrap().multiplying(multiply)));
    let failed: Vec<String> = reports
        .iter()
        .filter_map(|report| report.outcome.as_ref().err().map(|error| format!("{}: {error}", report.name)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), reports.len(), failed.join("\n"));
}

#[test]
fn every_case_gives_the_words_of_its_definition() {
    every_case(Multiply::ByShape);
}

#[test]
fn products_of_bytes_give_the_words_of_their_definition() {
    products(Multiply::Bytes);
}

#[test]
fn products_of_residues_give_the_words_of_their_definition() {
    products(Multiply::Residues);
}

#[test]
fn products_of_words_give_the_words_of_their_definition() {
    products(Multiply::Words);
}

/// Runs the cases that multiply, in one way, and larger ones.
fn products(multiply: Multiply) {
    let gpu = gpu();
    let keys = [cases::stream_key(1), cases::stream_key(2)];
    let mut device = Cuda::new(&gpu, Party(1), &keys).unwrap().multiplying(multiply);
    let window = Window { size: [3, 3], stride: [1, 2], pad: [1, 1], dilation: [1, 1] };
    let large = [
        matmul([1, 130, 90, 70], [false, false], 2),
        of_sums(matmul([2, 129, 65, 257], [false, true], 2), [[2, -1], [1, 1]]),
        conv([2, 40, 9, 11], 70, window, 1, 2),
    ];
    let all = cases::all();
    let small =
        all.iter().filter(|case| case.party == Party(1) && case.name.contains("matmul") | case.name.contains("conv"));
    let mut ran = 0;
    for case in large.iter().chain(small) {
        assert_eq!(case.run(&mut device), Ok(()), "{}", case.name);
        ran += 1;
    }
    assert!(ran > 100, "{ran} cases");
}

#[test]
fn a_launch_that_is_known_still_needs_its_operands() {
    let keys = [cases::stream_key(1), cases::stream_key(2)];
    cases::known_launches(&mut Cuda::new(&gpu(), Party(1), &keys).unwrap()).unwrap();
}
