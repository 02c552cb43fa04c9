//! Slips in types, signatures, entries and bindings, where habits of other languages differ most.

use super::Site;
use crate::syntax::token::Token;

const ONE_OWNER: &str = "one owner gives an input: write one for each, and add or join them in the body";

impl Site<'_> {
    /// What the author probably meant, where the place is part of a declaration.
    pub(super) fn in_declaration(&self, found: Token<'_>) -> Option<&'static str> {
        use Token as T;
        if let Some(text) = self.in_header(found).or_else(|| self.in_input(found)) {
            return Some(text);
        }
        let owner = self.expects("from") || self.expects("to") && !self.expects("|>");
        Some(match (self.before(1), found) {
            (_, T::OpenBrace | T::Colon | T::FatArrow | T::Semicolon) if self.expects("->") => {
                "a function states its result: `-> fix[N]`"
            }
            (Some(T::CloseBracket), T::OpenBracket) => "sizes share one pair of brackets: `fix[2, 3]`",
            (Some(T::Ident(_)), T::Comma) if self.before(2) == Some(T::To) && self.expects("{") => {
                "`to all` opens it to every owner; several results are a tuple: `-> (A to a, B to b)`"
            }
            (_, T::Comma) if self.expects("{") && !self.expects("int") && !self.expects("|>") => {
                "several results are a tuple: `-> (A, B)`"
            }
            (Some(T::To), T::Public) => "every owner learns it by `to all`",
            (Some(T::Int(_)), T::Comma) if self.before(2) == Some(T::Less) => {
                "sizes stand in brackets: `fix[N]`, `Linear[4, 2]`"
            }
            (Some(T::Ident(_)), T::Comma) if matches!(self.before(2), Some(T::Let | T::Var)) => {
                "several names are bound in parentheses: `let (a, b) = ..`"
            }
            (_, T::Comma) if self.expected == [";"] => "an array is written `[T; 3]`",
            (_, T::Semicolon) if self.expected == [","] => "an array is written `[T; 3]`, a tuple `(A, B)`",
            (_, T::Semicolon) if self.expects(",") && self.within(T::OpenBrace) => "fields are separated by commas",
            (_, T::OpenParen) if self.before(2) == Some(T::Struct) => "fields stand in braces: `struct P { w: fix }`",
            (_, T::OpenParen) if self.expects("[") && !self.expects("|>") => {
                "sizes stand in brackets: `fix[N]`, `Linear[4, 2]`"
            }
            (_, T::Ident(_)) if owner && self.expects("{") => "the result says who learns it: `-> T to hospital`",
            (_, T::Ident(_) | T::Public) if owner => {
                "an input says where it comes from: `x: T from hospital`, or `x: public T`"
            }
            (_, T::From | T::To) if !self.expects("int") && (self.expects(",") || self.expects("{")) => {
                "only an `entry` says `from` and `to`; a function takes anybody's values"
            }
            (_, T::Ident(_)) if self.expects(",") && self.after(1) == Some(T::Colon) => {
                "parameters and fields are separated by commas"
            }
            (Some(T::DotDot), T::Assign) => "a range ends before its second number: `0..4` are four",
            (Some(T::Ident(_)), T::Assign) if self.before(3) == Some(T::For) => {
                "loops run over ranges and arrays: `for i in 0..3 { .. }`"
            }
            (Some(T::Plus), T::Plus) | (Some(T::Minus), T::Minus) => "there is no such assignment: write `i = i + 1;`",
            (_, T::Semicolon) if self.expected == ["="] => "a name is bound with its value: `let y = x;`",
            (_, T::Semicolon) if self.expects("to") => "opening says who learns it: `reveal x to hospital;`",
            (_, T::Semicolon) if self.expected.iter().all(|t| ["{", "["].contains(t)) => {
                "a function has a body: `{ .. }`"
            }
            (_, T::Fn) if self.expects("let") && !self.at_line_start() => "functions stand at the top of a file",
            (_, T::Dot) if self.expected == ["::"] => "names of a module stand behind `::`",
            _ => return None,
        })
    }

    fn in_header(&self, found: Token<'_>) -> Option<&'static str> {
        use Token as T;
        Some(match (self.before(1), found) {
            (_, T::Ident("owner")) if self.expects("owners") => {
                "the header names all owners: `owners hospital, vendor;`"
            }
            (Some(T::Owners), T::Colon | T::OpenParen | T::OpenBracket | T::Assign) => {
                "the names follow at once: `owners hospital, vendor;`"
            }
            (Some(T::OpenParen), T::Int(_)) if self.before(2) == Some(T::Fixed) => {
                "the settings have names: `fixed(int = 32, frac = 15);`"
            }
            (_, T::PathSep) if self.expected == [";"] => "a path is a module and a name: `use nn::relu;`",
            _ => return None,
        })
    }

    /// Who gives an input, said in another order or in other words.
    fn in_input(&self, found: Token<'_>) -> Option<&'static str> {
        use Token as T;
        Some(match (self.before(1), found) {
            (Some(T::From), T::Public) => "what everybody knows is marked before its type: `x: public fix`",
            (Some(T::OpenParen | T::Comma), T::Public) => "`public` stands before the type: `x: public fix`",
            (Some(T::Ident("secret" | "private" | "shared")), T::Ident(_)) => {
                "what is not `public` is secret, without a word for it: `x: fix from hospital`"
            }
            (Some(T::Ident(_)), T::Comma | T::CloseParen)
                if self.expected == [":"] && self.before(2) == Some(T::Comma) && self.before(4) == Some(T::From) =>
            {
                ONE_OWNER
            }
            (Some(T::Ident(_)), T::From) if self.before(2) == Some(T::From) => ONE_OWNER,
            (Some(T::Ident(_)), T::In) if self.before(2) == Some(T::From) => {
                "the range stands before the owner: `x: fix in 0..255 from hospital`"
            }
            (Some(T::Ident(_)), T::From) if self.expected == [":"] => {
                "the type stands before the owner: `x: fix from hospital`"
            }
            _ => return None,
        })
    }

    /// Whether the innermost open bracket is of this kind.
    fn within(&self, bracket: Token<'_>) -> bool {
        self.unclosed().is_some_and(|open| open.1 == bracket)
    }

    /// The `n`th token behind the place.
    pub(super) fn after(&self, n: usize) -> Option<Token<'_>> {
        self.tokens.get(self.index + n).map(|token| token.1)
    }

    /// Whether the place is the first column of a line.
    fn at_line_start(&self) -> bool {
        let start = self.tokens.get(self.index).map_or(self.text.len(), |token| token.0);
        self.text[..start].ends_with('\n') || start == 0
    }
}
