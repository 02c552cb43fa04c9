// Blocks of ResNet-18 and ResNet-34; the fields are named as in torchvision's state_dicts.

use nn::{BatchNorm, ConvNoBias, batch_norm, conv2d_no_bias, relu};

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

fn basic_stage[N, I, C, H, W, D](
    x: fix[N, I, H, W],
    layer: (BasicDown[I, C], ..[Basic[C]; D]),
) -> fix[N, C, (H - 1) / 2 + 1, (W - 1) / 2 + 1] {
    let (first, ..rest) = layer;
    var h = basic_down(x, first);
    for p in rest { h = basic(h, p); }
    h
}
