//! `smlc check`: errors and warnings, and who learns what.

use std::path::PathBuf;

use clap::Args;

use super::{Outcome, Talk, compile};

/// Check a program
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The program
    file: PathBuf,
}

impl Check {
    pub fn run(&self, talk: Talk) -> Outcome {
        let checked = compile::check(&self.file, talk)?;
        for entry in &checked.program.entries {
            println!("entry {}", entry.name);
            for line in checked.program.learns(entry) {
                println!("  {line}");
            }
        }
        Ok(())
    }
}
