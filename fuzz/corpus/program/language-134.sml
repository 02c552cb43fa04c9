owners hospital, vendor;

use nn::{ConvNoBias, conv2d_no_bias, relu};

fn block[N, C, H, W](x: fix[N, C, H, W], p: ConvNoBias[C, C, 3]) -> fix[N, C, H, W] {
    let y = conv2d_no_bias(x, p);
    relu(x + y)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
