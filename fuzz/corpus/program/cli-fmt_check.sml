//! args: fmt --check {file}
//! exit: 1
owners a;
entry f(x: fix from a) -> fix to a {x+x}
