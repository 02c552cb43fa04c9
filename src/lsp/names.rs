//! All places of a name: to list them, to mark them, to change them together.

use std::collections::BTreeSet;

use lsp_types::{DocumentHighlight, Location, TextEdit};

use super::document::Document;
use crate::diag::{Code, Diagnostic};
use crate::hir::{Meaning, Reference};
use crate::span::Span;
use crate::syntax::token::{self, Token};

/// The places in a document of the name at one of them, in order.
fn places(document: &Document, name: &Reference) -> BTreeSet<Span> {
    let all = document.analysis.references.all().iter();
    all.filter(|r| r.definition == name.definition && r.span.file == document.file).map(|r| r.span).collect()
}

fn name(document: &Document, offset: u32) -> Option<&Reference> {
    document.analysis.references.at(document.file, offset)
}

/// Where the name at a place is used, with its definition when that is wanted.
#[must_use]
pub fn references(document: &Document, offset: u32, definition: bool) -> Option<Vec<Location>> {
    let name = name(document, offset)?;
    let mut places = places(document, name);
    if definition {
        places.insert(name.definition);
    } else {
        places.remove(&name.definition);
    }
    Some(places.into_iter().filter_map(|span| document.location(span)).collect())
}

/// The places to mark with the one at the cursor.
#[must_use]
pub fn highlights(document: &Document, offset: u32) -> Option<Vec<DocumentHighlight>> {
    let lines = document.lines();
    let mark = |span| DocumentHighlight { range: lines.range(span), kind: None };
    Some(places(document, name(document, offset)?).into_iter().map(mark).collect())
}

/// The name that can be changed at a place.
///
/// # Errors
/// Says why it cannot.
pub fn renamed(document: &Document, offset: u32) -> Result<Span, String> {
    let name = name(document, offset).ok_or("there is no name here")?;
    let unread = |d: &Diagnostic| matches!(d.code, Code::UnknownCharacter | Code::Syntax | Code::BadNumber);
    if name.definition.file != document.file {
        return Err(format!("`{}` is defined in another file", document.sources.text(name.span)));
    }
    let shared = matches!(name.meaning, Meaning::Fn(_) | Meaning::Struct(_) | Meaning::Field(..) | Meaning::Param(..));
    if shared && document.analysis.program.entries.is_empty() {
        return Err("other files may use this name of a module".to_string());
    }
    if document.diags.iter().any(unread) {
        return Err("first mend what cannot be read: names in it would be missed".to_string());
    }
    Ok(name.span)
}

/// The changes that give the name at a place another spelling.
///
/// # Errors
/// Says why that cannot be, as when another name would come to mean something else.
pub fn rename(document: &Document, offset: u32, new: &str) -> Result<Vec<TextEdit>, String> {
    renamed(document, offset)?;
    let name = name(document, offset).ok_or("there is no name here")?;
    let tokens = token::lex(document.file, new, &mut Vec::new());
    if !matches!(tokens.as_slice(), [(0, Token::Ident(_), end)] if *end == new.len()) {
        return Err(format!("`{new}` is no name"));
    }
    let places = places(document, name);
    let mut text = document.text().to_string();
    for span in places.iter().rev() {
        text.replace_range(span.start as usize..span.end as usize, new);
    }
    // The same names must mean the same as before.
    let after = document.with_text(&text);
    if meanings(document) != meanings(&after) || document.diags.len() != after.diags.len() {
        return Err(format!("`{new}` already means something where it would stand"));
    }
    let lines = document.lines();
    Ok(places.into_iter().map(|span| TextEdit::new(lines.range(span), new.to_string())).collect())
}

/// For each name in the text, in order, which of the names defines it; none for those of the library.
fn meanings(document: &Document) -> Vec<Option<usize>> {
    let own = || document.analysis.references.all().iter().filter(|r| r.span.file == document.file);
    let places: BTreeSet<Span> = own().map(|r| r.span).collect();
    let index = |span: &Span| places.iter().position(|place| place == span);
    let uses: BTreeSet<(Span, Option<usize>)> = own().map(|r| (r.span, index(&r.definition))).collect();
    uses.into_iter().map(|(_, definition)| definition).collect()
}
