//! Tokens: how text falls apart into words, numbers, marks and comments. Knows nothing of grammar.
//!
//! A tuple field is one token (`.0`), so `x.0.1` and `layer1.0.conv1` are chains of fields and never contain the
//! number `0.1`; a fixed-point number has digits on both sides of its point, so `0..8` is a range.

use logos::Logos;

use crate::diag::{Code, Diagnostic};
use crate::span::{FileId, Span};

/// Why a piece of text is no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LexError {
    /// No token starts with this character.
    #[default]
    UnknownCharacter,
    /// A word that starts with a digit and is no number.
    BadNumber,
    /// An integer of 2^63 or more, or a fixed-point number beyond every f64.
    TooLarge,
}

/// A token; text is borrowed from the source.
#[derive(Logos, Clone, Copy, Debug, PartialEq)]
#[logos(error = LexError)]
#[logos(skip r"[ \t\r\n\f]+")]
#[rustfmt::skip]
#[allow(missing_docs, reason = "keywords and marks name themselves")]
pub enum Token<'a> {
    #[token("approx")] Approx,
    #[token("derivative")] Derivative,
    #[token("else")] Else,
    #[token("entry")] Entry,
    #[token("false")] False,
    #[token("fixed")] Fixed,
    #[token("fn")] Fn,
    #[token("for")] For,
    #[token("from")] From,
    #[token("if")] If,
    #[token("in")] In,
    #[token("intrinsic")] Intrinsic,
    #[token("let")] Let,
    #[token("owners")] Owners,
    #[token("public")] Public,
    #[token("reveal")] Reveal,
    #[token("struct")] Struct,
    #[token("to")] To,
    #[token("true")] True,
    #[token("use")] Use,
    #[token("var")] Var,

    #[token("(")] OpenParen,
    #[token(")")] CloseParen,
    #[token("[")] OpenBracket,
    #[token("]")] CloseBracket,
    #[token("{")] OpenBrace,
    #[token("}")] CloseBrace,
    #[token(",")] Comma,
    #[token(";")] Semicolon,
    #[token(":")] Colon,
    #[token("::")] PathSep,
    #[token(".")] Dot,
    #[token("..")] DotDot,
    #[token("->")] Arrow,
    #[token("=>")] FatArrow,
    #[token("|>")] Pipe,
    #[token("=")] Assign,
    #[token("+")] Plus,
    #[token("-")] Minus,
    #[token("*")] Star,
    #[token("/")] Slash,
    #[token("%")] Percent,
    #[token("!")] Not,
    #[token("<")] Less,
    #[token("<=")] LessEqual,
    #[token(">")] Greater,
    #[token(">=")] GreaterEqual,
    #[token("==")] Equal,
    #[token("!=")] NotEqual,
    #[token("&&")] And,
    #[token("||")] Or,
    #[token("_", priority = 5)] Underscore,

    /// A name.
    #[regex("[A-Za-z_][A-Za-z0-9_]*", |lex| lex.slice())]
    Ident(&'a str),
    /// `3`, below 2^63.
    #[regex("[0-9]+", |lex| integer(lex.slice()), priority = 5)]
    #[regex(r"[0-9][A-Za-z0-9_]*(\.[0-9][A-Za-z0-9_]*)?", |_| Err(LexError::BadNumber), priority = 1)]
    Int(u64),
    /// `0.5`, `1e-3`, as written.
    #[regex(r"[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?", |lex| float(lex.slice()), priority = 5)]
    #[regex("[0-9]+[eE][+-]?[0-9]+", |lex| float(lex.slice()), priority = 5)]
    Float(&'a str),
    /// `.0`: the digits behind the point.
    #[regex(r"\.[0-9]+", |lex| &lex.slice()[1..])]
    TupleField(&'a str),
    /// `/// text`: the line without the marker and one leading space.
    #[regex(r"///[^\n]*", |lex| doc(lex.slice()), allow_greedy = true)]
    Doc(&'a str),
    /// `// text`, with the marker; also `//!` and `////`.
    #[regex(r"//([^/\n][^\n]*)?", |lex| lex.slice().trim_end(), priority = 6, allow_greedy = true)]
    #[regex(r"////[^\n]*", |lex| lex.slice().trim_end(), priority = 10, allow_greedy = true)]
    Comment(&'a str),

    /// The `{` of a struct literal `Name { field: .. }`; [`lex`] tells it from a block's by the `name :` behind it.
    StructBrace,
    /// What could not be read as tokens, or as an expression, a parameter or a field.
    Error,
    /// What could not be read as a statement.
    ErrorStmt,
}

/// The words that are no names, in order: those of [`Token`], for editors.
#[rustfmt::skip]
pub const KEYWORDS: &[&str] = &[
    "approx", "derivative", "else", "entry", "false", "fixed", "fn", "for", "from", "if", "in", "intrinsic", "let",
    "owners", "public", "reveal", "struct", "to", "true", "use", "var",
];

/// A token with its byte range.
pub type Spanned<'a> = (usize, Token<'a>, usize);

/// Cuts text into tokens, comments included. What is no token is reported and becomes [`Token::Error`].
pub fn lex<'a>(file: FileId, text: &'a str, diags: &mut Vec<Diagnostic>) -> Vec<Spanned<'a>> {
    let mut tokens: Vec<Spanned<'a>> = Vec::new();
    let mut unknown: Option<Span> = None;
    for (token, range) in Token::lexer(text).spanned() {
        let span = Span::new(file, range.start, range.end);
        match token {
            Ok(token) => tokens.push((range.start, token, range.end)),
            Err(LexError::UnknownCharacter) => match &mut unknown {
                Some(before) if before.end == span.start => *before = before.to(span),
                _ => {
                    if let Some(span) = unknown.replace(span) {
                        tell_unknown(span, text, diags);
                    }
                    tokens.push((range.start, Token::Error, range.end));
                }
            },
            Err(error @ (LexError::BadNumber | LexError::TooLarge)) => {
                diags.push(bad_number(error, span, text));
                // The parser should see the number the author meant, not a hole.
                tokens.push((range.start, Token::Int(0), range.end));
            }
        }
    }
    if let Some(span) = unknown {
        tell_unknown(span, text, diags);
    }
    mark_struct_braces(&mut tokens);
    tokens
}

/// No block starts with `name :`, so a brace between a name and `name :` opens a struct literal,
/// unless that name is being defined.
fn mark_struct_braces(tokens: &mut [Spanned<'_>]) {
    let code: Vec<usize> = (0..tokens.len()).filter(|&i| !matches!(tokens[i].1, Token::Comment(_))).collect();
    for window in 0..code.len().saturating_sub(3) {
        let at = |offset: usize| tokens[code[window + offset]].1;
        let defined = window > 0 && tokens[code[window - 1]].1 == Token::Struct;
        let literal =
            matches!((at(0), at(1), at(2), at(3)), (Token::Ident(_), Token::OpenBrace, Token::Ident(_), Token::Colon));
        if literal && !defined {
            tokens[code[window + 1]].1 = Token::StructBrace;
        }
    }
}

fn integer(digits: &str) -> Result<u64, LexError> {
    digits.parse().ok().filter(|n| *n < 1 << 63).ok_or(LexError::TooLarge)
}

fn float(text: &str) -> Result<&str, LexError> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(text),
        _ => Err(LexError::TooLarge),
    }
}

fn doc(line: &str) -> &str {
    let text = line["///".len()..].trim_end();
    text.strip_prefix(' ').unwrap_or(text)
}

/// Reports characters that start no token; of the two quotes around a string the first.
fn tell_unknown(span: Span, text: &str, diags: &mut Vec<Diagnostic>) {
    let diag = unknown_character(span, text);
    let said = diags.last().is_some_and(|last| {
        let first = last.labels.first().filter(|first| first.span.file == span.file);
        let between = first.and_then(|first| text.get(first.span.start as usize..span.start as usize));
        between.is_some_and(|between| !between.contains('\n'))
            && last.help.is_some()
            && (last.code, &last.help) == (diag.code, &diag.help)
    });
    if !said {
        diags.push(diag);
    }
}

fn unknown_character(span: Span, text: &str) -> Diagnostic {
    let (start, end) = (span.start as usize, span.end as usize);
    let found = &text[start..end];
    let mut chars = found.chars();
    let single = chars.next().filter(|_| chars.next().is_none());
    let shown = match single {
        Some(c) if c.is_whitespace() || c.is_control() || is_invisible(c) => format!("U+{:04X}", u32::from(c)),
        _ => format!("`{found}`"),
    };
    let what = if single.is_some() { "the character" } else { "the characters" };
    let diag = Diagnostic::error(Code::UnknownCharacter, span, format!("{what} {shown} cannot stand here"));
    let open_size = text[..start].trim_end().ends_with(['[', ',']) && text[end..].trim_start().starts_with([',', ']']);
    let instead = match found {
        "&" => "`&&` means both; values are passed without `&`",
        "@" => "the matrix product is `matmul(a, b)`",
        "|" => "`||` means either, and `|>` hands a value on",
        "\"" | "'" | "\u{201c}" | "\u{201d}" | "\u{2018}" | "\u{2019}" => "the language has no strings",
        "^" => "there is no power operator: multiply, or use a function of the standard library",
        "\u{2212}" | "\u{2013}" => "the minus sign is `-`",
        "\u{d7}" | "\u{b7}" => "the product is `*`",
        "\u{2264}" => "write `<=`",
        "\u{2265}" => "write `>=`",
        "\u{2260}" => "write `!=`",
        "\u{2192}" => "write `->`",
        "?" if open_size => "an open size is a name: `f[N](x: fix[N, 4])`",
        "?" => "a choice is written `if c { a } else { b }`, or `select(c, a, b)`",
        "#" => "a comment starts with `//`",
        _ => match single {
            Some(c) if c.is_whitespace() || is_invisible(c) => "write a plain space, or nothing",
            _ if found.chars().all(char::is_alphanumeric) => "names are made of the letters `a` to `z`, digits and `_`",
            _ => return diag,
        },
    };
    diag.help(instead)
}

/// Of no width: a joiner, a mark of direction or of byte order.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn bad_number(error: LexError, span: Span, text: &str) -> Diagnostic {
    let found = &text[span.start as usize..span.end as usize];
    if error == LexError::TooLarge {
        return Diagnostic::error(Code::BadNumber, span, format!("the number `{found}` is too large"));
    }
    let diag = Diagnostic::error(Code::BadNumber, span, format!("`{found}` is neither a number nor a name"));
    if found.contains('_') {
        diag.help("numbers have no `_` between their digits")
    } else {
        diag.help("numbers are decimal, like `42`, `0.5` or `1e-3`; a name starts with a letter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut diags = Vec::new();
        let tokens = lex(FileId(0), text, &mut diags);
        assert_eq!(diags, [], "{text}");
        tokens.into_iter().map(|(_, token, _)| token).collect()
    }

    #[test]
    fn points_ranges_and_fields() {
        use Token::{Dot, DotDot, Float, Ident, Int, TupleField};
        assert_eq!(tokens("0..8"), [Int(0), DotDot, Int(8)]);
        assert_eq!(tokens("x.0.1"), [Ident("x"), TupleField("0"), TupleField("1")]);
        assert_eq!(tokens("l.0.conv1"), [Ident("l"), TupleField("0"), Dot, Ident("conv1")]);
        assert_eq!(tokens("0.5 1e-3 1.0 2.5e4"), [Float("0.5"), Float("1e-3"), Float("1.0"), Float("2.5e4")]);
        assert_eq!(tokens("..S"), [DotDot, Ident("S")]);
        assert_eq!(tokens("a..x.0"), [Ident("a"), DotDot, Ident("x"), TupleField("0")]);
    }

    #[test]
    fn keywords_are_those_of_the_lexer() {
        let words = include_str!("token.rs").split("#[token(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let words: Vec<&str> = words.filter(|w| w.starts_with(|c: char| c.is_ascii_lowercase())).collect();
        assert_eq!(words, KEYWORDS);
        assert!(KEYWORDS.iter().all(|word| !matches!(tokens(word)[..], [Token::Ident(_)])));
    }

    #[test]
    fn comments_and_docs() {
        use Token::{Comment, Doc, Ident};
        assert_eq!(
            tokens("a // b\n//\n/// c\n///\n//! d\n//// e"),
            [Ident("a"), Comment("// b"), Comment("//"), Doc("c"), Doc(""), Comment("//! d"), Comment("//// e")]
        );
    }

    #[test]
    fn a_struct_literal_has_its_own_brace() {
        assert!(tokens("let p = P { a: 1 };").contains(&Token::StructBrace));
        assert!(tokens("let p = P { // why\n a: 1 };").contains(&Token::StructBrace));
        assert!(!tokens("struct P { a: fix }").contains(&Token::StructBrace));
        assert!(!tokens("for p in ps { h = p; }").contains(&Token::StructBrace));
    }

    #[test]
    fn what_is_no_token_is_named() {
        let mut diags = Vec::new();
        lex(FileId(0), "16px 1_000 9999999999999999999 ## § _ a", &mut diags);
        let messages: Vec<_> = diags.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
        assert_eq!(
            messages,
            [
                "E0103 `16px` is neither a number nor a name",
                "E0103 `1_000` is neither a number nor a name",
                "E0103 the number `9999999999999999999` is too large",
                "E0101 the characters `##` cannot stand here",
                "E0101 the character `§` cannot stand here",
            ]
        );
    }

    #[test]
    fn a_character_is_told_once_a_line() {
        let mut diags = vec![Diagnostic::global(Code::CannotRead, "before")];
        lex(FileId(0), "a | b | c\n|", &mut diags);
        assert_eq!(diags.len(), 3, "{diags:?}");
        // Also behind the messages of another reading.
        lex(FileId(0), "|\u{a0}|", &mut diags);
        assert_eq!(diags.len(), 4, "{diags:?}");
        assert_eq!(diags[3].message, "the characters `|\u{a0}|` cannot stand here");
        lex(FileId(0), "x\u{a0}y", &mut diags);
        assert_eq!(diags[4].message, "the character U+00A0 cannot stand here");
    }
}
