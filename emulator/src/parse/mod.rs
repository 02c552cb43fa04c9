//! PTX text to statements. Knows the grammar, and nothing of what instructions mean.

mod lexer;
mod syntax;

pub(crate) use syntax::{Arg, Function, Instruction, Item, Parameter, Statement, Variable, items};

/// A complaint about a line of the text (from 0).
#[derive(Debug)]
pub(crate) struct Problem {
    pub line: usize,
    pub why: String,
}

pub(crate) fn problem<T>(line: usize, why: &str) -> Result<T, Problem> {
    Err(Problem { line, why: why.to_owned() })
}
