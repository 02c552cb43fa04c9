//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::flatten;

fn f[N](x: fix[N, 1, 8, 8]) -> fix[N, 64] {
    var h = x;
    h = flatten(h);
    flatten(h)
}

fn g() -> fix {
    var n = 0;
    n = 1.5;
    0.0
}
