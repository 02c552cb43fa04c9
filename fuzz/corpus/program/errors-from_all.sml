//! args: check {file}
//! exit: 1
owners a, b;

entry f(x: fix from all) -> fix to all {
    x
}
