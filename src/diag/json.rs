//! Diagnostics for programs: one JSON object a line (`--message-format json`). Lines and columns count from 1,
//! columns in characters; the end is one past the last character.

use serde::Serialize;

use super::{Diagnostic, MAX_JSON, Severity, more};
use crate::span::{Sources, Span};

#[derive(Serialize)]
struct Message<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    #[serde(flatten)]
    place: Option<Place<'a>>,
    labels: Vec<Remark<'a>>,
    notes: &'a [String],
    help: Option<&'a str>,
}

#[derive(Serialize)]
struct Remark<'a> {
    text: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

/// Writes each diagnostic as one line of JSON. `file` to `end_column` are those of the first label and absent without
/// one; `labels` lists all. After the first [`MAX_JSON`] a last line says how many more there are.
#[must_use]
pub fn json(diags: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for diag in &diags[..diags.len().min(MAX_JSON)] {
        let message = Message {
            code: diag.code.entry().code,
            severity: match diag.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &diag.message,
            place: diag.labels.first().map(|label| place(label.span, sources)),
            labels: diag.labels.iter().map(|l| Remark { text: &l.text, place: place(l.span, sources) }).collect(),
            notes: &diag.notes,
            help: diag.help.as_deref(),
        };
        out.push_str(&serde_json::to_string(&message).expect("strings and numbers always serialise"));
        out.push('\n');
    }
    if diags.len() > MAX_JSON {
        let rest = more(&diags[MAX_JSON..]);
        out.push_str(&serde_json::json!({ "severity": "error", "message": rest }).to_string());
        out.push('\n');
    }
    out
}

fn place(span: Span, sources: &Sources) -> Place<'_> {
    let (line, column) = sources.line_col(span);
    let (end_line, end_column) = sources.line_col(Span { start: span.end, ..span });
    Place { file: &sources.file(span.file).name, line, column, end_line, end_column }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;
    use crate::span::FileId;

    #[test]
    fn one_line_each() {
        let mut sources = Sources::default();
        sources.add("m.sml", "a\nb c\n");
        let placed = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 2, 3), "no").here("this").help("try");
        let global = Diagnostic::global(Code::CannotRead, "gone").warning();
        assert_eq!(
            json(&[placed, global], &sources),
            concat!(
                r#"{"code":"E0102","severity":"error","message":"no","file":"m.sml","line":2,"column":1,"#,
                r#""end_line":2,"end_column":2,"labels":[{"text":"this","file":"m.sml","line":2,"column":1,"#,
                r#""end_line":2,"end_column":2}],"notes":[],"help":"try"}"#,
                "\n",
                r#"{"code":"E0701","severity":"warning","message":"gone","labels":[],"notes":[],"help":null}"#,
                "\n"
            )
        );
    }
}
