//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

struct Mlp { fc1: Linear[784, 128], fc2: Linear[64, 10] }

fn f[N](x: fix[N, 784], net: Mlp) -> fix[N, 10] {
    x |> linear(net.fc1) |> relu |> linear(net.fc2)
}
