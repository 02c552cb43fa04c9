//! args: check {file}
//! exit: 1
owners a;
use module_parts::Block;
use module_again::{Block, stage};
use module_parts::stage;
use nn::{relu, relu, gelu};

/// The library's is in scope already.
fn gelu(x: fix) -> fix {
    x
}

entry f(x: fix from a) -> fix to a {
    stage(relu(gelu(x))) + module_unseen::half(x) + maths::exp(x)
}
