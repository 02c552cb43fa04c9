//! `smlc explain`: what a diagnostic code means.

use clap::Args;

use super::Outcome;
use crate::diag::{Code, nearest};

/// Explain a diagnostic code
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The code, such as E0401; without one, all codes are listed
    code: Option<String>,
}

impl Explain {
    pub fn run(&self) -> Outcome {
        let Some(text) = &self.code else {
            for code in Code::ALL {
                println!("{code}  {}", code.entry().title);
            }
            return Ok(());
        };
        let Some(code) = Code::find(text) else {
            let near = nearest(&text.to_ascii_uppercase(), Code::ALL.iter().map(|c| c.entry().code));
            let hint = near.map_or_else(|| "`smlc explain` lists all".to_string(), |n| format!("did you mean `{n}`?"));
            return Err(anyhow::anyhow!("there is no code `{text}`; {hint}").into());
        };
        let entry = code.entry();
        println!("{}: {}\n\n{}", entry.code, entry.title, entry.text);
        Ok(())
    }
}
