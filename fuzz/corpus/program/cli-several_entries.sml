//! args: cost {file}
//! exit: 2
owners a;

entry one(x: fix from a) -> fix to a {
    x
}

entry two(x: fix from a) -> fix to a {
    x + x
}
