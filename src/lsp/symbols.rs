//! The outline of a document: its structs with their fields, functions and entries.

use lsp_types::{DocumentSymbol, SymbolKind};

use super::document::Document;
use super::position::Lines;
use crate::span::Span;
use crate::syntax::ast;

/// The items of a document, in order.
#[must_use]
pub fn symbols(document: &Document) -> Vec<DocumentSymbol> {
    let lines = document.lines();
    let items = document.tree().into_iter().flat_map(|tree| &tree.items);
    items.map(|item| symbol(item, document, &lines)).collect()
}

fn symbol(item: &ast::Item, document: &Document, lines: &Lines<'_>) -> DocumentSymbol {
    let name = item.name();
    match item {
        ast::Item::Struct(s) => {
            let field = |field: &ast::Field| {
                let span = field.name.span.to(field.ty.span());
                let detail = document.sources.text(field.ty.span());
                one(&field.name, detail, SymbolKind::FIELD, span, lines)
            };
            let fields = s.fields.iter().map(field).collect();
            DocumentSymbol { children: Some(fields), ..one(name, "struct", SymbolKind::STRUCT, s.span, lines) }
        }
        ast::Item::Fn(f) => one(name, "fn", SymbolKind::FUNCTION, f.span, lines),
        ast::Item::Entry(e) => one(name, "entry", SymbolKind::FUNCTION, e.span, lines),
    }
}

#[allow(deprecated, reason = "the record has a field that its successor replaces")]
fn one(name: &ast::Ident, detail: &str, kind: SymbolKind, span: Span, lines: &Lines<'_>) -> DocumentSymbol {
    DocumentSymbol {
        name: name.name.clone(),
        detail: Some(detail.to_string()),
        kind,
        tags: None,
        deprecated: None,
        range: lines.range(span),
        selection_range: lines.range(name.span),
        children: None,
    }
}
