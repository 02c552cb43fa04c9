//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

struct Mlp { hidden: Linear[4, 8], output: Linear[8, 2] }

fn f[N](input: fix[N, 4], net: Mlp) -> fix[N, 2] {
    let activation = inptu |> linear(net.hiden) |> rleu;
    activaton |> linear(net.outptu)
}

entry g[N](x: fix[N, 4] from hopsital, net: Mlp from vendor) -> fix[N, 2] to hospital {
    reveal sum(x, axes = 0) to vendr;
    f(x, net)
}
