// A residual network in small: a stem, three equal blocks, an average, a classifier.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{
    BatchNorm,
    ConvNoBias,
    Linear,
    batch_norm,
    conv2d_no_bias,
    flatten,
    global_avg_pool,
    linear,
    relu,
};

struct Block[C] {
    conv1: ConvNoBias[C, C, 3],
    bn1: BatchNorm[C],
    conv2: ConvNoBias[C, C, 3],
    bn2: BatchNorm[C],
}

struct Net {
    conv1: ConvNoBias[3, 8, 3],
    bn1: BatchNorm[8],
    layer1: [Block[8]; 3],
    fc: Linear[8, 10],
}

fn block[N, C, H, W](x: fix[N, C, H, W], p: Block[C]) -> fix[N, C, H, W] {
    let y = x
        |> conv2d_no_bias(p.conv1, pad = 1) |> batch_norm(p.bn1) |> relu
        |> conv2d_no_bias(p.conv2, pad = 1) |> batch_norm(p.bn2);
    relu(x + y)
}

fn stage[N, C, H, W, D](x: fix[N, C, H, W], blocks: [Block[C]; D]) -> fix[N, C, H, W] {
    var h = x;
    for p in blocks { h = block(h, p); }
    h
}

entry classify[N](
    image: fix[N, 3, 16, 16] from clinic,
    net: Net from vendor,
) -> fix[N, 10] to clinic {
    image
        |> conv2d_no_bias(net.conv1, pad = 1) |> batch_norm(net.bn1) |> relu
        |> stage(net.layer1)
        |> global_avg_pool |> flatten
        |> linear(net.fc)
}
