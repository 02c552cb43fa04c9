// What the residual networks of torchvision begin and end with.

use nn::{BatchNorm, ConvNoBias, Linear, batch_norm, conv2d_no_bias};
use nn::{flatten, global_avg_pool, linear, max_pool, relu};

/// From an image to 64 channels at a quarter of its size.
fn stem[N, H, W](
    x: fix[N, 3, H, W],
    conv: ConvNoBias[3, 64, 7],
    bn: BatchNorm[64],
) -> fix[N, 64, ((H - 1) / 2 + 2) / 2, ((W - 1) / 2 + 2) / 2] {
    x |> conv2d_no_bias(conv, stride = 2, pad = 3) |> batch_norm(bn) |> relu
        |> max_pool(3, stride = 2, pad = 1)
}

/// Averages each channel, then names the class.
fn head[N, C, O, H, W](x: fix[N, C, H, W], fc: Linear[C, O]) -> fix[N, O] {
    x |> global_avg_pool |> flatten |> linear(fc)
}
