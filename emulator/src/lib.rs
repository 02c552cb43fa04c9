//! Runs PTX, the text that CUDA compilers produce, on the processor, and reports what a GPU would pass over in silence.
//!
//! - [`Module::parse`] reads PTX and refuses what it does not model.
//! - [`Launch::run`] runs a kernel over a grid. Every access is checked: bounds, alignment, bytes never written, races
//!   in shared memory, barriers and warp-wide instructions that not all threads reach, copies that are not waited for.
//! - Built as a shared library, it answers to the names of the CUDA driver; see [`driver`].
//!
//! Blocks run one after another, warps take turns at barriers, and the lanes of a warp execute together. Instructions
//! take no time: nothing here says how fast a kernel is.

mod decode;
pub mod driver;
mod error;
mod exec;
mod isa;
mod memory;
mod module;
mod parse;

pub use error::{Error, Fault, Report};
pub use exec::{Argument, Launch, Stats};
pub use memory::{Element, Memory, Touched, Written};
pub use module::{Entry, Module};
