//! `smlc explain`: what a diagnostic code means.

use clap::Args;

use super::{Outcome, output};
use crate::diag::codes::GROUPS;
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
            return output::print(list());
        };
        // `401` is E0401.
        let numbered = |code: &Code| text.parse() == code.entry().code[1..].parse::<u16>();
        let Some(code) = Code::find(text).or_else(|| Code::ALL.iter().copied().find(numbered)) else {
            let near = nearest(&text.to_ascii_uppercase(), Code::ALL.iter().map(|c| c.entry().code));
            let hint = near.map_or_else(|| "`smlc explain` lists all".to_string(), |n| format!("did you mean `{n}`?"));
            return Err(anyhow::anyhow!("there is no code `{text}`; {hint}").into());
        };
        let entry = code.entry();
        output::print(format!("{}: {}\n\n{}", entry.code, entry.title, for_terminal(entry.text)))
    }
}

/// All codes by group.
fn list() -> String {
    let mut groups = Vec::new();
    for (start, name) in GROUPS {
        let mut lines = format!("{start} {name}\n");
        for entry in Code::ALL.iter().map(|c| c.entry()).filter(|e| e.code.starts_with(start)) {
            lines += &format!("  {}  {}\n", entry.code, entry.title);
        }
        groups.push(lines);
    }
    groups.push("`smlc explain E0401` says more about one of them\n".to_string());
    groups.join("\n")
}

/// Markdown without its fences: what stands between them is indented instead.
fn for_terminal(markdown: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            inside = !inside;
            continue;
        }
        let indent = if inside && !line.is_empty() { "    " } else { "" };
        out.push_str(&format!("{indent}{line}\n"));
    }
    out
}
