//! The GPU backend on the emulated driver, whose kernels are the PTX that ships; with `SMLC_REQUIRE_GPU=1` on a real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod device;
mod networks;

use smlc::backend::cases;
use smlc::backend::cuda::Cuda;

use crate::device::gpu;

/// Runs all cases, on tensor cores or not.
fn every_case(tensor_cores: Option<bool>) {
    let gpu = gpu();
    let reports = cases::run_all(&mut |party, keys| {
        let device = Cuda::new(&gpu, party, &keys).unwrap();
        Box::new(match tensor_cores {
            None => device,
            Some(always) => device.with_tensor_cores(always),
        })
    });
    let failed: Vec<String> = reports
        .iter()
        .filter_map(|report| report.outcome.as_ref().err().map(|error| format!("{}: {error}", report.name)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), reports.len(), failed.join("\n"));
}

#[test]
fn every_case_gives_the_words_of_its_definition() {
    every_case(None);
}

#[test]
fn products_on_tensor_cores_give_the_words_of_their_definition() {
    every_case(Some(true));
}
