//! Every operator of the language and of the standard library, over random tensors of odd shapes, on every backend.
//!
//! [`table`] says what an operator is; the modules after it have the rows. [`property`] runs them against the evaluator
//! in f64 and against plain code; [`planted`] shows that this comparison finds a mistake in any primitive. A new
//! operator is a new row; a new backend is a line of [`run::backends`].
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../files/mod.rs"]
mod files;

mod table;

mod bits;
mod elementwise;
mod functions;
mod losses;
mod moves;
mod pools;
mod products;
mod rows;

mod live;
mod mutate;
mod planted;
mod property;
mod run;
