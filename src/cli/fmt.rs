//! `smlc fmt`: formats programs in place, or checks that they are formatted.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::{Failure, Outcome, Talk, build, compile};
use crate::span::Sources;
use crate::syntax;

/// Format a program
#[derive(Debug, Args)]
pub(super) struct Fmt {
    /// The programs; `-` formats from stdin to stdout
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that are not formatted, and fail if there are any
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub fn run(&self, talk: Talk) -> Outcome {
        let mut unformatted = false;
        for path in &self.files {
            if path == Path::new("-") {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
                print!("{}", formatted("<stdin>", &text)?);
                continue;
            }
            let text = compile::read(path)?;
            let new = formatted(&path.display().to_string(), &text)?;
            if new == text {
                continue;
            }
            if self.check {
                unformatted = true;
                println!("{}", path.display());
            } else {
                build::write_whole(path, &new).with_context(|| format!("cannot write `{}`", path.display()))?;
            }
        }
        if unformatted {
            talk.error(&anyhow::anyhow!("the files above are not formatted; run `smlc fmt` on them"));
            return Err(Failure::Said(1));
        }
        Ok(())
    }
}

fn formatted(name: &str, text: &str) -> Result<String, Failure> {
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    syntax::format(file, text).map_err(|diags| Failure::Program(diags, sources))
}
