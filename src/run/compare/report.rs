//! What a comparison tells.

use crate::span::Span;

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers with a fraction.
    Fix,
    /// Bits or whole numbers.
    Whole,
}

/// One expression of the program, everything it computed joined: all turns of a loop, all calls of its function.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The expression; `None` gathers what comes from none.
    pub span: Option<Span>,
    /// What it yields, of the steps that it takes the last.
    pub kind: Kind,
    /// The largest magnitude of a number in the plaintext; `None` when there are bits only.
    pub largest: Option<f64>,
    /// Bits between a magnitude and what has room there, where there are fewest; 0 or less: there is none left.
    pub headroom: Option<f64>,
    /// Numbers with a fraction that were compared.
    pub numbers: usize,
    /// The largest error of these.
    pub max_error: f64,
    pub(super) sum_error: f64,
    /// Bits and whole numbers that were compared.
    pub whole: usize,
    /// How many of these differ.
    pub differ: usize,
    /// Whether numbers leave their room here that came from numbers with room.
    pub leaves: bool,
    /// Whether the run parts from the plaintext here.
    pub parts: bool,
}

impl Line {
    pub(super) fn new(span: Option<Span>) -> Line {
        Line {
            span,
            kind: Kind::Fix,
            largest: None,
            headroom: None,
            numbers: 0,
            max_error: 0.0,
            sum_error: 0.0,
            whole: 0,
            differ: 0,
            leaves: false,
            parts: false,
        }
    }

    /// The mean error of the numbers with a fraction.
    #[must_use]
    pub fn mean_error(&self) -> f64 {
        self.sum_error / self.numbers.max(1) as f64
    }

    /// Whether some number has no room left.
    #[must_use]
    pub fn overflows(&self) -> bool {
        self.headroom.is_some_and(|bits| bits <= 0.0)
    }
}

/// The element that is furthest off where a run and the plaintext part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parting {
    /// The expression.
    pub span: Option<Span>,
    /// What the run has.
    pub run: f64,
    /// What the plaintext has.
    pub plain: f64,
    /// What would still be a rounding; 0 for bits and whole numbers.
    pub allowed: f64,
    /// Where what it is made of left its room, if it did.
    pub cause: Option<Cause>,
    /// A number outside of the interval for which a function's table was made, if one went into it.
    pub outside: Option<Outside>,
}

/// A number for which a function has no meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outside {
    /// The number.
    pub number: f64,
    /// The interval, its end not included.
    pub interval: [f64; 2],
}

/// Where numbers left their room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cause {
    /// The expression.
    pub span: Option<Span>,
    /// Their largest magnitude.
    pub largest: f64,
}
