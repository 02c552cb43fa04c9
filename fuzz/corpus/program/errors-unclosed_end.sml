//! args: check {file}
//! exit: 1
owners a;

entry e(x: fix from a) -> fix to a {
    g(x, (1 + 2
