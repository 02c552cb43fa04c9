owners hospital, vendor;

use nn::{Linear, linear, relu};

fn two[N, I, H, O](x: fix[N, I], a: Linear[I, H], b: Linear[H, O]) -> fix[N, O] {
    x |> linear(a) |> relu |> linear(b)
}

fn wrong[N](x: fix[N, 49], a: Linear[49, 32], b: Linear[30, 10]) -> fix[N, 10] {
    two(x, a, b)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
