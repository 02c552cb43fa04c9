//! Runs the CUDA kernels' PTX on the emulator, against definitions as plain as can be.
//!
//! The PTX is that of `kernels/ptx`, or of the directory that `SMLC_PTX_DIR` names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod aes;
mod conv;
mod device;
mod gemm;
mod moves;
mod planes;
mod probe;
mod residue;
mod streams;
mod sums;
mod tables;
mod terms;
mod wire;
