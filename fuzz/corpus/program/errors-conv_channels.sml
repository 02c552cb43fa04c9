//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, conv2d};

fn f[N](x: fix[N, 3, 28, 28], p: Conv[1, 6, 5]) -> fix[N, 6, 24, 24] {
    conv2d(x, p)
}
