//! The parser: text to [`ast::File`]. Knows the generated parser; never panics and never stops at the first error.

use std::convert::Infallible;

use crate::diag::{Code, Diagnostic};
use crate::span::{FileId, Span};
use crate::syntax::actions::Actions;
use crate::syntax::ast;
use crate::syntax::mistakes::{self, Mistake};
use crate::syntax::recovery::{self, Cause};
use crate::syntax::token::{self, Spanned, Token};

mod generated {
    //! The output of LALRPOP for `grammar/smlc.lalrpop`.
    #![allow(warnings, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]
    lalrpop_util::lalrpop_mod!(pub(super) grammar, "/smlc.rs");
}

/// How deep a tree may be: every later stage walks it recursively.
const MAX_DEPTH: usize = 200;

/// After so many repairs the parser gives up, and earlier in a long file, as each repair parses the file again.
const MAX_REPAIRS: usize = 100;

/// Tokens that are parsed again, all repairs together, though at least [`MIN_REPAIRS`] are tried.
const MAX_REPARSED: usize = 500_000;
const MIN_REPAIRS: usize = 5;

/// Parses a file. Errors go to `diags` in the order of their places; the parts of the file without errors are returned in any case.
pub fn parse(file: FileId, text: &str, diags: &mut Vec<Diagnostic>) -> ast::File {
    let before = diags.len();
    let mut tokens = token::lex(file, text, diags);
    tokens.retain(|(_, token, _)| !matches!(token, Token::Comment(_)));

    if let Some((start, _, end)) = too_deep(&tokens) {
        let diag =
            Diagnostic::error(Code::Syntax, Span::new(file, start, end), "an expression is too deeply nested here");
        diags.push(diag.help("give parts of it names with `let`"));
        return ast::File::default();
    }

    let mut mistakes = Vec::new();
    let tree = parse_parts(file, text, &tokens, diags, &mut mistakes).unwrap_or_default();
    diags.extend(mistakes::explain(&mistakes, text, &tokens, file));
    diags[before..].sort_by_key(|diag| diag.labels.first().map(|label| label.span.start));
    tree
}

/// Parses again and again, each time without the part that held the last mistake; `None` when that leads nowhere.
fn parse_parts(
    file: FileId,
    text: &str,
    tokens: &[Spanned<'_>],
    diags: &mut Vec<Diagnostic>,
    mistakes: &mut Vec<Mistake>,
) -> Option<ast::File> {
    let mut rest = tokens.to_vec();
    let repairs = (MAX_REPARSED / tokens.len().max(1)).clamp(MIN_REPAIRS, MAX_REPAIRS);
    for _ in 0..repairs {
        let mut actions = Actions { file, diags: Vec::new() };
        let input = rest.iter().map(|token| Ok::<_, Infallible>(*token));
        let mistake = match generated::grammar::FileParser::new().parse(&mut actions, input) {
            Ok(tree) => {
                diags.append(&mut actions.diags);
                return Some(tree);
            }
            Err(error) => Mistake::new(error),
        };
        let lacks_semicolon = mistake.site(text, tokens).lacks_semicolon();
        match recovery::repair(&mut rest, mistake.at, lacks_semicolon) {
            Some(Cause::Author) => mistakes.push(mistake),
            Some(Cause::Repair) => {}
            None => {
                mistakes.push(mistake);
                return None;
            }
        }
    }
    None
}

/// The first token at which a tree may get deeper than [`MAX_DEPTH`].
fn too_deep<'a>(tokens: &[Spanned<'a>]) -> Option<Spanned<'a>> {
    let mut outer: Vec<(Token<'a>, Part)> = Vec::new();
    let mut part = Part::default();
    // The levels of all parts around this one.
    let mut above = 0;
    for (index, token) in tokens.iter().enumerate() {
        part.levels += levels(token.1);
        match token.1 {
            Token::OpenParen | Token::OpenBracket | Token::OpenBrace | Token::StructBrace => {
                above += part.levels;
                outer.push((token.1, part));
                part = Part::default();
            }
            Token::CloseParen | Token::CloseBracket | Token::CloseBrace => {
                part.end();
                let inside = part.before;
                let open;
                (open, part) = outer.pop().unwrap_or((Token::OpenBrace, Part::default()));
                above = above.saturating_sub(part.levels);
                part.inside = part.inside.max(inside);
                // A block ends what it stands in, unless its `if` goes on.
                let goes_on = tokens.get(index + 1).is_some_and(|next| next.1 == Token::Else);
                if open == Token::OpenBrace && !goes_on {
                    part.end();
                }
            }
            Token::Comma | Token::Semicolon => part.end(),
            _ => {}
        }
        if above + part.levels + part.inside > MAX_DEPTH {
            return Some(*token);
        }
    }
    None
}

/// An element of a list, a statement or an item, as far as it has been read. What stands before an operator ends up
/// below it, brackets included, so a path from its root to a leaf passes all of its own levels and one of the brackets.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Levels that its tokens outside of brackets can make.
    levels: usize,
    /// Those of the deepest brackets in it.
    inside: usize,
    /// Those of the deepest part before it between the same brackets.
    before: usize,
}

impl Part {
    fn end(&mut self) {
        *self = Part { before: self.before.max(self.levels + self.inside), ..Part::default() };
    }
}

/// How many levels of a tree a token can make.
fn levels(token: Token<'_>) -> usize {
    use Token as T;
    match token {
        T::OpenParen | T::OpenBracket | T::OpenBrace | T::StructBrace | T::Dot | T::TupleField(_) | T::Pipe => 1,
        T::Plus | T::Minus | T::Star | T::Slash | T::Percent | T::Not | T::And | T::Or | T::DotDot => 1,
        T::Less | T::LessEqual | T::Greater | T::GreaterEqual | T::Equal | T::NotEqual => 1,
        T::If | T::Else | T::For | T::Reveal | T::Approx => 1,
        T::Derivative
        | T::Entry
        | T::False
        | T::Fixed
        | T::Fn
        | T::From
        | T::In
        | T::Intrinsic
        | T::Let
        | T::Owners => 0,
        T::Public | T::Struct | T::To | T::True | T::Use | T::Var | T::Underscore | T::Ident(_) | T::Int(_) => 0,
        T::Float(_) | T::Doc(_) | T::Comment(_) | T::CloseParen | T::CloseBracket | T::CloseBrace | T::Comma => 0,
        T::Semicolon | T::Colon | T::PathSep | T::Arrow | T::FatArrow | T::Assign | T::Error | T::ErrorStmt => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::ast::{ExprKind, Stmt};

    fn errors(text: &str) -> Vec<String> {
        let mut diags = Vec::new();
        parse(FileId(0), text, &mut diags);
        diags.iter().map(|d| format!("{} {} | {}", d.code, d.message, d.help.as_deref().unwrap_or(""))).collect()
    }

    fn body(text: &str) -> ast::Block {
        let mut diags = Vec::new();
        let file = parse(FileId(0), &format!("fn f() -> fix {{ {text} }}"), &mut diags);
        assert_eq!(diags, [], "{text}");
        match file.items.into_iter().next() {
            Some(ast::Item::Fn(function)) => function.body.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_example_programs_parse() {
        for text in [
            include_str!("../../tests/golden/parse/lenet.sml"),
            include_str!("../../tests/golden/parse/residual.sml"),
            include_str!("../../tests/golden/parse/softmax.sml"),
            include_str!("../../tests/golden/parse/training.sml"),
        ] {
            assert_eq!(errors(text), [""; 0]);
        }
    }

    #[test]
    fn a_pipe_is_a_call() {
        let ExprKind::Call { callee, args, piped: true } = body("x + 1 |> nn::f(2, k = 3) |> g").result.unwrap().kind
        else {
            panic!("no piped call")
        };
        assert!(matches!(callee.kind, ExprKind::Name(name) if name == "g"));
        assert!(matches!(&args[0].value.kind, ExprKind::Call { args, piped: true, .. } if args.len() == 3));
        assert!(matches!(
            body("x |> approx(sigmoid, bits = 8)").result.unwrap().kind,
            ExprKind::Approx(call, options)
                if matches!(call.kind, ExprKind::Call { piped: true, .. }) && options.len() == 1
        ));
    }

    #[test]
    fn a_last_if_is_a_value_only_with_values() {
        let value = body("if c { 1 } else if d { 2 } else { 3 }");
        assert!(value.stmts.is_empty() && value.result.is_some());
        let statement = body("if c { h = 1; } else { h = 2; }");
        assert!(statement.result.is_none() && matches!(statement.stmts[..], [Stmt::Expr(_)]));
        assert_eq!(body("if c { h = 1; } { let y = 2; y } -x").stmts.len(), 2);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "E0102 an expression is too deeply nested here | give parts of it names with `let`";
        for (open, close) in [
            ("(", ")"),
            ("-", ""),
            ("x + ", ""),
            ("P { a: 1 } + ", ""),
            ("f(1, ", ")"),
            ("if c { 1 } else ", "{ 2 }"),
            ("{", "}"),
            // Each layer is shallow, and all of them end up below one another.
            (&"(".repeat(20), &(" + x".repeat(50) + ")")),
            (&"(".repeat(20), &(".0".repeat(50) + ")")),
        ] {
            let text = |n: usize| format!("fn f() -> fix {{ {}{}{} }}", open.repeat(n), "{ x }", close.repeat(n));
            let nested = errors(&text(100_000 / open.len()));
            assert_eq!(nested, [deep], "{open}");
        }
        let long = format!("fn f() -> fix {{ {} [{}] }}", "let x = 1;".repeat(10_000), "0.5, ".repeat(10_000));
        assert_eq!(errors(&long.repeat(3)), [""; 0]);
        let pipe = format!("fn f() -> fix {{ x {} }}", "|> conv(net.w, pad = 1) |> relu ".repeat(60));
        assert_eq!(errors(&pipe), [""; 0]);
    }

    #[test]
    fn several_errors_are_found() {
        let found = errors(
            "fn f(a b, c: fix) -> fix { let x = g(1 2, 3); let = 4; y\n z }\nfn g() { 1 }\nfn h() -> fix { 1 + }\n",
        );
        let expected = [
            "E0102 expected `:`, found `b` | a type follows the name: `name: fix[N]`",
            "E0102 expected `,`, `)` or an operator, found `2` | ",
            "E0102 expected a name, found `=` | ",
            "E0102 expected `;`, found `z` | a statement ends in `;`: add it after `y`",
            "E0102 expected `->`, found `{` | a function states its result: `-> fix[N]`",
            "E0102 expected an expression, found `}` | ",
        ];
        assert_eq!(found, expected);
    }
}
