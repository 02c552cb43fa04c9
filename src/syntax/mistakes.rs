//! Syntax errors in plain words: what was found, what may stand there, and the likely slip.

mod signatures;

use std::collections::BTreeSet;
use std::convert::Infallible;

use lalrpop_util::ParseError;

use crate::diag::{Code, Diagnostic};
use crate::span::{FileId, Span};
use crate::syntax::token::{Spanned, Token};

/// How many alternatives a message lists.
const MAX_ALTERNATIVES: usize = 5;

/// A token that does not fit the grammar.
pub(super) struct Mistake {
    /// First byte of the token; the end of the last token when the file ends too early.
    pub at: usize,
    /// The terminals that fit, as the grammar spells them.
    expected: Vec<String>,
}

impl Mistake {
    pub(super) fn new(error: ParseError<usize, Token<'_>, Infallible>) -> Mistake {
        match error {
            ParseError::InvalidToken { location } => Mistake { at: location, expected: Vec::new() },
            ParseError::UnrecognizedEof { location, expected } => Mistake { at: location, expected },
            ParseError::UnrecognizedToken { token, expected } => Mistake { at: token.0, expected },
            ParseError::ExtraToken { token } => Mistake { at: token.0, expected: Vec::new() },
            ParseError::User { error } => match error {},
        }
    }

    /// The place; `tokens` is the whole file without comments.
    pub(super) fn site<'a>(&'a self, text: &'a str, tokens: &'a [Spanned<'a>]) -> Site<'a> {
        let index = tokens.partition_point(|token| token.0 < self.at);
        let expected = self.expected.iter().map(|t| t.trim_matches('"')).collect();
        Site { text, tokens, index, expected, answered: BTreeSet::new() }
    }
}

/// The messages for all mistakes of a file, in order; what follows from an earlier one is left out. `tokens` is the
/// whole file without comments.
pub(super) fn explain(mistakes: &[Mistake], text: &str, tokens: &[Spanned<'_>], file: FileId) -> Vec<Diagnostic> {
    let mut diags = Vec::new();
    // Keywords that were taken for names, and brackets that were found open.
    let (mut words, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let mut last: Option<Site<'_>> = None;
    let mut in_order: Vec<&Mistake> = mistakes.iter().collect();
    in_order.sort_by_key(|mistake| mistake.at);
    for mistake in in_order {
        let mut site = mistake.site(text, tokens);
        site.answered.clone_from(&answered);
        let known = site.keyword(0).into_iter().chain(site.keyword(1)).any(|word| words.contains(word));
        if known || last.as_ref().is_some_and(|last| site.follows_from(last)) {
            continue;
        }
        if site.is_keyword_for_name() && site.token().is_some_and(|found| site.in_declaration(found).is_none()) {
            words.extend(site.keyword(0));
        }
        if site.shows_unclosed() {
            answered.extend(site.unclosed().map(|open| open.0));
        }
        diags.push(site.explain(file));
        last = Some(site);
    }
    diags
}

fn message(alternatives: &[String], found: &str) -> String {
    match alternatives.split_last() {
        None => format!("{found} cannot stand here"),
        Some((only, [])) => format!("expected {only}, found {found}"),
        Some((last, others)) => format!("expected {} or {last}, found {found}", others.join(", ")),
    }
}

/// The place of a mistake with what stands around it.
pub(super) struct Site<'a> {
    text: &'a str,
    tokens: &'a [Spanned<'a>],
    /// The token that does not fit; one past the end when the file ends too early.
    index: usize,
    expected: Vec<&'a str>,
    /// Places of open brackets that an earlier message is about.
    answered: BTreeSet<usize>,
}

impl<'a> Site<'a> {
    /// The message.
    pub(super) fn explain(&self, file: FileId) -> Diagnostic {
        let span = match self.tokens.get(self.index) {
            Some(token) => Span::new(file, token.0, token.2),
            None => Span::new(file, self.text.trim_end().len(), self.text.trim_end().len()),
        };
        // The brace is fine; what made it that of a struct is the colon behind the name that follows.
        if self.token() == Some(Token::StructBrace)
            && self.expects("{")
            && let Some(colon) = self.tokens.get(self.index + 2)
        {
            let span = Span::new(file, colon.0, colon.2);
            let error = Diagnostic::error(Code::Syntax, span, "expected `=`, found `:`");
            return error.help("`let y: T = x;` binds a name; `y = x;` gives a `var` another value");
        }
        let mut diag = Diagnostic::error(Code::Syntax, span, message(&self.alternatives(), &self.found()));
        if self.shows_unclosed()
            && let Some(open) = self.unclosed()
        {
            let message = format!("this `{}` is not closed", &self.text[open.0..open.2]);
            diag = diag.label(Span::new(file, open.0, open.2), message);
        }
        match self.slip() {
            Some(help) => diag.help(help),
            None => diag,
        }
    }

    /// Whether the message shows the innermost open bracket.
    fn shows_unclosed(&self) -> bool {
        self.starts_anew() || self.closes_another() || self.ends_inside()
    }

    /// Whether a statement ends here, within parentheses.
    fn ends_inside(&self) -> bool {
        self.token() == Some(Token::Semicolon)
            && self.expects(")")
            && self.unclosed().is_some_and(|open| open.1 == Token::OpenParen)
    }

    /// Whether this is the same mistake as the one before it.
    fn follows_from(&self, before: &Site<'_>) -> bool {
        let sizes = before.token() == Some(Token::Less)
            && before.expects("[")
            && !before.expects("|>")
            && self.tokens[before.index + 1..self.index.max(before.index + 1)]
                .iter()
                .all(|token| matches!(token.1, Token::Ident(_) | Token::Int(_) | Token::Comma));
        sizes || before.index == self.index
    }

    /// The word of the language that is the `n`th token before the place.
    fn keyword(&self, n: usize) -> Option<&'a str> {
        let (start, token, end) = *self.tokens.get(self.index.checked_sub(n)?)?;
        is_keyword(token).then(|| &self.text[start..end])
    }

    /// Whether a word of the language stands where a name has to.
    fn is_keyword_for_name(&self) -> bool {
        self.expects("ident") && !self.expects("int") && self.token().is_some_and(is_keyword)
    }

    /// Whether a statement lacks its `;`.
    pub(super) fn lacks_semicolon(&self) -> bool {
        self.expects(";")
            && self
                .token()
                .is_some_and(|found| found != Token::Assign && (self.on_new_line() || starts_statement(found)))
    }

    fn token(&self) -> Option<Token<'a>> {
        self.tokens.get(self.index).map(|token| token.1)
    }

    /// The `n`th token before the place.
    fn before(&self, n: usize) -> Option<Token<'a>> {
        self.index.checked_sub(n).map(|i| self.tokens[i].1)
    }

    fn expects(&self, terminal: &str) -> bool {
        self.expected.contains(&terminal)
    }

    fn found(&self) -> String {
        match self.tokens.get(self.index) {
            None => "the end of the file".to_owned(),
            Some((_, Token::Doc(_), _)) => "a doc comment".to_owned(),
            Some((start, _, end)) => format!("`{}`", &self.text[*start..*end]),
        }
    }

    /// What may stand here, in words.
    fn alternatives(&self) -> Vec<String> {
        if self.lacks_semicolon() {
            let end = if self.starts_anew() && self.expects("}") { "`}`" } else { "`;`" };
            return vec![end.to_owned()];
        }
        let mut rest = self.expected.clone();
        let mut words: Vec<String> = Vec::new();
        for (mark, also, name) in GROUPS {
            if mark.iter().all(|terminal| rest.contains(terminal)) {
                rest.retain(|terminal| !mark.contains(terminal) && !also.contains(terminal));
                words.push((*name).to_owned());
            }
        }
        rest.retain(|terminal| {
            !UNSAID.contains(terminal) && (!self.expects("struct") || !AROUND_ITEMS.contains(terminal))
        });
        rest.sort_by_key(|terminal| ![",", ";"].contains(terminal));
        let operator = words.iter().position(|word| word == OPERATOR).map(|at| words.remove(at));
        words.extend(rest.iter().map(|terminal| match *terminal {
            "ident" => "a name".to_owned(),
            "int" => "an integer".to_owned(),
            "tuple_field" => "`.0`".to_owned(),
            "name {" => "`{`".to_owned(),
            mark => format!("`{mark}`"),
        }));
        words.extend(operator);
        words.truncate(MAX_ALTERNATIVES);
        words
    }

    /// Whether the place looks like the start of something new, as after a forgotten bracket.
    fn starts_anew(&self) -> bool {
        matches!(self.token(), None | Some(Token::Fn | Token::Entry | Token::Struct | Token::Use))
    }

    /// Whether a closing bracket stands here that does not belong to the innermost open one.
    fn closes_another(&self) -> bool {
        let open = self.unclosed().map(|open| open.1);
        match self.token() {
            Some(Token::CloseBrace) => matches!(open, Some(Token::OpenBracket | Token::OpenParen)),
            Some(Token::CloseBracket) => matches!(open, Some(Token::OpenBrace | Token::StructBrace | Token::OpenParen)),
            Some(Token::CloseParen) => matches!(open, Some(Token::OpenBrace | Token::StructBrace | Token::OpenBracket)),
            _ => false,
        }
    }

    /// The innermost bracket that is open at the place.
    fn unclosed(&self) -> Option<Spanned<'a>> {
        let mut open = Vec::new();
        for token in &self.tokens[..self.index] {
            match token.1 {
                Token::OpenBrace | Token::StructBrace | Token::OpenBracket | Token::OpenParen => open.push(*token),
                Token::CloseBrace | Token::CloseBracket | Token::CloseParen => {
                    open.pop();
                }
                _ => {}
            }
        }
        open.retain(|token| !self.answered.contains(&token.0));
        open.pop()
    }

    fn on_new_line(&self) -> bool {
        let end = self.index.checked_sub(1).map_or(0, |i| self.tokens[i].2);
        let start = self.tokens.get(self.index).map_or(self.text.len(), |token| token.0);
        self.text[end..start].contains('\n')
    }

    /// What the author probably meant.
    fn slip(&self) -> Option<String> {
        let foreign = [self.before(1), self.token()].into_iter().flatten().find_map(foreign);
        if foreign.is_some() {
            return foreign.map(str::to_owned);
        }
        let found = self.token()?;
        if let Some(text) = self.in_declaration(found) {
            return Some(text.to_owned());
        }
        let text = match (self.before(1), found) {
            (_, Token::Slash) if self.after(1) == Some(Token::Star) => {
                "`//` starts a comment, up to the end of the line"
            }
            (Some(Token::Slash), Token::Star) => "`//` starts a comment, up to the end of the line",
            (Some(Token::PathSep), Token::Less) => "sizes follow from the arguments: leave them out",
            (Some(Token::Ident(_)), Token::Ident(_) | Token::Int(_) | Token::Float(_))
                if self.before(2) == Some(Token::Pipe) && !self.on_new_line() =>
            {
                "arguments stand in parentheses: `x |> linear(p)`"
            }
            (Some(Token::Ident(ty @ ("fix" | "int" | "bool"))), Token::Ident(name))
                if self.after(1) == Some(Token::Assign) =>
            {
                return Some(format!("the type follows the name: `let {name}: {ty} = ..;`"));
            }
            (_, Token::Doc(_)) => {
                "`///` documents the item or field that follows; elsewhere a comment starts with `//`"
            }
            (Some(Token::Plus | Token::Minus | Token::Star | Token::Slash), Token::Assign) => {
                "there is no such assignment: write `h = h + x;`"
            }
            (Some(Token::TupleField(_) | Token::CloseBracket), Token::Assign) => PARTS,
            (Some(Token::Ident(_)), Token::Assign) if self.before(2) == Some(Token::Dot) => PARTS,
            (Some(Token::CloseParen), Token::Assign) if self.expects("}") => PARTS,
            (Some(Token::Greater), Token::Greater | Token::GreaterEqual) | (_, Token::Arrow)
                if self.expects("int") || self.expects("|>") =>
            {
                "`x |> f` hands a value to a function"
            }
            (Some(Token::Star), Token::Star) => "there is no power operator: multiply, or loop over a product",
            (_, Token::Colon) if self.unclosed().is_some_and(|open| open.1 == Token::OpenBracket) => {
                "a range is written `2..5`, and a whole axis `..`"
            }
            (_, Token::Colon) if self.expects("{") => "a body stands in braces: `{ .. }`",
            (_, Token::From) if self.expects("struct") => "`use nn::{relu};` brings in names",
            (_, Token::Let | Token::Var) if self.expects("struct") => {
                "a constant is a function without parameters: `fn rate() -> fix { 0.5 }`"
            }
            (Some(Token::PathSep), Token::Star) => "name what you need: `use nn::{conv2d, relu};`",
            (_, Token::Semicolon) if self.before(2) == Some(Token::Use) => {
                "name what you need: `use nn::{conv2d, relu};`"
            }
            (_, Token::If) if !self.on_new_line() && self.expects(";") => "a choice is written `if c { a } else { b }`",
            (_, Token::Less) if self.expects("[") && !self.expects("|>") => {
                "sizes stand in brackets: `fix[N]`, `Linear[4, 2]`"
            }
            (_, Token::Assign) if self.expects("==") => "`==` compares; a single `=` gives a name its value",
            (_, Token::Equal) if self.expects("=") => "a single `=` gives a name its value; `==` compares",
            (Some(Token::Dot), _) if matches!(self.before(2), Some(Token::Int(_))) => {
                "a fixed-point number has digits on both sides of its point: `1.0`"
            }
            (Some(Token::Doc(_)), _) => {
                "`///` documents the item or field that follows; elsewhere a comment starts with `//`"
            }
            (Some(Token::Int(_)), Token::Dot) => "a fixed-point number has digits on both sides of its point: `1.0`",
            (_, Token::TupleField(_)) => "a fixed-point number has digits on both sides of its point: `0.5`",
            (Some(Token::CloseBrace), Token::Semicolon) => "no `;` follows a `}` here",
            (Some(Token::CloseBrace), Token::Plus | Token::Minus | Token::Star | Token::Slash | Token::Pipe) => {
                "an `if` or a block that is part of a larger expression needs parentheses around it"
            }
            (_, Token::CloseBrace) if self.expects("struct") => "this `}` closes nothing",
            (Some(Token::Ident(_)), Token::OpenBrace) if self.before(2) == Some(Token::Arrow) => {
                "an intrinsic function has no body"
            }
            (Some(Token::Ident(_)), Token::OpenBrace) => "a struct is written `Name { field: value }`",
            (_, Token::Less | Token::LessEqual | Token::Greater | Token::GreaterEqual | Token::Equal)
                if self.expects("&&") =>
            {
                "comparisons do not chain: write `a < b && b < c`"
            }
            (Some(Token::Ident(_)), _) if self.expected == [":"] => "a type follows the name: `name: fix[N]`",
            _ if self.lacks_semicolon() && !(self.starts_anew() && self.expects("}")) => {
                let before = self.index.checked_sub(1).map(|i| self.tokens[i])?;
                return Some(format!("a statement ends in `;`: add it after `{}`", &self.text[before.0..before.2]));
            }
            _ if self.is_keyword_for_name() => {
                return Some(format!("{} is a word of the language and cannot be a name", self.found()));
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

const PARTS: &str = "only a whole `var` can be given a new value, not a part of it";
const OPERATOR: &str = "an operator";

/// Never what the author was about to write.
const UNSAID: &[&str] = &["doc", "error", "error_stmt", "intrinsic", "derivative"];
/// Not worth saying where an item may stand.
const AROUND_ITEMS: &[&str] = &["owners", "fixed", "use"];
/// What may stand behind an operand.
const OPERATORS: &[&str] = &[
    "|>",
    "..",
    "||",
    "&&",
    "<",
    "<=",
    ">",
    ">=",
    "==",
    "!=",
    "+",
    "-",
    "*",
    "/",
    "%",
    ".",
    "tuple_field",
    "(",
    "[",
    "::",
    "name {",
    "=",
];

/// Terminals that stand for one thing together: those that must all fit, those that go with them, and the name.
const GROUPS: &[(&[&str], &[&str], &str)] = &[
    (&["let"], &["var", "for"], "a statement"),
    (
        &["int", "float"],
        &["ident", "true", "false", "(", "[", "-", "!", "approx", "{", "if", "reveal"],
        "an expression",
    ),
    (&["|>"], OPERATORS, OPERATOR),
    (&["*"], OPERATORS, OPERATOR),
    (&["ident", "(", "["], &["public"], "a type"),
    (&["ident", "_"], &["("], "a name"),
];

fn starts_statement(token: Token<'_>) -> bool {
    matches!(token, Token::Let | Token::Var | Token::For | Token::Reveal | Token::CloseBrace)
}

fn is_keyword(token: Token<'_>) -> bool {
    matches!(
        token,
        Token::Approx
            | Token::Derivative
            | Token::Else
            | Token::Entry
            | Token::False
            | Token::Fixed
            | Token::Fn
            | Token::For
            | Token::From
            | Token::If
            | Token::In
            | Token::Intrinsic
            | Token::Let
            | Token::Owners
            | Token::Public
            | Token::Reveal
            | Token::Struct
            | Token::To
            | Token::True
            | Token::Use
            | Token::Var
    )
}

/// Words of other languages that authors reach for.
fn foreign(token: Token<'_>) -> Option<&'static str> {
    let Token::Ident(name) = token else { return None };
    match name {
        "return" => Some("the last expression of a block is its value; there is no `return`"),
        "mut" => Some("`var` binds a name that may be given a new value"),
        "while" | "loop" => Some("loops have public bounds: `for i in 0..n { .. }`"),
        "def" | "func" | "function" => Some("a function starts with `fn`"),
        "import" => Some("`use nn::{relu};` brings in names"),
        "class" => Some("a record of parameters is a `struct`"),
        "impl" | "trait" => Some("functions stand on their own and take the data first: `fn f(x: fix) -> fix`"),
        "pub" => Some("items are not marked `pub`"),
        "const" | "static" => Some("a constant is a function without parameters: `fn rate() -> fix { 0.5 }`"),
        "match" | "switch" => Some("choose with `if` on sizes, and with `select(c, a, b)` on values"),
        "lambda" => Some("functions are not values: define one with `fn`"),
        "as" => Some("names and types do not change: there is no `as`"),
        "and" => Some("write `&&`"),
        "or" => Some("write `||`"),
        "not" => Some("write `!`"),
        "elif" => Some("write `else if`"),
        _ => None,
    }
}
