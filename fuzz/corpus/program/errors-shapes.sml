//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, Linear, conv2d, flatten, linear, max_pool};

fn f[N](x: fix[N, 1, 8, 8], p: Conv[1, 6, 5], q: Conv[6, 2, 5], l: Linear[25, 10]) -> fix[N, 10] {
    let small = x |> conv2d(p) |> max_pool(2) |> conv2d(q);
    let axis = sum(x, axis = 4);
    let cut = x[0..9];
    x |> conv2d(p) |> flatten |> linear(l)
}
