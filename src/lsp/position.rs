//! Places as editors count them: lines from 0, columns in UTF-16 units or bytes. Knows nothing of programs.

use lsp_types::{Position, PositionEncodingKind, Range};

use crate::span::Span;

/// What a column counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes of UTF-8, when the editor offers it.
    Utf8,
    /// Units of UTF-16, which every editor knows.
    #[default]
    Utf16,
}

impl Encoding {
    /// The best one of those that the editor offers.
    #[must_use]
    pub fn choose(offered: Option<&[PositionEncodingKind]>) -> Encoding {
        match offered {
            Some(kinds) if kinds.contains(&PositionEncodingKind::UTF8) => Encoding::Utf8,
            _ => Encoding::Utf16,
        }
    }

    /// What the protocol calls it.
    #[must_use]
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    fn width(self, text: &str) -> usize {
        match self {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }
}

/// The lines of a text. A line ends in `\n`, `\r\n` or `\r`.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    encoding: Encoding,
}

impl<'a> Lines<'a> {
    /// Finds the lines of a text.
    #[must_use]
    pub fn new(text: &'a str, encoding: Encoding) -> Lines<'a> {
        let bytes = text.as_bytes();
        let ends = |at: &usize| bytes[*at] == b'\n' || bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
        let starts = std::iter::once(0).chain((0..bytes.len()).filter(ends).map(|at| at + 1)).collect();
        Lines { text, starts, encoding }
    }

    /// The line without what ends it, with its first byte.
    fn line(&self, number: usize) -> (usize, &'a str) {
        let start = self.starts[number];
        let end = self.starts.get(number + 1).copied().unwrap_or(self.text.len());
        (start, self.text[start..end].trim_end_matches(['\r', '\n']))
    }

    /// The place of a byte; one beyond the text is its end.
    #[must_use]
    pub fn position(&self, offset: u32) -> Position {
        let offset = (offset as usize).min(self.text.len());
        let number = self.starts.partition_point(|start| *start <= offset) - 1;
        let (start, line) = self.line(number);
        let mut column = (offset - start).min(line.len());
        while !line.is_char_boundary(column) {
            column -= 1;
        }
        Position::new(number as u32, self.encoding.width(&line[..column]) as u32)
    }

    /// The byte at a place; a column beyond the line is its end, a line beyond the text is the text's end.
    #[must_use]
    pub fn offset(&self, position: Position) -> u32 {
        let number = position.line as usize;
        if number >= self.starts.len() {
            return self.text.len() as u32;
        }
        let (start, line) = self.line(number);
        let mut left = position.character as usize;
        let mut column = 0;
        for c in line.chars() {
            let width = if self.encoding == Encoding::Utf8 { c.len_utf8() } else { c.len_utf16() };
            if width > left {
                break;
            }
            left -= width;
            column += c.len_utf8();
        }
        (start + column) as u32
    }

    /// The places of a span's ends; the file is not looked at.
    #[must_use]
    pub fn range(&self, span: Span) -> Range {
        Range::new(self.position(span.start), self.position(span.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_units() {
        // ä is 2 bytes and 1 unit, the musical clef 4 bytes and 2 units.
        let text = "a\r\n// \u{e4}\u{1d11e} b\r\nx";
        let utf16 = Lines::new(text, Encoding::Utf16);
        let b = text.find('b').unwrap() as u32;
        assert_eq!(utf16.position(b), Position::new(1, 7));
        assert_eq!(utf16.offset(Position::new(1, 7)), b);
        assert_eq!(utf16.offset(Position::new(1, 5)), b - 5, "the middle of a pair is its start");
        let utf8 = Lines::new(text, Encoding::Utf8);
        assert_eq!(utf8.position(b), Position::new(1, 10));
        assert_eq!(utf8.offset(Position::new(1, 10)), b);
        assert_eq!(utf8.offset(Position::new(1, 6)), b - 5, "the middle of a character is its start");
    }

    #[test]
    fn lines_end_in_three_ways() {
        let lines = Lines::new("a\nb\r\nc\rd\n", Encoding::Utf16);
        assert_eq!([0, 2, 5, 7, 9].map(|o| lines.position(o).line), [0, 1, 2, 3, 4]);
        assert_eq!([0, 1, 2, 3, 4].map(|line| lines.offset(Position::new(line, 0))), [0, 2, 5, 7, 9]);
        assert_eq!(lines.position(4), Position::new(1, 1), "between \\r and \\n is the line's end");
        assert_eq!(lines.offset(Position::new(1, 99)), 3);
        assert_eq!(lines.offset(Position::new(99, 0)), 9);
        assert_eq!(lines.position(99), Position::new(4, 0));
        assert_eq!(Lines::new("", Encoding::Utf16).position(0), Position::new(0, 0));
    }
}
