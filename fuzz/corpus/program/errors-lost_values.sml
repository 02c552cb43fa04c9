//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::relu;

fn f[N](x: fix[N]) -> fix[N] {
    relu(x);
    x + 1.0;
    for i in 0..3 { x * 2.0 }
    relu;
    x
}
