//! args: build {file} --emit graph --after fold-scale
// Through a bias, which is scaled, too, and, as the number is positive, through a ReLU; into a linear layer's weights, which
// take seven more digits for a hundredth.
owners clinic, vendor;

use nn::{Linear, linear, relu};

entry f(x: fix[2, 4] from clinic, p: Linear[4, 3] from vendor, s: fix[3] from vendor) -> (
    fix[2, 3] to clinic,
    fix[2, 3] to clinic,
) {
    (linear(x, p) * reshape(s, [1, 3]), 0.01 * relu(linear(x + x, p)))
}
