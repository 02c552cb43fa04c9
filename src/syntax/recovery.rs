//! Going on after a mistake: the smallest part of the file that contains it is replaced, and the file is parsed again.
//!
//! The part is an element of a list, a statement or an item. Its ends are found by matching brackets, so a mistake
//! does not reach beyond the brackets around it; only brackets that do not match make the part grow.

use super::token::{Spanned, Token};

/// Who made a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The author: to be reported.
    Author,
    /// An earlier repair, or a character that is no token: reported already.
    Repair,
}

/// What an open bracket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Parts between commas.
    List,
    /// Statements.
    Block,
}

/// A bracket that is open at the mistake.
struct Open {
    bracket: Token<'static>,
    holds: Holds,
    /// Index of the first token of the element or statement that contains the mistake.
    start: usize,
}

/// Repairs `tokens` so that the part before and behind the mistake at byte `at` is parsed; `None` when nothing is left
/// to replace.
pub(super) fn repair(tokens: &mut Vec<Spanned<'_>>, at: usize, lacks_semicolon: bool) -> Option<Cause> {
    let index = tokens.partition_point(|token| token.0 < at);
    let is_repair = repaired(tokens, index) || index > 0 && repaired(tokens, index - 1);
    let cause = if is_repair { Cause::Repair } else { Cause::Author };
    if lacks_semicolon && cause == Cause::Author {
        let place = index.checked_sub(1).map_or(0, |before| tokens[before].2);
        tokens.insert(index, (place, Token::Semicolon, place));
        return Some(cause);
    }

    let (item, opens) = context(tokens, index);
    // The closing brackets, outermost first, that belong to the part although they were opened inside of it.
    let mut inner = Vec::new();
    for open in opens.iter().rev() {
        let Some(end) = end_of_part(tokens, index, open, inner.clone()) else { continue };
        // Where a repaired part does not fit, what is around it is replaced.
        if end == open.start + 1 && repaired(tokens, open.start) {
            inner.insert(0, open.bracket);
            continue;
        }
        let error = if open.holds == Holds::List { Token::Error } else { Token::ErrorStmt };
        replace(tokens, open.start..end, Some(error));
        return Some(cause);
    }
    let end = end_of_item(tokens, index.max(item + usize::from(index == item)));
    if item == end {
        return None;
    }
    replace(tokens, item..end, None);
    Some(cause)
}

fn repaired(tokens: &[Spanned<'_>], index: usize) -> bool {
    tokens.get(index).is_some_and(|token| matches!(token.1, Token::Error | Token::ErrorStmt))
}

fn replace(tokens: &mut Vec<Spanned<'_>>, range: std::ops::Range<usize>, by: Option<Token<'static>>) {
    let place = |index: usize| tokens.get(index).map_or(0, |token| token.0);
    let start = place(range.start);
    let end = range.end.checked_sub(1).filter(|last| *last >= range.start).map_or(start, |last| tokens[last].2);
    tokens.splice(range, by.map(|token| (start, token, end)));
}

/// The index of the first token of the item at `index`, and the brackets open there, outermost first. The tokens before
/// the mistake are the start of a correct file, so their brackets match.
fn context(tokens: &[Spanned<'_>], index: usize) -> (usize, Vec<Open>) {
    let mut item = 0;
    let mut opens: Vec<Open> = Vec::new();
    for (at, token) in tokens[..index].iter().enumerate() {
        let next = at + 1;
        match token.1 {
            Token::OpenParen => opens.push(Open { bracket: Token::CloseParen, holds: Holds::List, start: next }),
            Token::OpenBracket => opens.push(Open { bracket: Token::CloseBracket, holds: Holds::List, start: next }),
            Token::StructBrace => opens.push(Open { bracket: Token::CloseBrace, holds: Holds::List, start: next }),
            Token::OpenBrace => {
                let fields = opens.is_empty() && tokens[item..at].iter().any(|token| token.1 == Token::Struct);
                let holds = if fields { Holds::List } else { Holds::Block };
                opens.push(Open { bracket: Token::CloseBrace, holds, start: next });
            }
            Token::CloseParen | Token::CloseBracket => {
                opens.pop();
            }
            Token::CloseBrace => {
                opens.pop();
                match opens.last_mut() {
                    Some(open) if open.holds == Holds::Block && starts_part(tokens, next) => open.start = next,
                    None if goes_on(tokens, item, next) => {}
                    None => item = next,
                    Some(_) => {}
                }
            }
            Token::Comma => {
                opens
                    .last_mut()
                    .filter(|open| open.holds == Holds::List)
                    .into_iter()
                    .for_each(|open| open.start = next);
            }
            Token::Semicolon | Token::FatArrow | Token::ErrorStmt => match opens.last_mut() {
                Some(open) if open.holds == Holds::Block => open.start = next,
                None => item = next,
                _ => {}
            },
            _ => {}
        }
    }
    (item, opens)
}

/// Whether the item that starts at `item` is not over with the `}` before `next`.
fn goes_on(tokens: &[Spanned<'_>], item: usize, next: usize) -> bool {
    tokens[item].1 == Token::Use || tokens.get(next).is_some_and(|token| token.1 == Token::Derivative)
}

/// The end of the element or statement that goes on at `index`, where the brackets of `closers` are open in it;
/// `None` when the bracket around it is not closed.
fn end_of_part(tokens: &[Spanned<'_>], index: usize, open: &Open, mut closers: Vec<Token<'static>>) -> Option<usize> {
    let block = open.holds == Holds::Block;
    for (at, token) in tokens.iter().enumerate().skip(index) {
        match token.1 {
            Token::OpenParen => closers.push(Token::CloseParen),
            Token::OpenBracket => closers.push(Token::CloseBracket),
            Token::OpenBrace | Token::StructBrace => closers.push(Token::CloseBrace),
            closer @ (Token::CloseParen | Token::CloseBracket | Token::CloseBrace) => match closers.pop() {
                None if closer == open.bracket => return Some(at),
                // Of a bracket that the mistake left open.
                None if block => {}
                None => return None,
                Some(expected) if expected != closer => return None,
                Some(_)
                    if block && closers.is_empty() && closer == Token::CloseBrace && starts_part(tokens, at + 1) =>
                {
                    return Some(at + 1);
                }
                Some(_) => {}
            },
            Token::Comma if closers.is_empty() && !block => return Some(at),
            Token::Semicolon if closers.is_empty() && block => return Some(at + 1),
            Token::Semicolon if closers.is_empty() && open.bracket != Token::CloseBracket => return None,
            Token::Fn | Token::Entry | Token::Struct | Token::Intrinsic | Token::Use => return None,
            _ => {}
        }
    }
    None
}

/// Whether a statement that ended in `}` just before is over.
fn starts_part(tokens: &[Spanned<'_>], index: usize) -> bool {
    tokens.get(index).is_some_and(|token| {
        matches!(
            token.1,
            Token::Let
                | Token::Var
                | Token::For
                | Token::If
                | Token::Reveal
                | Token::Ident(_)
                | Token::Int(_)
                | Token::Float(_)
                | Token::CloseBrace
                | Token::Semicolon
        )
    })
}

/// The first token from `index` on that starts an item or a header line.
fn end_of_item(tokens: &[Spanned<'_>], index: usize) -> usize {
    let starts = |at: &usize| match tokens[*at].1 {
        Token::Fn => at.checked_sub(1).is_none_or(|before| tokens[before].1 != Token::Intrinsic),
        Token::Entry | Token::Struct | Token::Intrinsic | Token::Use | Token::Owners | Token::Fixed => true,
        Token::Doc(_) => at.checked_sub(1).is_none_or(|before| !matches!(tokens[before].1, Token::Doc(_))),
        _ => false,
    };
    (index..tokens.len()).find(starts).unwrap_or(tokens.len())
}

#[cfg(test)]
mod tests {
    use crate::span::FileId;
    use crate::syntax::{dump, parse};

    fn check(text: &str, errors: usize, expected: &str) {
        let mut diags = Vec::new();
        let tree = dump::ast(&parse(FileId(0), text, &mut diags));
        assert_eq!(diags.len(), errors, "{diags:?}");
        assert_eq!(tree.split_whitespace().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn only_the_smallest_part_is_lost() {
        let frame = |body: &str| format!("(fn f (-> fix) (block {body}))");
        check("fn f() -> fix { g(1 2, 3) }", 1, &frame("(result (call g error 3))"));
        check("fn f() -> fix { let x = (1 + ; h(2) }", 1, &frame("error (result (call h 2))"));
        check("fn f() -> fix { while a { b = 1; } c }", 1, &frame("error (result c)"));
        check("fn f() -> fix { let x = 1 let y = 2; y }", 1, &frame("(let x 1) (let y 2) (result y)"));
        check("fn f() -> fix { let a = x @ y; a }", 1, &frame("error (result a)"));
        check("fn g() { 1 } fn f() -> fix { 1 } }", 2, &frame("(result 1)"));
        check("fn g() -> fix { (1 fn f() -> fix { 1 }", 1, &frame("(result 1)"));
        check("use a::{b} x; fn f() -> fix { 1 }", 1, &frame("(result 1)"));
        check("struct P { a b, c: fix } struct Q[..] { d: fix }", 2, "(struct P (c fix))");
    }
}
