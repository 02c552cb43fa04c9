//! args: build {file} --emit graph --after fuse-linear
// Biases and products are added before one truncation.
owners a, b;

use nn::{Linear, linear};

entry f(x: fix[2, 3] from a, y: fix[2, 3] from a, p: Linear[3, 4] from b, q: Linear[3, 4] from b) -> fix[2, 4] to a {
    linear(x, p) + linear(y, q)
}
