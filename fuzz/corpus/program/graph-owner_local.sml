//! args: build {file} --emit graph --dim N=1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{BatchNorm, ConvNoBias, batch_norm, conv2d_no_bias};

/// The image is scaled by its owner, the statistics are folded by theirs, before anything is shared.
entry f[N](x: fix[N, 1, 4, 4] from hospital, conv: ConvNoBias[1, 2, 3] from vendor, bn: BatchNorm[2] from vendor)
    -> fix[N, 2, 4, 4] to hospital {
    x / 255.0 |> conv2d_no_bias(conv, pad = 1) |> batch_norm(bn)
}
