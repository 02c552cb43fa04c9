//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear};

fn f[N](x: fix[N, 4], p: Linear[4, 3]) -> fix[N, 2] {
    linear(x, p)
}

fn g[N](x: fix[N, 4]) -> (fix[N, 4], fix) { x }

fn h[N](x: fix[N, 4]) -> fix[N, 4] { (x, x) }

entry i[N](x: fix[N, 4] from hospital) -> bool[N] to hospital { argmax(x) }
