// Two owners, numbers up to 32768 in steps of 1/65536.
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Linear, linear, relu};

/// One hidden layer.
struct Mlp { fc1: Linear[4, 8], fc2: Linear[8, 3] }

entry classify[N](x: fix[N, 4] from hospital, net: Mlp from vendor) -> fix[N, 3] to hospital {
    x |> linear(net.fc1) |> relu |> linear(net.fc2)
}