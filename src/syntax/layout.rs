//! Text that knows where it may break: groups go on one line when they fit, after Wadler, "A prettier printer" (2003).
//!
//! Knows nothing of the language; the formatter and the tree dump are written in it.

/// A piece of laid-out text.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// Text without a line break.
    Text(String),
    /// A blank, or a line break in a broken group.
    Line,
    /// Nothing, or a line break in a broken group.
    SoftLine,
    /// A line break in any case; the groups around it are broken.
    HardLine,
    /// Text only in a broken group: a last comma.
    IfBroken(&'static str),
    /// A comment that ends its line: written before the next line break, and the groups around it are broken.
    Suffix(String),
    /// Pieces in order.
    Concat(Vec<Layout>),
    /// Lines inside start further right by so many blanks.
    Nest(usize, Box<Layout>),
    /// On one line when it fits and `broken` is not set.
    Group {
        /// What is laid out.
        content: Box<Layout>,
        /// Breaks even where it would fit.
        broken: bool,
    },
}

pub(super) fn text(text: impl Into<String>) -> Layout {
    Layout::Text(text.into())
}

pub(super) fn concat(parts: impl IntoIterator<Item = Layout>) -> Layout {
    Layout::Concat(parts.into_iter().collect())
}

pub(super) fn nest(indent: usize, content: Layout) -> Layout {
    Layout::Nest(indent, Box::new(content))
}

pub(super) fn group(content: Layout) -> Layout {
    let broken = content.must_break();
    Layout::Group { content: Box::new(content), broken }
}

pub(super) fn broken(content: Layout) -> Layout {
    Layout::Group { content: Box::new(content), broken: true }
}

/// The parts with a separator between each two.
pub(super) fn join(parts: impl IntoIterator<Item = Layout>, separator: &Layout) -> Layout {
    let mut joined = Vec::new();
    for part in parts {
        if !joined.is_empty() {
            joined.push(separator.clone());
        }
        joined.push(part);
    }
    Layout::Concat(joined)
}

impl Layout {
    /// Whether this cannot be on one line.
    fn must_break(&self) -> bool {
        match self {
            Layout::HardLine | Layout::Suffix(_) => true,
            Layout::Text(_) | Layout::Line | Layout::SoftLine | Layout::IfBroken(_) => false,
            Layout::Concat(parts) => parts.iter().any(Layout::must_break),
            Layout::Nest(_, content) => content.must_break(),
            Layout::Group { broken, .. } => *broken,
        }
    }

    /// The same with every possible break not taken.
    pub(super) fn flat(self) -> Layout {
        match self {
            Layout::Line => text(" "),
            Layout::SoftLine | Layout::IfBroken(_) => text(""),
            Layout::Concat(parts) => concat(parts.into_iter().map(Layout::flat)),
            Layout::Nest(indent, content) => nest(indent, content.flat()),
            Layout::Group { content, .. } => content.flat(),
            Layout::Text(_) | Layout::HardLine | Layout::Suffix(_) => self,
        }
    }

    /// Writes lines of at most `width` characters where the breaks allow it, without blanks at line ends.
    pub(super) fn print(&self, width: usize) -> String {
        let mut printer = Printer { width, out: String::new(), column: 0, indent: 0, suffixes: Vec::new() };
        let mut todo = vec![Step { indent: 0, broken: true, layout: self }];
        while let Some(step) = todo.pop() {
            printer.step(step, &mut todo);
        }
        printer.flush_suffixes(0);
        printer.out
    }
}

/// A piece still to be written: how far right its lines start, and whether its breaks are taken.
#[derive(Clone, Copy)]
struct Step<'a> {
    indent: usize,
    broken: bool,
    layout: &'a Layout,
}

struct Printer {
    width: usize,
    out: String,
    column: usize,
    /// Where the current line starts.
    indent: usize,
    suffixes: Vec<String>,
}

impl Printer {
    fn step<'a>(&mut self, step: Step<'a>, todo: &mut Vec<Step<'a>>) {
        match step.layout {
            Layout::Text(text) => self.text(text),
            Layout::Line | Layout::SoftLine if step.broken => self.new_line(step.indent),
            Layout::Line => self.text(" "),
            Layout::SoftLine => {}
            Layout::HardLine => self.new_line(step.indent),
            Layout::IfBroken(text) if step.broken => self.text(text),
            Layout::IfBroken(_) => {}
            Layout::Suffix(comment) => self.suffixes.push(comment.clone()),
            Layout::Concat(parts) => todo.extend(parts.iter().rev().map(|layout| Step { layout, ..step })),
            Layout::Nest(by, content) => todo.push(Step { indent: step.indent + by, layout: content, ..step }),
            Layout::Group { content, broken } => {
                let flat = Step { broken: false, layout: content, ..step };
                let fits = !broken && self.fits(flat, todo);
                todo.push(Step { broken: !fits, ..flat });
            }
        }
    }

    fn text(&mut self, text: &str) {
        // Written with the first text of a line, so that empty lines are empty.
        if self.column == 0 && !text.is_empty() {
            self.out.extend(std::iter::repeat_n(' ', self.indent));
            self.column = self.indent;
        }
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn new_line(&mut self, indent: usize) {
        self.flush_suffixes(indent);
        self.end_line(indent);
    }

    fn end_line(&mut self, indent: usize) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
        self.column = 0;
        self.indent = indent;
    }

    /// The first comment ends the line; further ones get lines of their own.
    fn flush_suffixes(&mut self, indent: usize) {
        for (index, comment) in std::mem::take(&mut self.suffixes).into_iter().enumerate() {
            if index > 0 {
                self.end_line(indent);
            } else if self.column > 0 {
                self.out.push(' ');
            }
            self.text(&comment);
        }
    }

    /// Whether a piece, and what follows it up to the next possible break, ends before the line does.
    fn fits(&self, first: Step<'_>, rest: &[Step<'_>]) -> bool {
        let mut room = self.width.saturating_sub(if self.column == 0 { self.indent } else { self.column });
        let mut rest = rest.iter().rev();
        let mut todo = vec![first];
        loop {
            let Some(step) = todo.pop().or_else(|| rest.next().copied()) else { return true };
            let taken = match step.layout {
                Layout::Text(text) => text.chars().count(),
                Layout::Line | Layout::SoftLine if step.broken => return true,
                Layout::HardLine => return true,
                Layout::Line => 1,
                Layout::IfBroken(text) if step.broken => text.len(),
                Layout::SoftLine | Layout::IfBroken(_) | Layout::Suffix(_) => 0,
                Layout::Concat(parts) => {
                    todo.extend(parts.iter().rev().map(|layout| Step { layout, ..step }));
                    0
                }
                Layout::Nest(_, content) | Layout::Group { content, .. } => {
                    todo.push(Step { layout: content, ..step });
                    0
                }
            };
            match room.checked_sub(taken) {
                Some(left) => room = left,
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Layout {
        let items = join(["alpha", "beta"].map(text), &concat([text(","), Layout::Line]));
        let inside = nest(4, concat([Layout::SoftLine, items, Layout::IfBroken(",")]));
        group(concat([text("f("), inside, Layout::SoftLine, text(")")]))
    }

    #[test]
    fn a_group_breaks_when_it_does_not_fit() {
        assert_eq!(list().print(14), "f(alpha, beta)");
        assert_eq!(list().print(13), "f(\n    alpha,\n    beta,\n)");
        assert_eq!(concat([list(), text(";")]).print(14), "f(\n    alpha,\n    beta,\n);");
    }

    #[test]
    fn comments_end_their_line() {
        let line = |name: &str| concat([text(name), Layout::Suffix("// c".into()), text(","), Layout::HardLine]);
        assert_eq!(concat([line("a"), line("b")]).print(80), "a, // c\nb, // c\n");
        let two = concat([Layout::Suffix("// 1".into()), Layout::Suffix("// 2".into()), text("x")]);
        assert_eq!(two.print(80), "x // 1\n// 2");
    }
}
