owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Linear, linear, relu};

struct Mlp[I, H, O] { fc1: Linear[I, H], fc2: Linear[H, O] }

fn scores[N, I, H, O](x: fix[N, I], net: Mlp[I, H, O]) -> fix[N, O] {
    x |> linear(net.fc1) |> relu |> linear(net.fc2)
}

/// Two networks of one function.
entry f[N](
    x: fix[N, 49] from hospital,
    small: Mlp[49, 16, 10] from vendor,
    large: Mlp[49, 64, 10] from vendor,
) -> fix[N, 10] to hospital {
    0.5 * (scores(x, small) + scores(x, large))
}