//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, Linear, conv2d, linear, relu};

fn f[N](x: fix[N, 1, 28, 28], conv: Conv[1, 6, 5], head: Linear[3456, 10]) -> fix[N, 10] {
    x |> conv2d(conv) |> relu |> linear(head)
}
