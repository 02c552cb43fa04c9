// Parts of the residual networks of torchvision; the fields are named as in its state_dicts.

use nn::{BatchNorm, ConvNoBias, Linear, batch_norm, conv2d_no_bias};
use nn::{flatten, global_avg_pool, linear, max_pool, relu};

/// Two convolutions of 3 by 3.
struct Basic[C] {
    conv1: ConvNoBias[C, C, 3],
    bn1: BatchNorm[C],
    conv2: ConvNoBias[C, C, 3],
    bn2: BatchNorm[C],
}

/// The same from I to C channels; what is added to it is projected.
struct BasicDown[I, C] {
    conv1: ConvNoBias[I, C, 3],
    bn1: BatchNorm[C],
    conv2: ConvNoBias[C, C, 3],
    bn2: BatchNorm[C],
    downsample: (ConvNoBias[I, C, 1], BatchNorm[C]),
}

/// A convolution of 3 by 3 between two of 1 by 1: from I channels to C, to 4 C.
struct Bottleneck[I, C] {
    conv1: ConvNoBias[I, C, 1],
    bn1: BatchNorm[C],
    conv2: ConvNoBias[C, C, 3],
    bn2: BatchNorm[C],
    conv3: ConvNoBias[C, 4 * C, 1],
    bn3: BatchNorm[4 * C],
}

/// The same; what is added to it is projected.
struct Down[I, C] {
    conv1: ConvNoBias[I, C, 1],
    bn1: BatchNorm[C],
    conv2: ConvNoBias[C, C, 3],
    bn2: BatchNorm[C],
    conv3: ConvNoBias[C, 4 * C, 1],
    bn3: BatchNorm[4 * C],
    downsample: (ConvNoBias[I, 4 * C, 1], BatchNorm[4 * C]),
}

/// From an image to 64 channels at a quarter of its size.
fn stem[N, H, W](
    x: fix[N, 3, H, W],
    conv: ConvNoBias[3, 64, 7],
    bn: BatchNorm[64],
) -> fix[N, 64, ((H - 1) / 2 + 2) / 2, ((W - 1) / 2 + 2) / 2] {
    x |> conv2d_no_bias(conv, stride = 2, pad = 3) |> batch_norm(bn) |> relu
        |> max_pool(3, stride = 2, pad = 1)
}

fn basic[N, C, H, W](x: fix[N, C, H, W], p: Basic[C]) -> fix[N, C, H, W] {
    let y = x
        |> conv2d_no_bias(p.conv1, pad = 1) |> batch_norm(p.bn1) |> relu
        |> conv2d_no_bias(p.conv2, pad = 1) |> batch_norm(p.bn2);
    relu(x + y)
}

/// The block that halves height and width.
fn basic_down[N, I, C, H, W](
    x: fix[N, I, H, W],
    p: BasicDown[I, C],
) -> fix[N, C, (H - 1) / 2 + 1, (W - 1) / 2 + 1] {
    let y = x
        |> conv2d_no_bias(p.conv1, stride = 2, pad = 1) |> batch_norm(p.bn1) |> relu
        |> conv2d_no_bias(p.conv2, pad = 1) |> batch_norm(p.bn2);
    relu(y + (x |> conv2d_no_bias(p.downsample.0, stride = 2) |> batch_norm(p.downsample.1)))
}

/// What a bottleneck adds to its input.
fn residue[N, I, C, H, W](
    x: fix[N, I, H, W],
    p: Bottleneck[I, C],
    stride: nat,
) -> fix[N, 4 * C, (H - 1) / stride + 1, (W - 1) / stride + 1] {
    x
        |> conv2d_no_bias(p.conv1) |> batch_norm(p.bn1) |> relu
        |> conv2d_no_bias(p.conv2, stride = stride, pad = 1) |> batch_norm(p.bn2) |> relu
        |> conv2d_no_bias(p.conv3) |> batch_norm(p.bn3)
}

fn bottleneck[N, C, H, W](x: fix[N, 4 * C, H, W], p: Bottleneck[4 * C, C]) -> fix[N, 4 * C, H, W] {
    relu(x + residue(x, p, stride = 1))
}

fn down[N, I, C, H, W](
    x: fix[N, I, H, W],
    p: Down[I, C],
    stride: nat,
) -> fix[N, 4 * C, (H - 1) / stride + 1, (W - 1) / stride + 1] {
    let inner = Bottleneck {
        conv1: p.conv1,
        bn1: p.bn1,
        conv2: p.conv2,
        bn2: p.bn2,
        conv3: p.conv3,
        bn3: p.bn3,
    };
    let projected = x
        |> conv2d_no_bias(p.downsample.0, stride = stride)
        |> batch_norm(p.downsample.1);
    relu(projected + residue(x, inner, stride = stride))
}

fn basic_stage[N, I, C, H, W, D](
    x: fix[N, I, H, W],
    layer: (BasicDown[I, C], ..[Basic[C]; D]),
) -> fix[N, C, (H - 1) / 2 + 1, (W - 1) / 2 + 1] {
    let (first, ..rest) = layer;
    var h = basic_down(x, first);
    for p in rest { h = basic(h, p); }
    h
}

fn stage[N, I, C, H, W, D](
    x: fix[N, I, H, W],
    layer: (Down[I, C], ..[Bottleneck[4 * C, C]; D]),
    stride: nat = 2,
) -> fix[N, 4 * C, (H - 1) / stride + 1, (W - 1) / stride + 1] {
    let (first, ..rest) = layer;
    var h = down(x, first, stride = stride);
    for p in rest { h = bottleneck(h, p); }
    h
}

/// Averages each channel, then names the class.
fn head[N, C, O, H, W](x: fix[N, C, H, W], fc: Linear[C, O]) -> fix[N, O] {
    x |> global_avg_pool |> flatten |> linear(fc)
}
