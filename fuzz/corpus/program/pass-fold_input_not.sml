//! args: build {file} --emit graph --after fold-input
// The scale is another owner's than the filters; the scaled image is used twice; the scale differs along the rows.
owners clinic, vendor;

use nn::{ConvNoBias, conv2d_no_bias, relu};

entry f(
    x: fix[1, 2, 4, 4] from clinic,
    y: fix[1, 2, 4, 4] from vendor,
    s: fix[2] from clinic,
    t: fix[2] from vendor,
    r: fix[4] from vendor,
    p: ConvNoBias[2, 2, 3] from vendor,
) -> (fix[1, 2, 2, 2] to clinic, fix[1, 2, 4, 4] to clinic, fix[1, 2, 2, 2] to clinic) {
    let h = relu(x + y);
    let a = conv2d_no_bias(h * reshape(s, [1, 2, 1, 1]), p);
    let scaled = h * reshape(t, [1, 2, 1, 1]);
    let b = conv2d_no_bias(scaled, p, pad = 1) + scaled;
    (a, b, conv2d_no_bias(h * reshape(r, [1, 1, 1, 4]), p))
}
