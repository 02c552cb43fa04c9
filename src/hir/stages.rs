//! From a file to a checked program: the stages in their order.

use std::collections::BTreeSet;

use super::{Analysis, Modules, NoModules, Program, approx, labels, modules, names};
use crate::diag::{Code, Diagnostic, Severity};
use crate::span::{FileId, Sources};
use crate::syntax::parser;

/// Checks a program that is one file: [`check_with`] without modules of its own.
pub fn check(sources: &mut Sources, file: FileId, diags: &mut Vec<Diagnostic>) -> Option<Program> {
    check_with(sources, file, &mut NoModules, diags)
}

/// Checks the program in `file` with the modules it uses, which are added to `sources`. Problems go to `diags` in the
/// order of their places; `None` when any is an error. After syntax errors nothing more is said: what is missing from
/// the tree would only be missed again.
pub fn check_with(
    sources: &mut Sources,
    file: FileId,
    modules: &mut dyn Modules,
    diags: &mut Vec<Diagnostic>,
) -> Option<Program> {
    let before = diags.len();
    let analysis = analyse(sources, file, modules, diags);
    (!failed(&diags[before..])).then_some(analysis.program)
}

/// The same, with what an editor wants to know about names and places. It says as much as it can about a program
/// with errors, also about what could be read behind syntax errors.
pub fn analyse(
    sources: &mut Sources,
    file: FileId,
    modules: &mut dyn Modules,
    diags: &mut Vec<Diagnostic>,
) -> Analysis {
    let before = diags.len();
    let tree = parser::parse(file, &sources.file(file).text.clone(), diags);
    let (mut unread, mut unclear) = (Vec::new(), Vec::new());
    let files = modules::load(sources, file, tree, modules, &mut unread);
    let mut analysis = names::resolve(sources, files, &mut unclear);
    approx::check(&analysis.program, &mut unclear);
    analysis.program.labels = labels::check(&mut analysis.program, &mut unclear);
    for mut later in [unread, unclear] {
        if !failed(&diags[before..]) {
            diags.append(&mut later);
        }
    }
    diags[before..].sort_by_key(|d| d.labels.first().map(|l| (l.span.file, l.span.start)));
    // A type that is not there is told once a file.
    let mut told = BTreeSet::new();
    let mut later = diags.split_off(before);
    later.retain(|d| {
        let file = d.labels.first().map(|l| l.span.file);
        d.code != Code::UnknownType || told.insert((file, d.message.clone()))
    });
    diags.append(&mut later);
    analysis
}

fn failed(diags: &[Diagnostic]) -> bool {
    diags.iter().any(|d| d.severity == Severity::Error)
}
