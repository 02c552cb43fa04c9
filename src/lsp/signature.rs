//! The parameters of the function whose arguments are being written.

use itertools::Itertools as _;
use lsp_types::{Documentation, ParameterInformation, ParameterLabel, SignatureHelp, SignatureInformation};

use super::context::call_around;
use super::document::Document;
use super::hover::{doc, item, parameter, signature};
use crate::hir::Meaning;

/// The function around a place, with the parameter that is being given.
#[must_use]
pub fn signature_help(document: &Document, offset: u32) -> Option<SignatureHelp> {
    let (call, current) = call_around(&document.text()[..offset as usize])?;
    let mut modules = document.analysis.modules.iter();
    let names = match &call.module {
        Some(module) => &modules.find(|m| m.name == *module && m.file != document.file)?.own,
        None => &modules.find(|m| m.file == document.file)?.scope,
    };
    let (_, Meaning::Fn(id)) = names.iter().find(|(name, _)| *name == call.name)? else { return None };
    let function = &document.analysis.program.fns[id.index()];
    let found = item(document, function.span)?;
    let line = |text: String| text.split_whitespace().join(" ");
    let params = function.params.iter().map(|p| ParameterInformation {
        label: ParameterLabel::Simple(line(parameter(document, p.span).unwrap_or_else(|| p.name.clone()))),
        documentation: None,
    });
    let active = match &current {
        Some(name) => function.params.iter().position(|p| p.name == *name),
        None => Some(call.positional),
    };
    let active = active.filter(|index| *index < function.params.len()).map(|index| index as u32);
    Some(SignatureHelp {
        signatures: vec![SignatureInformation {
            label: line(signature(document, found)),
            documentation: doc(found).map(Documentation::String),
            parameters: Some(params.collect()),
            active_parameter: active,
        }],
        active_signature: Some(0),
        active_parameter: active,
    })
}
