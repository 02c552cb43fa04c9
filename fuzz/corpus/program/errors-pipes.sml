//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

fn f[N](x: fix[N, 4]) -> fix[N, 4] {
    let a = x -> relu;
    let b = x >> relu;
    let c = x | relu;
    x |> relu |>
}
