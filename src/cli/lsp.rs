//! `smlc lsp`: the language server on stdin and stdout.

use std::str::FromStr as _;

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

/// The text of the file at a `file:` address.
fn read(uri: &str) -> Option<String> {
    let uri = lsp_types::Uri::from_str(uri).ok()?;
    if uri.scheme()?.as_str() != "file" {
        return None;
    }
    let path = uri.path().as_estr().decode().into_string().ok()?.into_owned();
    std::fs::read_to_string(path).ok()
}

impl LspCommand {
    pub fn run(&self) -> Outcome {
        let (connection, threads) = lsp_server::Connection::stdio();
        let in_order = lsp::serve(&connection, &read);
        // The writer ends when nobody can send any more.
        drop(connection);
        if !in_order {
            return Err(Failure::Said(1));
        }
        threads.join()?;
        Ok(())
    }
}
