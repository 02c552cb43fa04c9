//! `smlc lsp` as editors meet it: a process, messages over stdin and stdout.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod client;
mod completion;
mod modules;
mod names;
mod session;
