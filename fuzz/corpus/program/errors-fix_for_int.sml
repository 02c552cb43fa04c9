//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, conv2d, max_pool};

fn f[N](x: fix[N, 1, 8, 8], p: Conv[1, 2, 3]) -> fix[N, 2, 4, 4] {
    var h = x;
    for i in 0..3.0 { h = h + h; }
    let first = x[0.0];
    h |> conv2d(p, pad = 1.0) |> max_pool(2.5)
}
