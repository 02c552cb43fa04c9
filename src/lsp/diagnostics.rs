//! The checker's messages as editors show them.

use lsp_types::{DiagnosticRelatedInformation, DiagnosticSeverity, NumberOrString};

use super::document::Document;
use crate::diag::{Diagnostic, Severity};
use crate::span::Span;

/// The messages about a document. Without `related` the other places of a message are told in its text.
#[must_use]
pub fn diagnostics(document: &Document, related: bool) -> Vec<lsp_types::Diagnostic> {
    document.diags.iter().map(|diag| one(document, diag, related)).collect()
}

fn one(document: &Document, diag: &Diagnostic, related: bool) -> lsp_types::Diagnostic {
    let here = |index: &usize| diag.labels[*index].span.file == document.file;
    let places = 0..diag.labels.len();
    // What is wrong may lie in the library; the last label then is the call of it in the entry.
    let primary =
        if places.clone().next().is_some_and(|first| here(&first)) { Some(0) } else { places.clone().rev().find(here) };
    let place = match primary {
        Some(index) => Some(diag.labels[index].span),
        None => diag.labels.first().and_then(|first| used(document, first.span)),
    };
    let mut lines = vec![diag.message.clone()];
    if let Some(first) = diag.labels.first().filter(|first| !first.text.is_empty()) {
        lines.push(first.text.clone());
    }
    let mut others = Vec::new();
    for index in places.filter(|index| Some(*index) != primary) {
        let label = &diag.labels[index];
        let text = if label.text.is_empty() { "here" } else { &label.text };
        match document.location(label.span) {
            Some(location) if related => {
                others.push(DiagnosticRelatedInformation { location, message: text.to_string() });
            }
            _ => lines.push(format!("{}: {text}", document.sources.place(label.span))),
        }
    }
    lines.extend(diag.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(diag.help.iter().map(|help| format!("help: {help}")));
    lsp_types::Diagnostic {
        range: place.map(|span| document.lines().range(span)).unwrap_or_default(),
        severity: Some(match diag.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(diag.code.to_string())),
        source: Some("smlc".to_string()),
        message: lines.join("\n"),
        related_information: Some(others).filter(|others| !others.is_empty()),
        ..lsp_types::Diagnostic::default()
    }
}

/// Where a document names the module in which a place lies; the first of its own modules when it does so through another.
fn used(document: &Document, place: Span) -> Option<Span> {
    let modules = &document.analysis.modules;
    let uses = || document.tree().into_iter().flat_map(|tree| &tree.uses).map(|line| &line.module);
    let direct = modules.iter().find(|m| m.file == place.file)?;
    let own = |name: &str| modules.iter().any(|m| !m.library && m.name == name);
    let named = uses().find(|name| name.name == direct.name).or_else(|| uses().find(|name| own(&name.name)));
    named.map(|name| name.span)
}
