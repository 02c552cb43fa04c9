owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

struct Mlp { fc1: Linear[49, 32], fc2: Linear[32, 10] }

fn scores[N](x: fix[N, 49], net: Mlp) -> fix[N, 10] {
    x |> linear(net.fc1) |> relu |> linear(net.fc2)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
