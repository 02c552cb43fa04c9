//! What can be written at a place, read off the words before it: the text around a cursor is rarely a program.

use crate::span::FileId;
use crate::syntax::token::{self, Spanned, Token};

/// What can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// A name of the author's choice, a comment, a number.
    Nothing,
    /// These words alone.
    Words(&'static [&'static str]),
    /// A module.
    Modules,
    /// Something that a module defines.
    ItemsOf(String),
    /// An owner, or one of these words.
    Owners(&'static [&'static str]),
    /// A type or a size.
    Type,
    /// A field of the value that ends at this byte.
    FieldOf(usize),
    /// The name of a field of a struct that is built, but for those given.
    FieldsOf(String, Vec<String>),
    /// A function that takes what comes through the pipe.
    Piped,
    /// A value.
    Value {
        /// At the start of a statement.
        statement: bool,
        /// An argument of this call.
        call: Option<Call>,
    },
}

/// A call whose arguments are being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The module it is named by.
    pub module: Option<String>,
    /// The function.
    pub name: String,
    /// Arguments without a name that are there, the piped one included.
    pub positional: usize,
    /// Names of the other arguments.
    pub named: Vec<String>,
}

/// The words that start an item or a header line.
const TOP: &[&str] = &["owners", "fixed", "use", "struct", "fn", "entry"];

/// The start of the word that ends at `cursor`, and what can be written in its place.
#[must_use]
pub fn context(text: &str, cursor: usize) -> (usize, Context) {
    let before = &text[..cursor];
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = before.trim_end_matches(word).len();
    let all = token::lex(FileId(0), before, &mut Vec::new());
    if matches!(all.last(), Some((_, Token::Comment(_) | Token::Doc(_), end)) if *end == cursor) {
        return (start, Context::Nothing);
    }
    let mut tokens = token::lex(FileId(0), &before[..start], &mut Vec::new());
    tokens.retain(|(_, token, _)| !matches!(token, Token::Comment(_) | Token::Doc(_)));
    let number = before[start..].starts_with(|c: char| c.is_ascii_digit());
    let context = match tokens.as_slice() {
        [.., (_, Token::Int(_), _), (_, Token::Dot, _)] => Context::Nothing,
        [.., (at, Token::Dot, _)] => Context::FieldOf(*at),
        _ if number => Context::Nothing,
        _ => behind(&tokens),
    };
    (start, context)
}

/// What closes the lists that are open at the end of a text, as far as they lie in one block.
#[must_use]
pub fn unclosed(text: &str) -> String {
    let tokens = token::lex(FileId(0), text, &mut Vec::new());
    let closer = |index: &usize| match tokens[*index].1 {
        Token::OpenParen => Some(')'),
        Token::OpenBracket => Some(']'),
        Token::StructBrace => Some('}'),
        _ => None,
    };
    open(&tokens).iter().rev().map_while(closer).collect()
}

/// The brackets that are open at the end, outermost first, by index.
fn open(tokens: &[Spanned<'_>]) -> Vec<usize> {
    let mut open = Vec::new();
    for (index, (_, token, _)) in tokens.iter().enumerate() {
        match token {
            Token::OpenParen | Token::OpenBracket | Token::OpenBrace | Token::StructBrace => open.push(index),
            Token::CloseParen | Token::CloseBracket | Token::CloseBrace => {
                open.pop();
            }
            // An item never stands in brackets: those before it were left open.
            Token::Fn | Token::Entry | Token::Struct | Token::Use => open.clear(),
            _ => {}
        }
    }
    open
}

fn behind(tokens: &[Spanned<'_>]) -> Context {
    let at = |index: Option<usize>| index.and_then(|i| tokens.get(i)).map(|(_, token, _)| *token);
    let back = |index: usize, steps: usize| index.checked_sub(steps);
    let last = at(back(tokens.len(), 1));
    let brackets = open(tokens);
    let innermost = brackets.last().copied();
    let inner = at(innermost);
    let outside = |steps: usize| innermost.and_then(|i| at(back(i, steps)));
    match (last, outside(1), outside(3)) {
        (Some(Token::PathSep), _, _) => {
            return match at(back(tokens.len(), 2)) {
                Some(Token::Ident(module)) => Context::ItemsOf(module.to_string()),
                _ => Context::Nothing,
            };
        }
        (Some(Token::Use), _, _) => return Context::Modules,
        (_, Some(Token::PathSep), Some(Token::Use)) => {
            return match outside(2) {
                Some(Token::Ident(module)) => Context::ItemsOf(module.to_string()),
                _ => Context::Nothing,
            };
        }
        (Some(Token::From), _, _) => return Context::Owners(&["shares"]),
        (Some(Token::To), _, _) => return Context::Owners(&["all", "shares"]),
        (_, Some(Token::Fixed), _) => {
            return if matches!(last, Some(Token::OpenParen | Token::Comma)) {
                Context::Words(&["int", "frac", "ring"])
            } else {
                Context::Nothing
            };
        }
        (
            Some(Token::Let | Token::Var | Token::For | Token::Fn | Token::Entry | Token::Struct | Token::Owners),
            _,
            _,
        ) => return Context::Nothing,
        _ => {}
    }
    let item = tokens
        .iter()
        .rposition(|(_, t, _)| matches!(t, Token::Fn | Token::Entry | Token::Struct))
        .filter(|_| innermost.is_some());
    let Some(innermost) = innermost else { return at_top(tokens, last) };
    let in_body = brackets.iter().any(|i| at(Some(*i)) == Some(Token::OpenBrace));
    if at(item) == Some(Token::Struct) || !in_body {
        let entry = at(item) == Some(Token::Entry);
        return in_signature(last, inner, at(back(innermost, 2)), brackets.len(), entry);
    }
    in_body_at(tokens, innermost, last, brackets.len() == 1)
}

/// Outside of all brackets.
fn at_top(tokens: &[Spanned<'_>], last: Option<Token<'_>>) -> Context {
    let started = tokens
        .iter()
        .rev()
        .map(|(_, token, _)| *token)
        .take_while(|token| !matches!(token, Token::Semicolon | Token::CloseBrace))
        .find(|token| matches!(token, Token::Owners | Token::Use | Token::Fn | Token::Entry));
    match (last, started) {
        (Some(Token::Arrow), _) => Context::Type,
        (None | Some(Token::Semicolon | Token::CloseBrace), _) => Context::Words(TOP),
        (Some(Token::Ident(_) | Token::CloseBracket | Token::CloseParen), Some(Token::Entry)) => {
            Context::Words(&["to"])
        }
        _ => Context::Nothing,
    }
}

/// In the parameters, sizes, fields and types of an item. `before` stands two words before the innermost bracket.
fn in_signature(
    last: Option<Token<'_>>,
    inner: Option<Token<'_>>,
    before: Option<Token<'_>>,
    depth: usize,
    entry: bool,
) -> Context {
    let names_sizes = matches!(before, Some(Token::Fn | Token::Entry | Token::Struct));
    match (last, inner) {
        (_, Some(Token::OpenBracket)) if names_sizes && depth == 1 => Context::Nothing,
        (Some(Token::OpenParen | Token::Comma), Some(Token::OpenParen)) if depth == 1 => Context::Nothing,
        (Some(Token::OpenBrace | Token::Comma), Some(Token::OpenBrace)) if depth == 1 => Context::Nothing,
        (Some(Token::Ident(_) | Token::CloseBracket), Some(Token::OpenParen)) if entry => Context::Words(&["from"]),
        (Some(Token::Ident(_) | Token::CloseBracket | Token::CloseParen | Token::Int(_)), _) => Context::Nothing,
        _ => Context::Type,
    }
}

/// In the braces of a function or an entry; `outermost` when in no other brackets.
fn in_body_at(tokens: &[Spanned<'_>], innermost: usize, last: Option<Token<'_>>, outermost: bool) -> Context {
    let at = |index: Option<usize>| index.and_then(|i| tokens.get(i)).map(|(_, token, _)| *token);
    let inner = at(Some(innermost));
    let separated = matches!(
        last,
        Some(Token::Comma | Token::OpenParen | Token::OpenBrace | Token::StructBrace | Token::OpenBracket)
    );
    match (inner, at(innermost.checked_sub(1)), last) {
        (Some(Token::StructBrace | Token::OpenBrace), Some(Token::Ident(name)), _)
            if separated && !outermost && at(innermost.checked_sub(2)) != Some(Token::Dot) =>
        {
            let given = parts(&tokens[innermost + 1..]).into_iter().filter_map(|part| match part {
                [(_, Token::Ident(name), _), (_, Token::Colon, _), ..] => Some((*name).to_string()),
                _ => None,
            });
            return Context::FieldsOf(name.to_string(), given.collect());
        }
        (Some(Token::OpenBrace), _, Some(Token::Colon)) => return Context::Type,
        (Some(Token::OpenBracket), Some(Token::Ident("fix" | "int" | "bool")), _) if separated => return Context::Type,
        (_, _, Some(Token::Pipe)) => return Context::Piped,
        (_, _, Some(Token::Ident(_) | Token::CloseParen | Token::CloseBracket | Token::Underscore)) => {
            return Context::Words(&["in", "to"]);
        }
        (_, _, Some(Token::Int(_) | Token::Float(_) | Token::TupleField(_) | Token::True | Token::False)) => {
            return Context::Nothing;
        }
        _ => {}
    }
    let statement = inner == Some(Token::OpenBrace)
        && matches!(last, Some(Token::Semicolon | Token::OpenBrace | Token::CloseBrace));
    let call = if inner == Some(Token::OpenParen) && separated { call(tokens, innermost) } else { None };
    Context::Value { statement, call }
}

/// The call whose parenthesis is open.
fn call(tokens: &[Spanned<'_>], paren: usize) -> Option<Call> {
    let at = |steps: usize| paren.checked_sub(steps).and_then(|i| tokens.get(i)).map(|(_, token, _)| *token);
    let Some(Token::Ident(name)) = at(1) else { return None };
    let (module, before) = match (at(2), at(3)) {
        (Some(Token::PathSep), Some(Token::Ident(module))) => (Some(module.to_string()), at(4)),
        (other, _) => (None, other),
    };
    let mut call = Call { module, name: name.to_string(), positional: 0, named: Vec::new() };
    call.positional += usize::from(before == Some(Token::Pipe));
    for part in parts(&tokens[paren + 1..]) {
        match part {
            [] => {}
            [(_, Token::Ident(name), _), (_, Token::Assign, _), ..] => call.named.push((*name).to_string()),
            _ => call.positional += 1,
        }
    }
    Some(call)
}

/// The call in whose parentheses a text ends, without the argument that is being written; with that one's name, if it
/// has one.
#[must_use]
pub fn call_around(text: &str) -> Option<(Call, Option<String>)> {
    let mut tokens = token::lex(FileId(0), text, &mut Vec::new());
    if matches!(tokens.last(), Some((_, Token::Comment(_) | Token::Doc(_), end)) if *end == text.len()) {
        return None;
    }
    tokens.retain(|(_, token, _)| !matches!(token, Token::Comment(_) | Token::Doc(_)));
    let brackets = open(&tokens);
    let inside = brackets.iter().rposition(|i| tokens[*i].1 == Token::OpenBrace)? + 1;
    let paren = brackets[inside..].iter().rev().find(|i| {
        tokens[**i].1 == Token::OpenParen && i.checked_sub(1).is_some_and(|b| matches!(tokens[b].1, Token::Ident(_)))
    })?;
    let arguments = parts(&tokens[paren + 1..]);
    let current = arguments.last().copied().unwrap_or_default();
    let mut call = call(&tokens[..tokens.len() - current.len()], *paren)?;
    let name = match current {
        [(_, Token::Ident(name), _), (_, Token::Assign, _), ..] => Some((*name).to_string()),
        _ => None,
    };
    call.named.extend(name.clone());
    Some((call, name))
}

/// The parts between the commas of the innermost list.
fn parts<'t, 's>(tokens: &'t [Spanned<'s>]) -> Vec<&'t [Spanned<'s>]> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, (_, token, _)) in tokens.iter().enumerate() {
        match token {
            Token::OpenParen | Token::OpenBracket | Token::OpenBrace | Token::StructBrace => depth += 1,
            Token::CloseParen | Token::CloseBracket | Token::CloseBrace => depth -= 1,
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The context at the `|`.
    fn at(text: &str) -> Context {
        let cursor = text.find('^').expect("the text has a cursor");
        context(&text.replace('^', ""), cursor).1
    }

    fn value(statement: bool) -> Context {
        Context::Value { statement, call: None }
    }

    #[test]
    fn at_the_top() {
        assert_eq!(at("^"), Context::Words(TOP));
        assert_eq!(at("owners a; fi^"), Context::Words(TOP));
        assert_eq!(at("owners a, ^"), Context::Nothing);
        assert_eq!(at("fixed(in^"), Context::Words(&["int", "frac", "ring"]));
        assert_eq!(at("fixed(int = ^"), Context::Nothing);
        assert_eq!(at("use n^"), Context::Modules);
        assert_eq!(at("use nn::^"), Context::ItemsOf("nn".into()));
        assert_eq!(at("use nn::{relu, m^};\nfn f() -> fix { 1.0 }"), Context::ItemsOf("nn".into()));
        assert_eq!(at("use nn::{relu}; // us^"), Context::Nothing);
        assert_eq!(at("struct P^"), Context::Nothing);
    }

    #[test]
    fn in_signatures() {
        assert_eq!(at("fn f[^"), Context::Nothing);
        assert_eq!(at("fn f[N](^"), Context::Nothing);
        assert_eq!(at("fn f[N](x: ^"), Context::Type);
        assert_eq!(at("fn f[N](x: fix[^"), Context::Type);
        assert_eq!(at("fn f[N](x: (fix, ^"), Context::Type);
        assert_eq!(at("fn f[N](x: fix[N]) -> f^"), Context::Type);
        assert_eq!(at("struct P { a: fix, ^ }"), Context::Nothing);
        assert_eq!(at("struct P { a: ^ }"), Context::Type);
        assert_eq!(at("entry e(x: fix[3] f^"), Context::Words(&["from"]));
        assert_eq!(at("entry e(x: fix[3] from ^"), Context::Owners(&["shares"]));
        assert_eq!(at("entry e(x: fix from a) -> fix t^"), Context::Words(&["to"]));
        assert_eq!(at("entry e(x: fix from a) -> fix to ^"), Context::Owners(&["all", "shares"]));
    }

    #[test]
    fn in_bodies() {
        let body = |text: &str| at(&format!("fn f(x: fix) -> fix {{ {text} }}"));
        assert_eq!(body("^"), value(true));
        assert_eq!(body("let ^"), Context::Nothing);
        assert_eq!(body("let y = x^"), value(false));
        assert_eq!(body("let y: ^"), Context::Type);
        assert_eq!(body("let y: fix[^"), Context::Type);
        assert_eq!(body("for i ^"), Context::Words(&["in", "to"]));
        assert_eq!(body("for i in 0..x.a { h^"), value(true));
        assert_eq!(body("x |> re^"), Context::Piped);
        assert_eq!(body("x |> nn::re^"), Context::ItemsOf("nn".into()));
        assert_eq!(body("x.^"), Context::FieldOf("fn f(x: fix) -> fix { x".len()));
        assert_eq!(body("x.a.0^"), Context::FieldOf("fn f(x: fix) -> fix { x.a".len()));
        assert_eq!(body("1.5^"), Context::Nothing);
        assert_eq!(body("12^"), Context::Nothing);
        assert_eq!(body("P { ^"), Context::FieldsOf("P".into(), vec![]));
        assert_eq!(body("P { a: x[1, 2], ^"), Context::FieldsOf("P".into(), vec!["a".into()]));
        assert_eq!(body("P { a: ^"), value(false));
        assert_eq!(body("if x { ^"), Context::FieldsOf("x".into(), vec![]));
    }

    #[test]
    fn calls_around() {
        let around = |text: &str| {
            let found = call_around(&format!("fn f(x: fix) -> fix {{ {text}"));
            found.map(|(call, name)| format!("{} {} {}", call.name, call.positional, name.unwrap_or_default()))
        };
        assert_eq!(around("g(").as_deref(), Some("g 0 "));
        assert_eq!(around("g(a, b + h(c), [d").as_deref(), Some("g 2 "));
        assert_eq!(around("a |> g(b, k = 2 * (3").as_deref(), Some("g 2 k"));
        assert_eq!(around("g(a, { let x = 1; "), None);
        assert_eq!(around("g(a) + "), None);
        assert_eq!(around("g(a // b"), None);
        assert_eq!(call_around("fn f(x: "), None);
    }

    #[test]
    fn open_lists_are_closed() {
        assert_eq!(unclosed("fn f() -> fix { let x = (1, P { a: f(x[2"), "])})");
        assert_eq!(unclosed("fn f() -> fix { (1, { g(x)"), "");
    }

    #[test]
    fn in_calls() {
        let call = |text: &str| match at(&format!("fn f(x: fix) -> fix {{ {text} }}")) {
            Context::Value { call: Some(call), .. } => call,
            other => panic!("{text}: {other:?}"),
        };
        let expected = |module: Option<&str>, positional: usize, named: &[&str]| Call {
            module: module.map(str::to_string),
            name: "g".into(),
            positional,
            named: named.iter().map(|n| (*n).to_string()).collect(),
        };
        assert_eq!(call("g(^"), expected(None, 0, &[]));
        assert_eq!(call("x |> nn::g(h(1, 2), k = 3, ^"), expected(Some("nn"), 2, &["k"]));
        assert_eq!(at("fn f(x: fix) -> fix { g(k = ^"), value(false));
    }
}
