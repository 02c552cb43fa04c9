//! Lexer, parser and formatter. Parsing gives a tree and never panics; a text without errors can be formatted, which
//! changes neither the tree nor the comments; formatting twice is formatting once.

use smlc::diag::Diagnostic;
use smlc::span::{FileId, Sources};
use smlc::syntax::token::{self, Token};
use smlc::syntax::{dump, format, parse};

use super::{Reached, are_told_well};

const FILE: FileId = FileId(0);

pub fn run(text: &str) -> Reached {
    let mut diags = Vec::new();
    let tree = dump::ast(&parse(FILE, text, &mut diags));
    std::hint::black_box(dump::tokens(text));
    let mut sources = Sources::default();
    sources.add("fuzz.sml", text);
    are_told_well(&diags, &sources);
    match format(FILE, text) {
        Err(again) => {
            assert_eq!(again, diags, "the formatter reports other errors than the parser");
            Reached::Refused
        }
        Ok(formatted) => {
            assert_eq!(diags, [], "the formatter accepts what the parser refuses");
            is_stable(text, &tree, &formatted);
            Reached::Accepted
        }
    }
}

fn is_stable(text: &str, tree: &str, formatted: &str) {
    let mut diags: Vec<Diagnostic> = Vec::new();
    let again = dump::ast(&parse(FILE, formatted, &mut diags));
    assert_eq!(diags, [], "the formatted text has errors:\n{formatted}");
    assert_eq!(again, tree, "formatting changed the tree:\n{formatted}");
    assert_eq!(comments(formatted), comments(text), "formatting changed the comments:\n{formatted}");
    let twice = format(FILE, formatted).unwrap_or_else(|e| panic!("formatting again fails: {e:?}"));
    assert_eq!(twice, formatted, "formatting again changed the text");
}

/// All comments, sorted: one inside of an expression moves above it.
fn comments(text: &str) -> Vec<&str> {
    let tokens = token::lex(FILE, text, &mut Vec::new());
    let mut comments: Vec<&str> = tokens
        .into_iter()
        .filter_map(|(_, token, _)| match token {
            Token::Comment(line) | Token::Doc(line) => Some(line),
            _ => None,
        })
        .collect();
    comments.sort_unstable();
    comments
}
