//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::relu;

fn f[N](x: fix[N, 4], rate: fix) -> fix[N, 4] {
    let a = x + 1;
    let b = 2 * x;
    let c = at_least(x, 0);
    let d = if rate > 0 { x } else { b };
    let e: fix = 3;
    relu(x) / 255
}
