//! What stands under the cursor: what it is, its type, whose data is in it, what its author says about it.

use itertools::Itertools as _;
use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind};

use super::document::Document;
use crate::hir::{Body, Expr, FnCode, Meaning, Program, Reference, Ty};
use crate::label::Label;
use crate::span::{FileId, Span};
use crate::syntax::ast;
use crate::syntax::token::{self, Token};

/// The answer for a place, if there is something to say.
#[must_use]
pub fn hover(document: &Document, offset: u32) -> Option<Hover> {
    let (span, text) = match document.analysis.references.at(document.file, offset) {
        Some(reference) => (reference.span, named(document, reference)?),
        None => expression(document, offset)?,
    };
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value: text });
    Some(Hover { contents, range: Some(document.lines().range(span)) })
}

/// What a name stands for.
fn named(document: &Document, reference: &Reference) -> Option<String> {
    let program = &document.analysis.program;
    let name = document.sources.text(reference.span);
    match &reference.meaning {
        Meaning::Local { ty, mutable } => {
            let declared = if *mutable { format!("var {name}: {ty}") } else { format!("{name}: {ty}") };
            let label = label(document, reference.span).or_else(|| label(document, reference.definition));
            Some(paragraphs([Some(code(&declared)), label]))
        }
        Meaning::Size(dim) => {
            let declared =
                if dim.as_var() == Some(name) { format!("{name}: nat") } else { format!("{name}: nat = {dim}") };
            Some(paragraphs([Some(code(&declared)), Some("a compile-time number".to_string())]))
        }
        Meaning::Rest => {
            Some(paragraphs([Some(code(&format!("..{name}"))), Some("any number of leading axes".to_string())]))
        }
        Meaning::Record => {
            let what = "any type that is added and scaled as a whole";
            Some(paragraphs([Some(code(&format!("{name}: record"))), Some(what.to_string())]))
        }
        Meaning::Fn(_) | Meaning::Struct(_) | Meaning::Entry => {
            let item = item(document, reference.definition)?;
            let here = if matches!(reference.meaning, Meaning::Fn(_)) && reference.span != reference.definition {
                gives(document, reference.span)
            } else {
                None
            };
            let learns = program.entries.iter().find(|e| e.span == reference.definition && document.diags.is_empty());
            let learns = learns.map(|entry| program.learns(entry).join("  \n"));
            Some(paragraphs([Some(code(&signature(document, item))), here, learns, doc(item)]))
        }
        Meaning::Field(id, index) => {
            let record = &program.structs[id.index()];
            let (field, declared) = record.fields.get(*index)?;
            let used = smallest(program, document.file, reference.span).filter(|e| e.span.end == reference.span.end);
            let ty = used.map_or(declared, |e| &e.ty);
            let label = used.and_then(|e| label(document, e.span));
            let owner = format!("field of `{}`", record.name);
            let about = field_doc(document, reference.definition);
            Some(paragraphs([Some(code(&format!("{field}: {ty}"))), Some(owner), label, about]))
        }
        Meaning::Param(id, index) => {
            let function = &program.fns[id.index()];
            let owner = format!("parameter of `{}`", function.name);
            let text = parameter(document, function.params.get(*index)?.span)?;
            Some(paragraphs([Some(code(&text)), Some(owner)]))
        }
        Meaning::Module(file) => {
            let module = document.analysis.modules.iter().find(|m| m.file == *file)?;
            let names: Vec<String> = module.own.iter().map(|(name, _)| format!("`{name}`")).collect();
            Some(paragraphs([Some(code(&format!("use {name}"))), Some(format!("offers {}", names.join(", ")))]))
        }
        Meaning::Owner => Some(paragraphs([Some(code(&format!("owners {name}"))), Some("a data owner".to_string())])),
    }
}

/// The smallest expression around an operator, a literal or a bracket.
fn expression(document: &Document, offset: u32) -> Option<(Span, String)> {
    let (start, end) = token_at(document, offset)?;
    let token = Span::new(document.file, start, end);
    let found = smallest(&document.analysis.program, document.file, token)?;
    Some((found.span, paragraphs([Some(code(&found.ty.to_string())), label(document, found.span)])))
}

/// The token at a place, if hovering it shows an expression.
fn token_at(document: &Document, offset: u32) -> Option<(usize, usize)> {
    let tokens = token::lex(document.file, document.text(), &mut Vec::new());
    let offset = offset as usize;
    let (start, token, end) = tokens.into_iter().find(|(start, _, end)| *start <= offset && offset < *end)?;
    let operator = matches!(
        token,
        Token::Plus
            | Token::Minus
            | Token::Star
            | Token::Slash
            | Token::Percent
            | Token::Not
            | Token::Pipe
            | Token::Less
            | Token::LessEqual
            | Token::Greater
            | Token::GreaterEqual
            | Token::Equal
            | Token::NotEqual
            | Token::And
            | Token::Or
    );
    let bracket = matches!(token, Token::OpenParen | Token::CloseParen | Token::OpenBracket | Token::CloseBracket);
    let literal = matches!(token, Token::True | Token::False | Token::Int(_) | Token::Float(_) | Token::TupleField(_));
    (operator || bracket || literal).then_some((start, end))
}

/// All expressions of a program.
fn expressions(program: &Program) -> impl Iterator<Item = &Expr> {
    let bodies = program.fns.iter().filter_map(|f| match &f.code {
        FnCode::Body(body) => Some(body),
        FnCode::Intrinsic(_) => None,
    });
    bodies.chain(program.entries.iter().map(|e| &e.body)).flat_map(|body: &Body| &body.exprs)
}

/// The smallest expression that covers a span, if it has a type worth telling.
fn smallest(program: &Program, file: FileId, span: Span) -> Option<&Expr> {
    let covers = |e: &&Expr| e.span.file == file && e.span.start <= span.start && span.end <= e.span.end;
    let found = expressions(program).filter(covers).min_by_key(|e| e.span.end - e.span.start)?;
    let tells = |e: &&Expr| !e.ty.is_error() && e.ty != Ty::unit() && !matches!(e.ty, Ty::Range(..));
    // Of several at one place the last is made of the others.
    expressions(program).filter(|e| e.span == found.span).filter(tells).last()
}

/// What a call gives at the place of its function's name.
fn gives(document: &Document, name: Span) -> Option<String> {
    let call = smallest(&document.analysis.program, document.file, name)?;
    let before = document.sources.text(Span { end: name.start, ..call.span });
    let label = label(document, call.span).map(|label| format!(", {label}")).unwrap_or_default();
    (before.is_empty() || before.ends_with("::")).then(|| format!("gives `{}` here{label}", call.ty))
}

/// Whose data is in the value at a place.
fn label(document: &Document, span: Span) -> Option<String> {
    let label: &Label = document.analysis.program.labels.get(&span)?;
    let owners = label.describe(&document.analysis.program.owners);
    let text = match (label.is_public(), label.single()) {
        (true, _) => "public".to_string(),
        (false, Some(_)) => format!("clear at {owners}"),
        (false, None) => format!("shared: depends on {owners}"),
    };
    let entries = document.tree().into_iter().flat_map(|tree| &tree.items).filter_map(|item| match item {
        ast::Item::Entry(entry) => Some(entry.span),
        ast::Item::Struct(_) | ast::Item::Fn(_) => None,
    });
    let in_entry = entries.into_iter().any(|e| e.start <= span.start && span.end <= e.end);
    Some(if in_entry { text } else { format!("{text} (all calls from entries together)") })
}

/// The item whose name stands at a place.
pub(super) fn item(document: &Document, name: Span) -> Option<&ast::Item> {
    let modules = document.analysis.modules.iter();
    modules.flat_map(|m| &m.tree.items).find(|item| item.name().span == name)
}

/// An item as written, without its body.
pub(super) fn signature(document: &Document, item: &ast::Item) -> String {
    let (whole, end) = match item {
        ast::Item::Struct(s) => (s.span, s.span.end),
        ast::Item::Fn(f) => (f.span, f.body.as_ref().map_or(f.span.end, |body| body.span.start)),
        ast::Item::Entry(e) => (e.span, e.body.span.start),
    };
    document.sources.text(Span { end, ..whole }).trim_end().trim_end_matches(';').to_string()
}

/// What the author says about an item.
pub(super) fn doc(item: &ast::Item) -> Option<String> {
    let doc = match item {
        ast::Item::Struct(s) => &s.doc,
        ast::Item::Fn(f) => &f.doc,
        ast::Item::Entry(e) => &e.doc,
    };
    Some(doc.clone()).filter(|doc| !doc.is_empty())
}

fn field_doc(document: &Document, name: Span) -> Option<String> {
    let items = document.analysis.modules.iter().flat_map(|m| &m.tree.items);
    let fields = items.flat_map(|item| match item {
        ast::Item::Struct(s) => s.fields.as_slice(),
        ast::Item::Fn(_) | ast::Item::Entry(_) => &[],
    });
    fields.filter(|f| f.name.span == name).map(|f| f.doc.clone()).find(|doc| !doc.is_empty())
}

/// A parameter as written, with its default.
pub(super) fn parameter(document: &Document, name: Span) -> Option<String> {
    let items = document.analysis.modules.iter().flat_map(|m| &m.tree.items);
    let params = items.flat_map(|item| match item {
        ast::Item::Fn(f) => f.params.as_slice(),
        ast::Item::Struct(_) | ast::Item::Entry(_) => &[],
    });
    let param = params.into_iter().find(|p| p.name.span == name)?;
    let end = param.default.as_ref().map_or(param.ty.span(), |e| e.span);
    Some(document.sources.text(name.to(end)).to_string())
}

pub(super) fn code(text: &str) -> String {
    format!("```sml\n{text}\n```")
}

pub(super) fn paragraphs<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().join("\n\n")
}
