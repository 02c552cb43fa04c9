//! `smlc lsp` as editors meet it: a process, messages over stdin and stdout.

mod answers;
mod client;
mod completion;
mod session;
