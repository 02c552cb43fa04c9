//! args: check {file}
//! exit: 1
owners a;
fixed(int = 16, frac = 16);
use nn::{AdaptiveMaxPool2d, ConvTranspose2d, LeakyReLU};

fn f[N](x: fix[N, 4], y: fix[N, 2, 4, 4]) -> fix[N, 4] {
    let a = flip(x, axis = 1);
    let b = pad(x, 1, 1);
    let c = nn::patches(y, 5);
    let d = nn::adaptive_avg_pool(y, 0);
    let e = nn::group_norm(y, 3);
    let g = metrics::accuracy(x, x);
    index_select(x, 1)
}
