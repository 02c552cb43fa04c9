owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{BatchNorm, ConvNoBias, batch_norm, conv2d_no_bias, relu};

struct Block[C] {
    conv1: ConvNoBias[C, C, 3],
    bn1: BatchNorm[C],
    conv2: ConvNoBias[C, C, 3],
    bn2: BatchNorm[C],
}

fn block[N, C, H, W](x: fix[N, C, H, W], p: Block[C]) -> fix[N, C, H, W] {
    let y = x
        |> conv2d_no_bias(p.conv1, pad = 1) |> batch_norm(p.bn1) |> relu
        |> conv2d_no_bias(p.conv2, pad = 1) |> batch_norm(p.bn2);
    relu(x + y)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
