//! The formatter behind `smlc fmt`: one way to lay out a program. Knows text and tree; changes neither meaning nor
//! comments.
//!
//! Lines hold 100 characters and are indented by 4 blanks; a broken list ends in a comma. What the author decides stays:
//! blank lines (at most one), parentheses, where a pipe goes on in a new line, and whether a small block or struct is
//! written on one line. A comment inside of an expression moves above it.

mod expressions;
mod items;
mod trivia;

use super::ast::File;
use super::layout::Layout;
use super::parser;
use crate::diag::Diagnostic;
use crate::span::FileId;
use trivia::{Gap, Trivia};

const WIDTH: usize = 100;
const INDENT: usize = 4;

/// Formats a whole file, which ends in one newline; a file with errors is not touched.
///
/// # Errors
/// What the parser says about `text`, with places in `file`.
pub fn format(file: FileId, text: &str) -> Result<String, Vec<Diagnostic>> {
    let mut diags = Vec::new();
    let tree = parser::parse(file, text, &mut diags);
    if !diags.is_empty() {
        return Err(diags);
    }
    let mut formatter = Formatter { trivia: Trivia::new(file, text) };
    Ok(formatter.file(&tree).print(WIDTH))
}

struct Formatter<'a> {
    trivia: Trivia<'a>,
}

impl Formatter<'_> {
    fn file(&mut self, file: &File) -> Layout {
        let mut parts = Vec::new();
        let mut gap = Gap::First;
        for header in &file.headers {
            parts.extend([self.header(header, gap), Layout::HardLine]);
            gap = Gap::Kept;
        }
        if !file.headers.is_empty() {
            gap = Gap::Blank;
        }
        for import in &file.uses {
            parts.extend([self.import(import, gap), Layout::HardLine]);
            gap = Gap::Kept;
        }
        let mut roomy_above = true;
        for item in &file.items {
            let roomy = items::has_body(item);
            let gap = match (parts.is_empty(), roomy || roomy_above) {
                (true, _) => Gap::First,
                (false, true) => Gap::Blank,
                (false, false) => Gap::Kept,
            };
            roomy_above = roomy;
            parts.extend([self.item(item, gap), Layout::HardLine]);
        }
        let gap = if parts.is_empty() { Gap::First } else { Gap::Kept };
        parts.extend(self.trivia.dangling(usize::MAX, gap).into_iter().flat_map(|line| [line, Layout::HardLine]));
        Layout::Concat(parts)
    }
}

#[cfg(test)]
mod tests;
