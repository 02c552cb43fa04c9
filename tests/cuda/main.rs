//! The GPU backend on the emulated driver, whose kernels are the PTX that ships; with `SMLC_REQUIRE_GPU=1` on a real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod device;
mod failures;
mod gpu_check;
mod line;
mod mistakes;
mod networks;
mod peers;

use std::path::Path;
use std::process::Command;

use smlc::backend::cases::products::{conv, deep_in_bytes, deep_in_residues, matmul, of_sums};
use smlc::backend::cases::{self, Case};
use smlc::backend::ceilings::{Unit, Work};
use smlc::backend::cuda::{Cuda, Multiply};
use smlc::backend::{Backend as _, Launch};
use smlc::graph::Window;
use smlc::plan::{Kernel, Party};

use crate::device::{gpu, is_emulated};

/// Runs cases, multiplying in one way.
fn run(cases: &[Case], multiply: Multiply) {
    let gpu = gpu();
    let reports =
        cases::run(cases, &mut |party, keys| Box::new(Cuda::new(&gpu, party, &keys).unwrap().multiplying(multiply)));
    let failed: Vec<String> = reports
        .iter()
        .filter_map(|report| report.outcome.as_ref().err().map(|error| format!("{}: {error}", report.name)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), reports.len(), failed.join("\n"));
}

#[test]
fn every_case_gives_the_words_of_its_definition() {
    run(&cases::all(), Multiply::ByShape);
}

/// The element programs of all cases.
const PROGRAMS: &str = "element_programs_give_the_words_of_their_definition";

#[test]
fn element_programs_give_the_words_of_their_definition() {
    let all = cases::all().into_iter().filter(|case| matches!(case.kernel, Kernel::Map(_)));
    // Larger ones are run with all others.
    let small = |case: &Case| case.bufs.iter().map(|buf| buf.words()).sum::<usize>() < 5_000;
    run(&all.filter(small).collect::<Vec<_>>(), Multiply::ByShape);
}

/// Mistakes in the kernels that element programs become: bits that are taken from words, results that threads pack together.
#[test]
fn mistakes_in_element_programs_are_noticed() {
    if !is_emulated() {
        return;
    }
    let passes = |edit: &str| {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        let done = tests.args(["--exact", PROGRAMS]).env("SMLC_SIM_EDIT", edit).output().unwrap();
        assert!(String::from_utf8_lossy(&done.stdout).contains("running 1 test"), "{PROGRAMS} is no test");
        done.status.success()
    };
    assert!(passes(""), "without a mistake");
    let mistakes = [
        // A byte of the wrong lane, bits of the wrong one, a level that turns too far, one that exchanges with another lane.
        "0x3715=>0x3705",
        "%t17, 0xe4=>%t17, 0xd8",
        "%t18, 0x1f, 0x1=>%t18, 0x1e, 0x1",
        ", 4, 31, 0xffffffff=>, 8, 31, 0xffffffff",
        // Planes are read before they are there; some words are missing; lanes' rows overlap; words past the last one count.
        "bar.warp.sync 0xffffffff;=>",
        "%t20, 32;=>%t20, 28;",
        "%t8, 264, %t5=>%t8, 256, %t5",
        "@%p1 ld.global.u64=>ld.global.u64",
        // Both halves of a word are the first one.
        "{%t22, %t23}=>{%t22, %t22}",
        // Words of a message are made before the block's elements are there, or not wholly; elements stay while others need the room.
        "st.shared.u64 [%t5], =>st.shared.u64 [%t4], ",
        "bar.sync 0;=>",
        "shl.b32 %t5, %t1, 6=>shl.b32 %t5, %t1, 5",
    ];
    for mistake in mistakes {
        assert!(!passes(mistake), "{mistake} is not noticed");
    }
}

/// What `scripts/kernels` makes is in the program, file by file; what each declares is compared there.
#[test]
fn all_kernels_are_part_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = std::fs::read_to_string(folder.join("src/backend/cuda/kernels.rs")).unwrap();
    let files: Vec<_> =
        std::fs::read_dir(folder.join("kernels/ptx")).unwrap().map(|file| file.unwrap().file_name()).collect();
    for name in files.iter().map(|name| name.to_str().unwrap()) {
        assert!(rows.contains(&format!("include_str!(\"../../../kernels/ptx/{name}\")")), "{name}");
    }
    assert_eq!(rows.matches("include_str!").count(), files.len());
}

#[test]
fn products_of_bytes_give_the_words_of_their_definition() {
    products(Multiply::Bytes);
}

#[test]
fn products_of_planes_give_the_words_of_their_definition() {
    products(Multiply::Planes);
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
    let deep = match multiply {
        Multiply::Bytes | Multiply::Planes => deep_in_bytes().into(),
        Multiply::Residues => vec![deep_in_residues()],
        _ => Vec::new(),
    };
    let all = cases::all();
    let small =
        all.iter().filter(|case| case.party == Party(1) && case.name.contains("matmul") | case.name.contains("conv"));
    let mut ran = 0;
    for case in large.iter().chain(&deep).chain(small) {
        assert_eq!(case.run(&mut device), Ok(()), "{}", case.name);
        ran += 1;
    }
    assert!(ran > 100, "{ran} cases");
}

/// What a launch needs of a unit, and what units are exerted by.
#[test]
fn work_is_counted() {
    let keys = [cases::stream_key(1), cases::stream_key(2)];
    let needs = |case: &Case, multiply: Multiply, unit: Unit| {
        let mut device = Cuda::new(&gpu(), case.party, &keys).unwrap().multiplying(multiply);
        let mut rates = Work::default();
        // All but one unit take no time.
        Unit::ALL.iter().for_each(|other| rates.add(*other, if *other == unit { 1.0 } else { f64::INFINITY }));
        let Case { kernel, ins, streams, outs, bufs, .. } = case;
        let needs = device.ceilings().unwrap().needs(&Launch { kernel, ins, streams, outs, bufs, site: None });
        needs.bound(&rates).filter(|bound| bound.0 == unit).map(|bound| bound.1)
    };
    let product = matmul([1, 130, 90, 70], [false, false], 2);
    let multiply_adds = 2.0 * 130.0 * 90.0 * 70.0;
    assert_eq!(needs(&product, Multiply::Bytes, Unit::ByteProducts), Some(36.0 * multiply_adds));
    assert_eq!(needs(&product, Multiply::Planes, Unit::ByteProducts), Some(36.0 * multiply_adds));
    assert_eq!(needs(&product, Multiply::Residues, Unit::ByteProducts), Some(18.0 * multiply_adds));
    assert_eq!(needs(&product, Multiply::Words, Unit::MultiplyAdds), Some(4.0 * multiply_adds));
    assert_eq!(needs(&product, Multiply::Words, Unit::ByteProducts), None);
    let words = 2 * (130 * 90 + 90 * 70) + 130 * 70;
    assert_eq!(needs(&product, Multiply::Words, Unit::Memory), Some(8.0 * f64::from(words)));
    let window = Window::new([3, 3], [1, 1], [1, 1]);
    let sums = of_sums(conv([2, 40, 9, 11], 70, window, 2, 2), [[2, -1], [1, 1]]);
    assert_eq!(needs(&sums, Multiply::Bytes, Unit::ByteProducts), Some(36.0 * f64::from(2 * 99 * 70 * 20 * 9)));
    let (gpu, mut exerted) = (gpu(), Vec::new());
    let mut device = Cuda::new(&gpu, Party(1), &keys).unwrap();
    for unit in Unit::ALL {
        exerted.push([2, 4].map(|rounds| device.ceilings().unwrap().exert(unit, rounds).unwrap()));
    }
    assert_eq!(exerted[0], [None, None]);
    let [bytes, adds, lookups] = [1, 2, 3].map(|unit: usize| exerted[unit].map(Option::unwrap));
    assert_eq!((bytes[1], adds[1], adds), (2.0 * bytes[0], 2.0 * adds[0], lookups));
    // A warp's 4,096 products beside the 32 multiply-adds of its lanes, in half as many warps.
    assert_eq!(bytes[0], 64.0 * adds[0]);
    if is_emulated() {
        // Two blocks of 512 threads a multiprocessor, 8 chains, 2 rounds.
        assert_eq!(adds[0], f64::from(132 * 2 * 512 * 8 * 2));
    }
}

#[test]
fn a_launch_that_is_known_still_needs_its_operands() {
    let keys = [cases::stream_key(1), cases::stream_key(2)];
    cases::known_launches(&mut Cuda::new(&gpu(), Party(1), &keys).unwrap()).unwrap();
}

#[test]
fn factors_that_stay_may_change() {
    let keys = [cases::stream_key(1), cases::stream_key(2)];
    cases::products::lasting_factors(&mut Cuda::new(&gpu(), Party(1), &keys).unwrap()).unwrap();
}
