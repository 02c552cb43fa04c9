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

/// Bytes of the stack on which programs are checked.
const STACK: usize = 64 << 20;

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
        // Trees are walked recursively, and a stack that is too small could not be answered with an error.
        let in_order = std::thread::scope(|scope| {
            let server = std::thread::Builder::new().stack_size(STACK);
            let server = server.spawn_scoped(scope, || lsp::serve(&connection, &Disk))?;
            Ok::<bool, std::io::Error>(server.join().unwrap_or(false))
        })?;
        // The writer ends when nobody can send any more.
        drop(connection);
        if !in_order {
            return Err(Failure::Said(1));
        }
        threads.join()?;
        Ok(())
    }
}
