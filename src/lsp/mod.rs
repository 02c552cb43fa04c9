//! The language server: what an editor asks about open programs, answered from [`crate::hir::analyse`].
//!
//! Texts come from the editor, those of modules that it has not opened from [`Files`], and messages go over a pair of
//! channels, so nothing here does IO; `smlc lsp` connects the channels to stdin and stdout. One thread answers one message after the other. A panic while one is answered is
//! that one's failure.

mod completion;
mod context;
mod diagnostics;
mod document;
mod formatting;
mod hover;
mod names;
mod position;
mod server;
mod signature;
mod symbols;

#[cfg(test)]
mod tests;

pub use server::{Files, serve};
