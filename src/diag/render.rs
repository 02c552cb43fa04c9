//! Diagnostics for a terminal: the message, the source lines it is about, notes and help. Knows ariadne; nothing else
//! in the crate knows how a terminal looks.

use std::fmt;

use ariadne::{Cache, CharSet, Color, Config, Fmt, IndexType, Label, Report, ReportKind, Source};

use super::{Diagnostic, Severity};
use crate::span::{FileId, Sources, Span};

/// Renders diagnostics in their order, an empty line between two. Without `color` the text has no escape codes.
#[must_use]
pub fn render(diags: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut cache =
        Texts { sources, parsed: sources.iter().map(|(_, file)| Source::from(file.text.as_str())).collect() };
    let rendered: Vec<String> = diags.iter().map(|diag| one(diag, &mut cache, color)).collect();
    rendered.join("\n")
}

/// The source texts in the form that ariadne reads them.
struct Texts<'a> {
    sources: &'a Sources,
    parsed: Vec<Source<&'a str>>,
}

impl<'a> Cache<FileId> for Texts<'a> {
    type Storage = &'a str;

    fn fetch(&mut self, id: &FileId) -> Result<&Source<&'a str>, impl fmt::Debug> {
        self.parsed.get(id.0 as usize).ok_or("a span of a file that is not among the sources")
    }

    fn display<'b>(&self, id: &'b FileId) -> Option<impl fmt::Display + 'b> {
        Some(self.sources.file(*id).name.clone())
    }
}

/// A span as ariadne wants it, never beyond the end of its file.
struct Place(FileId, std::ops::Range<usize>);

impl Place {
    fn new(span: Span, sources: &Sources) -> Place {
        let length = sources.file(span.file).text.len();
        let end = (span.end as usize).min(length);
        Place(span.file, (span.start as usize).min(end)..end)
    }
}

impl ariadne::Span for Place {
    type SourceId = FileId;

    fn source(&self) -> &FileId {
        &self.0
    }

    fn start(&self) -> usize {
        self.1.start
    }

    fn end(&self) -> usize {
        self.1.end
    }
}

fn one(diag: &Diagnostic, texts: &mut Texts<'_>, color: bool) -> String {
    let accent = match diag.severity {
        Severity::Error => Color::Red,
        Severity::Warning => Color::Yellow,
    };
    let mut out = heading(diag, color.then_some(accent));
    out.push_str(&excerpt(diag, texts, accent, color).unwrap_or_else(|| remarks(diag)));
    out
}

fn heading(diag: &Diagnostic, accent: Option<Color>) -> String {
    let word = match diag.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    format!("{}: {}\n", format!("{word}[{}]", diag.code).fg(accent), diag.message)
}

/// The source lines with labels, notes and help; `None` for a diagnostic without a place.
fn excerpt(diag: &Diagnostic, texts: &mut Texts<'_>, accent: Color, color: bool) -> Option<String> {
    let first = Place::new(diag.labels.first()?.span, texts.sources);
    let config = Config::new().with_color(color).with_index_type(IndexType::Byte).with_char_set(CharSet::Unicode);
    let mut report = Report::build(ReportKind::Error, first).with_config(config);
    report.with_notes(&diag.notes);
    report.with_helps(&diag.help);
    for (index, label) in diag.labels.iter().enumerate() {
        let primary = index == 0;
        // Where parts of the place have remarks of their own, "here" around them says nothing.
        let within = |other: &super::Label| {
            let (inner, outer) = (other.span, label.span);
            inner.file == outer.file && inner != outer && outer.to(inner) == outer
        };
        if primary && label.text.is_empty() && diag.labels.iter().any(within) {
            continue;
        }
        // Ariadne points at a place only with a text, however short.
        let text = if label.text.is_empty() { "here" } else { &label.text };
        let shown = Label::new(Place::new(label.span, texts.sources))
            .with_message(text)
            .with_color(if primary { accent } else { Color::Blue })
            .with_order(index as i32)
            .with_priority(i32::from(primary));
        report.add_label(shown);
    }
    let mut out = Vec::new();
    report.finish().write(texts, &mut out).ok()?;
    // Ariadne's first line is its own heading. Blanks at line ends would make expected outputs fragile.
    let lines = String::from_utf8_lossy(&out).lines().skip(1).map(|line| format!("{}\n", line.trim_end())).collect();
    Some(lines)
}

/// Notes and help without source lines, for data files and flags.
fn remarks(diag: &Diagnostic) -> String {
    let notes = diag.notes.iter().map(|note| format!("  Note: {note}\n"));
    let help = diag.help.iter().map(|help| format!("  Help: {help}\n"));
    notes.chain(help).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    fn sources() -> Sources {
        let mut sources = Sources::default();
        sources.add("model.sml", "owners a;\n\nlet x = \u{e4} + if;\nlet y = 2;\n");
        sources.add("<std>/nn.sml", "fn relu() -> fix { 0 }\n");
        sources
    }

    #[test]
    fn places_in_several_files() {
        let diag = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 24, 26), "expected an expression, found `if`")
            .label(Span::new(FileId(1), 3, 7), "defined here")
            .note("a note")
            .help("write something");
        let expected = r"error[E0102]: expected an expression, found `if`
   ╭─[ model.sml:3:13 ]
   │
 3 │ let x = ä + if;
   │             ─┬
   │              ╰── here
   │
   ├─[ <std>/nn.sml:1:4 ]
   │
 1 │ fn relu() -> fix { 0 }
   │    ──┬─
   │      ╰─── defined here
   │
   │ Help: write something
   │
   │ Note: a note
───╯
";
        assert_eq!(render(std::slice::from_ref(&diag), &sources(), false), expected);
        let warning = render(&[diag.warning()], &sources(), false);
        assert_eq!(warning, expected.replacen("error", "warning", 1));
    }

    #[test]
    fn ends_of_files_and_no_place() {
        let end = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 400, 500), "found the end of the file");
        let lines = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 11, 38), "two lines").here("text");
        let global =
            Diagnostic::global(Code::CannotRead, "cannot read `x.npy`").note("no such file").help("look again");
        let text = render(&[end, lines, global], &sources(), false);
        let expected = r"error[E0102]: found the end of the file
   ╭─[ model.sml:4:12 ]
   │
 4 │ let y = 2;
   │            │
   │            ╰─ here
───╯

error[E0102]: two lines
   ╭─[ model.sml:3:1 ]
   │
 3 │ ╭─▶ let x = ä + if;
 4 │ ├─▶ let y = 2;
   │ │
   │ ╰──────────────── text
───╯

error[E0701]: cannot read `x.npy`
  Note: no such file
  Help: look again
";
        assert_eq!(text, expected);
    }

    #[test]
    fn colour_is_a_choice() {
        let diag = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 0, 6), "a");
        assert!(!render(std::slice::from_ref(&diag), &sources(), false).contains('\u{1b}'));
        assert!(render(&[diag], &sources(), true).contains('\u{1b}'));
    }
}
