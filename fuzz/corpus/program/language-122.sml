owners hospital, vendor;

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

fn head[N](image: fix[N, 1, 28, 28], conv1: Conv[1, 6, 5], fc1: Linear[400, 120]) -> fix[N, 120] {
    image |> conv2d(conv1, pad = 2) |> relu |> max_pool(2) |> flatten |> linear(fc1)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
