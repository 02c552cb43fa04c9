//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv1d, ConvRect, ConvTranspose, conv1d, conv2d_rect, conv2d_transpose, convolve};

fn f[N](x: fix[N, 2, 5, 9], w: fix[4, 2, 3, 3], p: ConvRect[2, 4, 3, 1]) -> fix[N, 4, 3, 9] {
    let a = convolve(x, w, dilation = 3);
    let c = convolve(x, w, stride_w = 0);
    conv2d_rect(x, p, dilation = 2)
}
fn g[N, L](x: fix[N, 2, L], p: Conv1d[2, 4, 3], y: fix[N, L, 2]) -> fix[N, 4, L] {
    let a = conv1d(y, p, pad = 1);
    conv1d(x, p)
}
fn h[N](x: fix[N, 2, 4, 4], p: ConvTranspose[2, 3, 2]) -> fix[N, 3, 9, 9] {
    conv2d_transpose(x, p, stride = 2)
}
