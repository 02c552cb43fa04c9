//! args: build {file} --emit plan
owners a, b;
fixed(int = 3, frac = 2);

entry f(x: fix[4] from a, y: fix[4] from b) -> fix[4] to b {
    select(x > y, x, y)
}
