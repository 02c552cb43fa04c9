//! Diagnostics: one record for every message about a program or its data.
//!
//! Every stage appends to a `Vec<Diagnostic>` and goes on; only [`render`](mod@render) knows how a terminal looks.

pub mod codes;
pub mod json;
pub mod render;

pub use codes::Code;
pub use json::json;
pub use render::render;

use itertools::Itertools as _;

use crate::span::Span;

/// How many diagnostics of one run are told to people; the others are counted.
pub const MAX_TOLD: usize = 10;

/// How many diagnostics of one run are told to programs.
pub const MAX_JSON: usize = 1000;

/// A text of a diagnostic is cut to so many characters: a name or a type may be as long as the file.
const MAX_TEXT: usize = 600;

/// A list in a message names at most so many things.
const MAX_LISTED: usize = 24;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The program is refused.
    Error,
    /// The program is accepted; the author should look.
    Warning,
}

/// A place with a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What to say there; may be empty for the primary place.
    pub text: String,
}

/// One message: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Stable code, explained by `smlc explain`.
    pub code: Code,
    /// One line, lower case, names in backticks, no final period.
    pub message: String,
    /// The first label is the primary place.
    pub labels: Vec<Label>,
    /// Facts that help to understand.
    pub notes: Vec<String>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: cut(message.into()),
            labels: vec![Label { span, text: String::new() }],
            notes: Vec::new(),
            help: None,
        }
    }

    /// An error without a place in source text (data files, flags).
    #[must_use]
    pub fn global(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: cut(message.into()),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(self) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..self }
    }

    /// Sets the remark at the primary place.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(first) = self.labels.first_mut() {
            first.text = cut(text.into());
        }
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: cut(text.into()) });
        self
    }

    /// Adds a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(cut(text.into()));
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(cut(text.into()));
        self
    }
}

/// The text, or its start and its end when it is long.
fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT || text.chars().count() <= MAX_TEXT {
        return text;
    }
    let start: String = text.chars().take(MAX_TEXT * 3 / 4).collect();
    let end: Vec<char> = text.chars().rev().take(MAX_TEXT / 4 - 4).collect();
    format!("{start} .. {}", end.into_iter().rev().collect::<String>())
}

/// `a`, `b`, `c`; a long list ends in how many more there are.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    match names.count() {
        0 => shown.join(", "),
        more => {
            shown.push(format!("and {more} more"));
            shown.join(", ")
        }
    }
}

/// `and 3 more errors and 1 more warning`, for those that are not told.
fn more(rest: &[Diagnostic]) -> String {
    let count = |severity: Severity, word: &str| match rest.iter().filter(|d| d.severity == severity).count() {
        0 => None,
        1 => Some(format!("and 1 more {word}")),
        n => Some(format!("and {n} more {word}s")),
    };
    let parts = [count(Severity::Error, "error"), count(Severity::Warning, "warning")];
    parts.into_iter().flatten().join(" ")
}

/// Longer names, and more of them, are no matter of a slip of the fingers, and would take long to compare.
const MAX_COMPARED: usize = 64;
const MAX_CANDIDATES: usize = 2000;

/// How many slips of the fingers lead from one name to the other at most.
fn slips(name: &str, other: &str) -> usize {
    1.max(name.len().max(other.len()) / 3)
}

/// The candidate nearest to `name`, when it is near enough to be a typing mistake. Any letter is one change away from
/// any other, so a single one has none.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if !(2..=MAX_COMPARED).contains(&name.len()) {
        return None;
    }
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|c| c.len() <= MAX_COMPARED && c.len().abs_diff(name.len()) <= slips(name, c))
        .map(|c| (if c.eq_ignore_ascii_case(name) { 0 } else { strsim::damerau_levenshtein(name, c) }, c))
        .filter(|(d, c)| *d <= slips(name, c))
        .min()
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::FileId;

    #[test]
    fn long_texts_and_lists_are_cut() {
        let long = "ä".repeat(10_000) + "end";
        let diag = Diagnostic::global(Code::Syntax, long.as_str());
        assert!(diag.message.chars().count() <= MAX_TEXT && diag.message.ends_with("end"), "{}", diag.message);
        let names: Vec<String> = (0..200).map(|i| format!("n{i}")).collect();
        let listed = list(names.iter().map(String::as_str));
        assert!(listed.starts_with("`n0`, `n1`, ") && listed.ends_with("`n23`, and 176 more"), "{listed}");
        assert_eq!(list(["a", "b"]), "`a`, `b`");
    }

    #[test]
    fn only_short_names_are_compared() {
        assert_eq!(nearest("relo", ["select", "relu"]), Some("relu"));
        assert_eq!(nearest("GELU", ["relu", "gelu", "ReLU"]), Some("gelu"));
        let long = "a".repeat(1_000_000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("a", [long.as_str()]), None);
        let span = Span::new(FileId(0), 0, 1);
        assert_eq!(Diagnostic::error(Code::Syntax, span, long).message.chars().count(), MAX_TEXT);
    }
}
