//! args: build {file} --emit graph --after share-comparisons
// One comparison for the ReLUs of a number and of its negative, and for the choice by its sign; a product's sign is read
// before its truncation also where a constant is subtracted from it, or it from a constant.
owners a, b;

use nn::relu;

entry f(x: fix[8] from a, y: fix[8] from b, z: fix[8] from b) -> (fix[8] to a, fix[8] to a) {
    let d = x - y;
    let p = x * y;
    (relu(d) * relu(-d) + select(d >= 0.0, y, z), select(p > 2.0, relu(1.0 - p), select(z - x > 0.0, z - x, 0.0)))
}
