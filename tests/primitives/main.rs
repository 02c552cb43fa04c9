//! Every primitive against what the protocols promise of what is sent: [`table`] has the cases, each module one promise
//! with the mistakes it was shown to find. A new primitive is a new row of the table.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../files/mod.rs"]
mod files;

mod costs;
mod fused;
mod openings;
mod planted;
mod random;
mod statistics;
mod streams;
mod table;
mod views;
