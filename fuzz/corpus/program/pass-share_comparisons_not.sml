//! args: build {file} --emit graph --after share-comparisons
// `x < y` and `y < x` are both false for equal numbers; one ReLU leaves more bits unread.
owners a, b;

use nn::relu;

entry f(x: fix[8] from a, y: fix[8] from b) -> (fix[8] to a, fix[8] to a) {
    let d = x - y;
    (select(x < y, x, y) + select(y < x, x, y), relu(d) + approx(relu(d), error = 0.01))
}
