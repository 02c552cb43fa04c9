//! args: build {file} --emit graph --after fold-scale
// The vendor knows filters and scale, and shares their product.
owners clinic, vendor;

use nn::{ConvNoBias, conv2d_no_bias};

entry f(
    x: fix[1, 2, 4, 4] from clinic,
    p: ConvNoBias[2, 3, 3] from vendor,
    s: fix[3] from vendor,
) -> fix[1, 3, 4, 4] to clinic {
    conv2d_no_bias(x, p, pad = 1) * reshape(s, [1, 3, 1, 1])
}
