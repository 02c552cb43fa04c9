//! args: build {file} --emit graph --after fold-constants
// A sixteenth has 4 digits after the point, not 19, and adding 0 adds nothing.
owners a, b;

entry f(x: fix[2, 16] from a, y: fix[2, 16] from b) -> fix[2, 1] to a {
    mean(x - y, axis = 1) + 0.0
}
