//! Syntax: text to tree and back. Knows how the language is written; knows nothing of what a name means.

mod actions;
pub mod ast;
pub mod dump;
mod format;
mod layout;
mod mistakes;
pub mod parser;
mod recovery;
pub mod token;

pub use format::format;
pub use parser::parse;
