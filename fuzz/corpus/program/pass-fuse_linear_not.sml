//! args: build {file} --emit graph --after fuse-linear
// The product is also a result of its own: truncated once, it is used twice.
owners a, b;

entry f(x: fix[3] from a, y: fix[3] from b) -> (fix[3] to a, fix[3] to b) {
    let p = x * y;
    (p, p + y)
}
