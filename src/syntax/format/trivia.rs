//! Comments and blank lines: handed out once each, in order, to the pieces of the program that they stand beside.

use crate::span::FileId;
use crate::syntax::layout::{self, Layout};
use crate::syntax::token::{self, Token};

/// What comes between a piece and the one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing: this is the first piece. An empty line under a comment above it is kept.
    First,
    /// Nothing, nor between the comments above it.
    Never,
    /// An empty line where the author left one.
    Kept,
    /// An empty line.
    Blank,
}

struct Comment {
    start: usize,
    end: usize,
    line: String,
    doc: bool,
}

/// The comments not handed out yet, and the text that they and the program stand in.
pub(super) struct Trivia<'a> {
    pub text: &'a str,
    /// Comments that stood inside of a piece: they go above the piece around it.
    pub astray: Vec<String>,
    comments: std::iter::Peekable<std::vec::IntoIter<Comment>>,
}

impl<'a> Trivia<'a> {
    pub(super) fn new(file: FileId, text: &'a str) -> Trivia<'a> {
        let tokens = token::lex(file, text, &mut Vec::new());
        let comments = tokens.into_iter().filter_map(|(start, token, end)| match token {
            Token::Comment(line) => Some(Comment { start, end, line: line.to_owned(), doc: false }),
            Token::Doc("") => Some(Comment { start, end, line: "///".to_owned(), doc: true }),
            Token::Doc(line) => Some(Comment { start, end, line: format!("/// {line}"), doc: true }),
            _ => None,
        });
        let comments: Vec<Comment> = comments.collect();
        Trivia { text, astray: Vec::new(), comments: comments.into_iter().peekable() }
    }

    /// The comments above the piece that starts at `start`, on lines of their own, and the gap.
    pub(super) fn leading(&mut self, start: usize, mut gap: Gap) -> Layout {
        let mut parts = Vec::new();
        while let Some(comment) = self.comments.next_if(|comment| comment.start < start) {
            self.gap(gap, comment.start, &mut parts);
            parts.extend([layout::text(comment.line), Layout::HardLine]);
            gap = match gap {
                Gap::Never => Gap::Never,
                Gap::First | Gap::Kept | Gap::Blank if comment.doc => Gap::First,
                Gap::First | Gap::Kept | Gap::Blank => Gap::Kept,
            };
        }
        self.gap(gap, start, &mut parts);
        Layout::Concat(parts)
    }

    /// The comment behind a piece that ends at `end`, on its line. Those inside of it that found no place go astray.
    pub(super) fn behind(&mut self, end: usize) -> Layout {
        while let Some(comment) = self.comments.next_if(|comment| !comment.doc && comment.start < end) {
            self.astray.push(comment.line);
        }
        let text = self.text;
        let behind = |comment: &Comment| {
            let between = text.get(end..comment.start);
            !comment.doc && between.is_some_and(|text| text.chars().all(|c| matches!(c, ' ' | '\t' | ',' | ';')))
        };
        self.comments.next_if(behind).map_or_else(|| layout::text(""), |comment| Layout::Suffix(comment.line))
    }

    /// The comments before `end` that have no piece below them, one line each.
    pub(super) fn dangling(&mut self, end: usize, mut gap: Gap) -> Vec<Layout> {
        let mut lines = Vec::new();
        while let Some(comment) = self.comments.next_if(|comment| comment.end <= end) {
            let mut parts = Vec::new();
            self.gap(gap, comment.start, &mut parts);
            parts.push(layout::text(comment.line));
            lines.push(Layout::Concat(parts));
            gap = Gap::Kept;
        }
        lines
    }

    /// Whether the author wrote `start..end` on one line.
    pub(super) fn one_line(&self, start: usize, end: usize) -> bool {
        !self.text[start..end].contains('\n')
    }

    fn gap(&self, gap: Gap, start: usize, parts: &mut Vec<Layout>) {
        let above = &self.text[..start];
        let blanks = &above[above.trim_end().len()..];
        if gap == Gap::Blank || gap == Gap::Kept && blanks.matches('\n').count() > 1 {
            parts.push(Layout::HardLine);
        }
    }
}
