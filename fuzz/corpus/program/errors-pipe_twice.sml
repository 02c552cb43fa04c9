//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear};

fn f[N](x: fix[N, 4], a: Linear[4, 4]) -> fix[N, 4] {
    x |> linear(x, a)
}
