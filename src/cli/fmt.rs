//! `smlc fmt`: formats programs in place, or checks that they are formatted.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::{Failure, Outcome, Talk, build, compile, output};
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
        let mut code = 0;
        let mut unformatted = false;
        for path in &self.files {
            // One file's fault does not keep the others from being formatted.
            match self.one(path) {
                Ok(same) => unformatted |= !same,
                Err(Failure::Unread) => return Err(Failure::Unread),
                Err(failure) => code = code.max(talk.failure(&failure)),
            }
        }
        if unformatted {
            talk.error(&anyhow::anyhow!("the files above are not formatted; run `smlc fmt` on them"));
            code = code.max(1);
        }
        if code == 0 { Ok(()) } else { Err(Failure::Said(code)) }
    }

    /// Formats one file. False if it is only checked and not formatted; its name is written then.
    fn one(&self, path: &Path) -> Result<bool, Failure> {
        let stdin = path == Path::new("-");
        let name = if stdin { "<stdin>".to_string() } else { path.display().to_string() };
        let text = if stdin { read_stdin()? } else { compile::read(path)? };
        let new = formatted(&name, &text)?;
        if self.check {
            if new != text {
                output::line(name)?;
            }
            return Ok(new == text);
        }
        if stdin {
            output::print(&new)?;
        } else if new != text {
            build::write_whole(path, &new).with_context(|| format!("cannot write `{name}`"))?;
        }
        Ok(true)
    }
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
    Ok(text)
}

fn formatted(name: &str, text: &str) -> Result<String, Failure> {
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    syntax::format(file, text).map_err(|diags| Failure::Program(diags, sources))
}
