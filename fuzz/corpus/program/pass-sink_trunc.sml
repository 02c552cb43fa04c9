//! args: build {file} --emit graph --after sink-trunc
// A truncation a row, not one a product.
owners a, b;

entry f(x: fix[2, 8] from a, y: fix[2, 8] from b) -> fix[2, 1] to a {
    sum(x * y, axis = 1)
}
