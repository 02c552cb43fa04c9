//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{conv2d, relu};

fn shape[N](k: fix) -> fix { k }

fn f[N](x: fix[N], relu: fix) -> fix[N] {
    let a = at_least(x);
    let b = at_most(x, bond = 1.0);
    let c = abs(x, x, x);
    let d = relu(x);
    let e = shape(1.0);
    x.y
}
