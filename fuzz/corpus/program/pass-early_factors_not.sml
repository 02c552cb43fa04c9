//! args: build {file} --emit graph --after early-factors
// All three factors are there at once; the late product is a result, too.
owners a, b;

use nn::relu;

entry f(x: fix[8] from a, y: fix[8] from b, g: fix[8] from b) -> (fix[8] to a, fix[8] to a, fix[8] to a) {
    let d = x - y;
    let p = d * relu(x + y);
    (d * x * g, p, p * g)
}
