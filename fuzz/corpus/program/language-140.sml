owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, convolve};

fn my_conv[N, I, O, H, W, K](
    x: fix[N, I, H, W],
    p: Conv[I, O, K],
    stride: nat = 1,
    pad: nat = 0,
) -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad) + reshape(p.bias, [1, O, 1, 1])
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
