//! args: build {file} --emit graph --after defer-trunc
// A quarter adds two digits, for which the product has room.
owners a, b;

entry f(x: fix[4, 4] from a, y: fix[4, 4] from b) -> fix[4, 4] to a {
    let s = x + y;
    matmul(s * 0.25, s)
}
