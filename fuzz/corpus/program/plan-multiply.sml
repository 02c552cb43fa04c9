//! args: build {file} --emit plan
owners a, b;
fixed(int = 15, frac = 16, ring = 48);

entry f(x: fix[5] from a, y: fix[5] from b) -> fix[5] to all {
    x * y
}
