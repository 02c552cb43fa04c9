//! args: build {file} --emit graph --after sink-trunc
// The products are needed as they are, too.
owners a, b;

entry f(x: fix[2, 8] from a, y: fix[2, 8] from b) -> (fix[2, 1] to a, fix[2, 8] to b) {
    let p = x * y;
    (sum(p, axis = 1), p)
}
