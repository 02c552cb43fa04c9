//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;

fn f[N, K](x: fix[N, 4], bias: fix[4], i: int[N], p: Linear[4, K]) -> fix[N, 4] {
    let a = x * 2;
    let b = x + bias;
    let c = x + i;
    let d = p + 1.0;
    if x > 0.0 { x } else { bias }
}
