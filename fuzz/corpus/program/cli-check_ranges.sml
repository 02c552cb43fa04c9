//! args: check {file} --ranges --dim N=2
owners hospital, vendor;
fixed(int = 10, frac = 16);

use nn::{Linear, linear, relu};

struct Mlp { fc1: Linear[4, 8], fc2: Linear[8, 3] }

entry score[N](
    image: fix[N, 4] in 0..255 from hospital,
    net: Mlp in -2.0..2.0 from vendor,
    bonus: fix[N, 3] from hospital,
) -> (fix[N, 3] to hospital, fix[N, 3] to hospital) {
    let x = image / 255.0;
    let y = x |> linear(net.fc1) |> relu |> linear(net.fc2);
    (image * (y - 1.0)[0, 0] |> large, y + bonus)
}

fn large[N](x: fix[N, 4]) -> fix[N, 3] { x[.., 0..3] * 4.0 }
