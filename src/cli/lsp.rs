//! `smlc lsp`: the language server on stdin and stdout.

use clap::Args;

use super::{Failure, Outcome};
use crate::lsp;

/// Answer an editor: a language server on stdin and stdout
#[derive(Debug, Args)]
pub(super) struct LspCommand {
    /// What editors pass to say that stdin and stdout are used; they always are
    #[arg(long, hide = true)]
    stdio: bool,
}

/// Files as they lie on disk.
struct Disk;

impl lsp::Files for Disk {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }
}

impl LspCommand {
    pub fn run(&self) -> Outcome {
        let (connection, threads) = lsp_server::Connection::stdio();
        let in_order = lsp::serve(&connection, &Disk);
        // The writer ends when nobody can send any more.
        drop(connection);
        if !in_order {
            return Err(Failure::Said(1));
        }
        threads.join()?;
        Ok(())
    }
}
