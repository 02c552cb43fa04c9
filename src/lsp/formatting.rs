//! Formatting as the smallest change of whole lines, so that cursors and marks stay where they are.

use lsp_types::{Range, TextEdit};

use super::document::Document;
use crate::syntax;

/// The changes that format a document; none when it cannot be read, which has been reported. Line ends stay `\r\n`
/// where they are.
#[must_use]
pub fn formatting(document: &Document) -> Vec<TextEdit> {
    let text = document.text();
    let Ok(new) = syntax::format(document.file, &text.replace("\r\n", "\n")) else { return Vec::new() };
    let old: Vec<&str> = text.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let alike = |(a, b): &(&&str, &&str)| a.trim_end_matches(['\r', '\n']) == b.trim_end_matches('\n') && ends(a, b);
    let before = old.iter().zip(&new).take_while(alike).count();
    if before == old.len() && before == new.len() {
        return Vec::new();
    }
    let rest = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(alike).count();
    let length = |lines: &[&str]| lines.iter().map(|line| line.len() as u32).sum::<u32>();
    let lines = document.lines();
    let start = lines.position(length(&old[..before]));
    let end = lines.position(length(&old[..old.len() - after]));
    let changed = new[before..new.len() - after].concat();
    let new_text = if text.contains("\r\n") { changed.replace('\n', "\r\n") } else { changed };
    vec![TextEdit { range: Range::new(start, end), new_text }]
}

/// Whether both lines are ended, or neither.
fn ends(a: &str, b: &str) -> bool {
    a.ends_with('\n') == b.ends_with('\n')
}
