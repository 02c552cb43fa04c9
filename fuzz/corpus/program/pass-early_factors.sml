//! args: build {file} --emit graph --after early-factors
// The factor is there long before the ReLU.
owners a, b;

use nn::relu;

entry f(x: fix[8] from a, y: fix[8] from b, g: fix[8] from b) -> fix[8] to a {
    let d = x - y;
    d * relu(x + y) * g
}
