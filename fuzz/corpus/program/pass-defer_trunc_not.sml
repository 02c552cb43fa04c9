//! args: build {file} --emit graph --after defer-trunc
// A third takes 17 digits, a product of three factors 48, and the ring has 64 bits.
owners a, b;

entry f(x: fix[4, 4] from a, y: fix[4, 4] from b) -> (fix[4, 4] to a, fix[4, 4] to b) {
    let s = x + y;
    (matmul(s / 3.0, s), matmul(x * y, s))
}
