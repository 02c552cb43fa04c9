//! PTX text to tokens.

use super::{Problem, problem};

/// A piece of PTX text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name, directive, register or opcode with its dotted suffixes: `ld.global.u32`, `%tid.x`, `.reg`, `$L__BB0_1`.
    Word(String),
    /// A number as 64 bits; negative ones in two's complement.
    Number(u64),
    /// Text in quotes.
    Text,
    /// One of `{}[]()<>,;:@!|+-=`.
    Mark(char),
}

/// Tokens, each with the line it is on (from 0).
pub(crate) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Problem> {
    let bytes = text.as_bytes();
    let (mut out, mut at, mut line) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest[0] {
            b'\n' => (at, line) = (at + 1, line + 1),
            c if c.is_ascii_whitespace() => at += 1,
            b'/' if rest.starts_with(b"//") => at += rest.iter().position(|c| *c == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => {
                let Some(end) = rest.windows(2).position(|w| w == b"*/") else {
                    return problem(line, "comment without end");
                };
                line += rest[..end].iter().filter(|c| **c == b'\n').count();
                at += end + 2;
            }
            b'"' => {
                let Some(end) = rest[1..].iter().position(|c| *c == b'"') else {
                    return problem(line, "text without end");
                };
                out.push((Token::Text, line));
                at += end + 2;
            }
            c if c.is_ascii_digit() => {
                let length = rest.iter().position(|c| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                out.push((Token::Number(number(&text[at..at + length], line)?), line));
                at += length;
            }
            c if in_word(c) => {
                let length = word_length(rest);
                out.push((Token::Word(text[at..at + length].to_owned()), line));
                at += length;
            }
            c if b"{}[]()<>,;:@!|+-=".contains(&c) => {
                out.push((Token::Mark(char::from(c)), line));
                at += 1;
            }
            _ => return problem(line, "unexpected character"),
        }
    }
    Ok(out)
}

fn in_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"_$%.".contains(&c)
}

/// A pair of colons belongs to a word (`.L2::128B`), a single one ends it (a label).
fn word_length(text: &[u8]) -> usize {
    let mut length = 0;
    while length < text.len() {
        match text[length] {
            c if in_word(c) => length += 1,
            b':' if text.get(length + 1) == Some(&b':') => length += 2,
            _ => break,
        }
    }
    length
}

/// Decimal, hexadecimal, octal and binary integers, with `U` or without; `0f` and `0d` bits of floats.
fn number(text: &str, line: usize) -> Result<u64, Problem> {
    let digits = text.strip_suffix('U').unwrap_or(text);
    let parsed = match digits.get(..2) {
        Some("0x" | "0X") => u64::from_str_radix(&digits[2..], 16),
        Some("0f" | "0F" | "0d" | "0D") => u64::from_str_radix(&digits[2..], 16),
        Some("0b" | "0B") => u64::from_str_radix(&digits[2..], 2),
        _ if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(&digits[1..], 8),
        _ => digits.parse(),
    };
    parsed.or_else(|_| problem(line, &format!("not a number: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_numbers_and_marks() {
        let text = "@!%p1 ld.global.L2::128B.u32 %r1, [%rd2+-8]; // comment\n$L_1: mov.u32 x, 0x10U; /* a\nb */ 0f3F800000 017";
        let found = tokens(text).unwrap();
        let words: Vec<&str> =
            found.iter().filter_map(|(t, _)| if let Token::Word(w) = t { Some(w.as_str()) } else { None }).collect();
        assert_eq!(words, ["%p1", "ld.global.L2::128B.u32", "%r1", "%rd2", "$L_1", "mov.u32", "x"]);
        let numbers: Vec<u64> =
            found.iter().filter_map(|(t, _)| if let Token::Number(n) = t { Some(*n) } else { None }).collect();
        assert_eq!(numbers, [8, 16, 0x3f80_0000, 15]);
        assert_eq!(found.last().unwrap().1, 2);
        assert!(tokens("?").is_err() && tokens("/* ").is_err() && tokens("\"").is_err() && tokens("12x").is_err());
    }
}
