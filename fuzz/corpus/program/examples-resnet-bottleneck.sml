// Blocks of ResNet-50, 101 and 152; the fields are named as in torchvision's state_dicts.

use nn::{BatchNorm, ConvNoBias, batch_norm, conv2d_no_bias, relu};

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
