//! Damaged programs at every cursor: each question is answered, none ends in a panic.

use std::str::FromStr as _;

use lsp_types::Uri;

use super::document::Document;
use super::position::Encoding;
use super::{completion, diagnostics, formatting, hover, names, signature, symbols};
use crate::hir::NoModules;

const PROGRAM: &str = "owners a, b; // \u{1d11e}
fixed(int = 16, frac = 16);
use nn::{Linear, linear};
/// \u{e4}
struct P[C] { w: Linear[C, 2], t: (fix, [fix[C]; 2]) }
fn f[..S](x: fix[..S], k: nat = 1) -> fix[..S] { let m = k + 1; x * m }
entry e[N](x: fix[N, 3] from a, p: P[3] from b) -> (fix[N, 2] to a, fix to all) {
    var h = x |> f(k = 2);
    for i in 0..3 { h = h + x[.., i..i + 1]; }
    let q = P { w: p.w, t: p.t };
    reveal p.t.0 to b;
    if N > 2 { (linear(h, q.w), p.t.0) } else { (nn::linear(x, p.w), -p.t.0) }
}
";

fn ask_everything(text: &str, step: usize) {
    let uri = Uri::from_str("file:///m.sml").unwrap();
    let document = Document::new(uri, text, Encoding::Utf16, &mut NoModules);
    let _ = diagnostics::diagnostics(&document, false);
    let _ = diagnostics::diagnostics(&document, true);
    let _ = formatting::formatting(&document);
    let _ = symbols::symbols(&document);
    for (count, offset) in (0..=text.len()).filter(|at| text.is_char_boundary(*at)).enumerate() {
        let _ = hover::hover(&document, offset as u32);
        let _ = signature::signature_help(&document, offset as u32);
        let _ = names::highlights(&document, offset as u32);
        if count % step == 0 {
            let _ = completion::completion(&document, offset as u32);
            let _ = names::rename(&document, offset as u32, "other");
        }
        if let Some(reference) = document.analysis.references.at(document.file, offset as u32) {
            assert!(document.location(reference.definition).is_some(), "{reference:?}");
        }
    }
}

#[test]
fn every_place_of_a_program() {
    ask_everything(PROGRAM, 5);
}

#[test]
fn every_beginning_of_a_program() {
    for (count, (end, _)) in PROGRAM.char_indices().enumerate() {
        if count % 29 == 0 {
            ask_everything(&PROGRAM[..end], 1_000);
            let uri = Uri::from_str("file:///m.sml").unwrap();
            let _ = completion::completion(
                &Document::new(uri, &PROGRAM[..end], Encoding::Utf16, &mut NoModules),
                end as u32,
            );
        }
    }
}

#[test]
fn programs_without_a_word() {
    let words: Vec<&str> = PROGRAM.split_inclusive(|c: char| !c.is_alphanumeric()).collect();
    for skip in (0..words.len()).step_by(16) {
        let mut damaged = words.clone();
        damaged.remove(skip);
        ask_everything(&damaged.concat(), 200);
    }
}

#[test]
fn severities_are_passed_on() {
    let uri = Uri::from_str("file:///m.sml").unwrap();
    let text = PROGRAM.replace("k + 1;", "k + l;");
    let mut document = Document::new(uri, &text, Encoding::Utf16, &mut NoModules);
    let severities = |document: &Document| -> Vec<_> {
        diagnostics::diagnostics(document, true).into_iter().map(|d| d.severity).collect()
    };
    assert_eq!(severities(&document), [Some(lsp_types::DiagnosticSeverity::ERROR)]);
    document.diags = document.diags.iter().map(|d| d.clone().warning()).collect();
    assert_eq!(severities(&document), [Some(lsp_types::DiagnosticSeverity::WARNING)]);
}
