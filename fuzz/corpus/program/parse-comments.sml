//! args: build {file} --emit ast
// Comments are no part of the tree; doc comments are.
//// Not a doc comment.
/// A record.
///
///  Indented by one more.
struct P { // here
    /// The weight,
    /// in two lines.
    w: fix, /// The bias.
    b: fix, // behind
} // end

/// A function.
// between
fn f(x: fix) -> fix { // body
    x // value
    // last
}
