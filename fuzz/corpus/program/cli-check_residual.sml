//! args: check {file}
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{BatchNorm, Conv, batch_norm, conv2d, relu};

struct Block[C] { conv1: Conv[C, C, 3], bn1: BatchNorm[C], conv2: Conv[C, C, 3], bn2: BatchNorm[C] }

fn block[N, C, H, W](x: fix[N, C, H, W], p: Block[C]) -> fix[N, C, H, W] {
    let y = x
        |> conv2d(p.conv1, pad = 1) |> batch_norm(p.bn1) |> relu
        |> conv2d(p.conv2, pad = 1) |> batch_norm(p.bn2);
    relu(x + y)
}

fn stage[N, C, H, W, D](x: fix[N, C, H, W], blocks: [Block[C]; D]) -> fix[N, C, H, W] {
    var h = x;
    for p in blocks { h = block(h, p); }
    h
}

entry features[N](x: fix[N, 8, 16, 16] from clinic, blocks: [Block[8]; 3] from vendor) -> fix[N, 8, 16, 16] to clinic {
    stage(x, blocks)
}
