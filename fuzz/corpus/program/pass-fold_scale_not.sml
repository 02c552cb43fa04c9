//! args: build {file} --emit graph --after fold-scale
// Nobody knows the filters and the first scale; the second differs along the rows; the third convolution is used twice.
owners clinic, vendor;

use nn::{ConvNoBias, conv2d_no_bias};

entry f(
    x: fix[1, 2, 4, 4] from clinic,
    p: ConvNoBias[2, 3, 3] from vendor,
    s: fix[3] from clinic,
    r: fix[4] from vendor,
    t: fix[3] from vendor,
) -> (fix[1, 3, 4, 4] to clinic, fix[1, 3, 4, 4] to clinic, fix[1, 3, 2, 2] to clinic) {
    let a = conv2d_no_bias(x, p, pad = 1) * reshape(s, [1, 3, 1, 1]);
    let b = conv2d_no_bias(-x, p, pad = 1) * reshape(r, [1, 1, 4, 1]);
    let c = conv2d_no_bias(x, p);
    (a, b, c + c * reshape(t, [1, 3, 1, 1]))
}
