//! args: run {file}
//! exit: 1
owners a;

entry step[N](w: fix[N] from shares, x: fix[N] from a) -> fix[N] to shares {
    w + x
}
