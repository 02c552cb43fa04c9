//! Syntax: text to tree and back. Knows how the language is written; knows nothing of what a name means.

mod actions;
pub mod ast;
mod mistakes;
pub mod parser;
pub mod token;

pub use parser::parse;
