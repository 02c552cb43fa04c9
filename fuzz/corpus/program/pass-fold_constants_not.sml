//! args: build {file} --emit graph --after fold-constants
// A third has no end of digits; half of an integer is none.
owners a, b;

entry f(x: fix[2, 3] from a, y: fix[2, 3] from b) -> fix[2, 1] to a {
    mean(x - y, axis = 1)
}
