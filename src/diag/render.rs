//! Diagnostics for a terminal: the message, the source lines it is about, notes and help. Knows ariadne; nothing else
//! in the crate knows how a terminal looks.

use std::borrow::Cow;
use std::fmt;

use ariadne::{Cache, CharSet, Color, Config, Fmt, IndexType, Label, Report, ReportKind, Source};

use super::{Diagnostic, MAX_TOLD, Severity, more};
use crate::span::{FileId, Sources, Span};

/// One message takes at most so many lines: what does not fit is counted.
const MAX_LINES: usize = 20;

/// Places and notes that are tried; fewer are shown when they take too many lines.
const MAX_LABELS: usize = 6;
const MAX_NOTES: usize = 8;

/// A source line is shown in full up to so many characters, otherwise from a little before the first place in it.
const MAX_COLUMNS: usize = 160;
const BEFORE: usize = 40;

/// Renders diagnostics in their order, an empty line between two, and says how many there are after the first
/// [`MAX_TOLD`]. Without `color` the text has no escape codes.
#[must_use]
pub fn render(diags: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut texts = Texts {
        sources,
        parsed: sources.iter().map(|(_, file)| Source::from(Cow::from(file.text.as_str()))).collect(),
    };
    let told = &diags[..diags.len().min(MAX_TOLD)];
    let mut rendered: Vec<String> = told.iter().map(|diag| one(diag, &mut texts, color)).collect();
    if diags.len() > told.len() {
        rendered.push(format!("{}\n", more(&diags[told.len()..])));
    }
    rendered.join("\n")
}

/// The source texts in the form that ariadne reads them.
struct Texts<'a> {
    sources: &'a Sources,
    parsed: Vec<Source<Cow<'a, str>>>,
}

impl<'a> Cache<FileId> for Texts<'a> {
    type Storage = Cow<'a, str>;

    fn fetch(&mut self, id: &FileId) -> Result<&Source<Cow<'a, str>>, impl fmt::Debug> {
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
    let heading = heading(diag, color.then_some(accent));
    let long: Vec<FileId> = long_lines(diag, texts.sources);
    let shown = |labels: usize, notes: usize, texts: &mut Texts<'_>| {
        let mut shown = diag.clone();
        shown.labels.truncate(labels);
        shown.notes.truncate(notes);
        let left_out =
            [(diag.labels.len() - shown.labels.len(), "place"), (diag.notes.len() - shown.notes.len(), "note")];
        for (count, what) in left_out {
            match count {
                0 => {}
                1 => shown.notes.push(format!("and 1 more {what}")),
                n => shown.notes.push(format!("and {n} more {what}s")),
            }
        }
        let body = if long.is_empty() {
            excerpt(&shown, texts, accent, color)
        } else {
            narrow(&shown, &long, texts.sources, accent, color)
        };
        heading.clone() + &body.unwrap_or_else(|| remarks(&shown))
    };
    let (mut labels, mut notes) = (diag.labels.len().min(MAX_LABELS), diag.notes.len().min(MAX_NOTES));
    loop {
        let text = shown(labels, notes, texts);
        if text.lines().count() <= MAX_LINES || labels <= 1 && notes == 0 {
            return text;
        }
        if labels > 1 { labels -= 1 } else { notes -= 1 }
    }
}

/// The files in which a place of the diagnostic starts or ends in a long line.
fn long_lines(diag: &Diagnostic, sources: &Sources) -> Vec<FileId> {
    let is_long = |span: Span| {
        let Place(_, range) = Place::new(span, sources);
        let text = &sources.file(span.file).text;
        [range.start, range.end].into_iter().any(|at| line_at(text, at).len() > MAX_COLUMNS)
    };
    let mut files: Vec<FileId> = diag.labels.iter().map(|l| l.span).filter(|s| is_long(*s)).map(|s| s.file).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// The byte range of the line that holds the byte `at`, without its end.
fn line_at(text: &str, at: usize) -> std::ops::Range<usize> {
    let before = text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |found| found + 1);
    let after = text.as_bytes()[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |found| at + found);
    before..after
}

/// The excerpt with a piece of each long line instead of the whole.
fn narrow(original: &Diagnostic, long: &[FileId], sources: &Sources, accent: Color, color: bool) -> Option<String> {
    let mut diag = original.clone();
    let mut narrowed = Sources::default();
    for (id, file) in sources.iter() {
        if !long.contains(&id) {
            narrowed.add(file.name.as_str(), file.text.as_str());
            continue;
        }
        let places: Vec<usize> =
            diag.labels.iter().filter(|l| l.span.file == id).map(|l| l.span.start as usize).collect();
        let (mut text, mut moved) = (String::new(), Vec::new());
        let mut start = 0;
        for line in file.text.split_inclusive('\n') {
            let first = places.iter().filter(|at| (start..start + line.len()).contains(*at)).min();
            let kept = piece(line, first.map_or(0, |at| at - start));
            moved.push((start + kept.start, start + kept.end, text.len()));
            text.push_str(&line[kept.clone()]);
            if kept.end < line.len() && line.ends_with('\n') {
                text.push('\n');
            }
            start += line.len();
        }
        for label in diag.labels.iter_mut().filter(|l| l.span.file == id) {
            let to = |at: u32| {
                let at = at as usize;
                let line = moved.partition_point(|(first, ..)| *first <= at).saturating_sub(1);
                let (first, last, new) = moved.get(line).copied().unwrap_or_default();
                new + at.clamp(first, last) - first
            };
            label.span = Span::new(id, to(label.span.start), to(label.span.end));
        }
        narrowed.add(file.name.as_str(), text);
    }
    let parsed = narrowed.iter().map(|(_, file)| Source::from(Cow::from(file.text.as_str()))).collect();
    let told = excerpt(&diag, &mut Texts { sources: &narrowed, parsed }, accent, color)?;
    // The column is that of the whole line.
    let place = |sources: &Sources, diag: &Diagnostic| diag.labels.first().map(|l| sources.place(l.span));
    Some(told.replace(&place(&narrowed, &diag)?, &place(sources, original)?))
}

/// What is kept of a line: all of it, or some characters around the byte `at`.
fn piece(line: &str, at: usize) -> std::ops::Range<usize> {
    if line.len() <= MAX_COLUMNS {
        return 0..line.len();
    }
    let start = line[..at].char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at);
    let end = line[start..].char_indices().nth(MAX_COLUMNS).map_or(line.len(), |(at, _)| start + at);
    start..end
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

    fn told(diag: Diagnostic, sources: &Sources) -> String {
        let text = render(&[diag], sources, false);
        assert!(text.lines().count() <= MAX_LINES, "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 2 * MAX_COLUMNS), "{text}");
        text
    }

    #[test]
    fn many_places_and_notes_are_counted() {
        let mut sources = Sources::default();
        sources.add("m.sml", "let x = 1;\n".repeat(100));
        let at = |line: usize| Span::new(FileId(0), line * 11 + 4, line * 11 + 5);
        let diag = (1..40).fold(Diagnostic::error(Code::Syntax, at(0), "m"), |d, i| d.label(at(2 * i), "here"));
        let text = told(diag, &sources);
        assert!(text.contains("Note: and 3") && text.contains(" more places"), "{text}");
        let noted = (0..40).fold(Diagnostic::error(Code::Syntax, at(0), "m"), |d, i| d.note(format!("note {i}")));
        let text = told(noted, &sources);
        assert!(text.contains("note 2") && text.contains(" more notes"), "{text}");
        let global = (0..40).fold(Diagnostic::global(Code::Tensors, "m"), |d, i| d.note(format!("note {i}")));
        assert!(told(global, &sources).contains("Note: and 32 more notes"));
        let whole = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 0, 1000), "all of it");
        assert!(told(whole, &sources).contains("let x = 1;"));
    }

    #[test]
    fn long_lines_are_cut() {
        let mut sources = Sources::default();
        sources.add("m.sml", format!("a;\n{}{}\nb;\n", "\u{e4} + ".repeat(10_000), "if + y".repeat(10_000)));
        let at = 3 + 10_000 * 5;
        let diag = Diagnostic::error(Code::Syntax, Span::new(FileId(0), at, at + 2), "found `if`")
            .label(Span::new(FileId(0), 0, 1), "first")
            .label(Span::new(FileId(0), at + 60_001, at + 60_002), "last");
        let text = told(diag, &sources);
        assert!(text.contains("[ m.sml:2:40001 ]") && text.contains("+ if + y"), "{text}");
    }

    #[test]
    fn many_diagnostics_are_counted() {
        let diag = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 0, 1), "m");
        let all = [vec![diag.clone(); MAX_TOLD + 2], vec![diag.warning()]].concat();
        let text = render(&all, &sources(), false);
        assert_eq!(text.matches("E0102").count(), MAX_TOLD);
        assert!(text.ends_with("\n\nand 2 more errors and 1 more warning\n"), "{text}");
        assert!(!render(&all[..MAX_TOLD], &sources(), false).contains("more"));
    }

    #[test]
    fn colour_is_a_choice() {
        let diag = Diagnostic::error(Code::Syntax, Span::new(FileId(0), 0, 6), "a");
        assert!(!render(std::slice::from_ref(&diag), &sources(), false).contains('\u{1b}'));
        assert!(render(&[diag], &sources(), true).contains('\u{1b}'));
    }
}
