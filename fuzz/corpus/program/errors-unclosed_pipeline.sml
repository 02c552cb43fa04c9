//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

fn f[N](x: fix[N, 4], a: Linear[4, 4], b: Linear[4, 2]) -> fix[N, 2] {
    x
        |> linear(a |> relu
        |> linear(b)
}

fn g(x: fix) -> fix { x }
