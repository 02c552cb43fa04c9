// MobileNetV2 as in torchvision: the names of its state_dict, images of 224 by 224 normalised as there.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{BatchNorm, ConvNoBias, DepthwiseConvNoBias, Linear};
use nn::{batch_norm, conv2d_depthwise_no_bias, conv2d_no_bias};
use nn::{flatten, global_avg_pool, linear, relu6};

/// An inverted residual: six times as many channels between its ends, each with a filter of its own.
struct Inverted[I, O] {
    conv: (
        (ConvNoBias[I, 6 * I, 1], BatchNorm[6 * I]),
        (DepthwiseConvNoBias[6 * I, 3], BatchNorm[6 * I]),
        ConvNoBias[6 * I, O, 1],
        BatchNorm[O],
    ),
}

/// The first of them, which does not widen.
struct Narrow {
    conv: ((DepthwiseConvNoBias[32, 3], BatchNorm[32]), ConvNoBias[32, 16, 1], BatchNorm[16]),
}

struct MobileNet {
    features: (
        (ConvNoBias[3, 32, 3], BatchNorm[32]), Narrow,
        Inverted[16, 24], Inverted[24, 24],
        Inverted[24, 32], Inverted[32, 32], Inverted[32, 32],
        Inverted[32, 64], Inverted[64, 64], Inverted[64, 64], Inverted[64, 64],
        Inverted[64, 96], Inverted[96, 96], Inverted[96, 96],
        Inverted[96, 160], Inverted[160, 160], Inverted[160, 160],
        Inverted[160, 320], (ConvNoBias[320, 1280, 1], BatchNorm[1280]),
    ),
    classifier: ((), Linear[1280, 1000]),
}

fn block[N, I, O, H, W](
    x: fix[N, I, H, W],
    p: Inverted[I, O],
    stride: nat = 1,
) -> fix[N, O, (H - 1) / stride + 1, (W - 1) / stride + 1] {
    let (widen, filter, mix, norm) = p.conv;
    x
        |> conv2d_no_bias(widen.0) |> batch_norm(widen.1) |> relu6
        |> conv2d_depthwise_no_bias(filter.0, stride = stride, pad = 1)
        |> batch_norm(filter.1) |> relu6
        |> conv2d_no_bias(mix) |> batch_norm(norm)
}

fn residual[N, C, H, W](x: fix[N, C, H, W], p: Inverted[C, C]) -> fix[N, C, H, W] {
    x + block(x, p)
}

entry classify[N](
    image: fix[N, 3, 224, 224] from clinic,
    net: MobileNet from vendor,
) -> fix[N, 1000] to clinic {
    let (f, (filter, mix, norm)) = (net.features, net.features.1.conv);
    image
        |> conv2d_no_bias(f.0.0, stride = 2, pad = 1) |> batch_norm(f.0.1) |> relu6
        |> conv2d_depthwise_no_bias(filter.0, pad = 1) |> batch_norm(filter.1) |> relu6
        |> conv2d_no_bias(mix) |> batch_norm(norm)
        |> block(f.2, stride = 2) |> residual(f.3)
        |> block(f.4, stride = 2) |> residual(f.5) |> residual(f.6)
        |> block(f.7, stride = 2) |> residual(f.8) |> residual(f.9) |> residual(f.10)
        |> block(f.11) |> residual(f.12) |> residual(f.13)
        |> block(f.14, stride = 2) |> residual(f.15) |> residual(f.16)
        |> block(f.17)
        |> conv2d_no_bias(f.18.0) |> batch_norm(f.18.1) |> relu6
        |> global_avg_pool |> flatten
        |> linear(net.classifier.1)
}
