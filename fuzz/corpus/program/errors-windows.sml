//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, avg_pool, conv2d, max_pool};

fn f[N](x: fix[N, 3, 4, 4], p: Conv[3, 8, 7]) -> fix[N, 3, 1, 1] {
    let a = max_pool(x, 5);
    let b = conv2d(x, p);
    let c = max_pool(x, 2, stride = 0);
    let d = max_pool(x);
    avg_pool(x, 6, pad = 0)
}
