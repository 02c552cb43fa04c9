owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Linear, linear, relu};

/// Two layers, of any width.
fn two[N, I, H, O](x: fix[N, I], a: Linear[I, H], b: Linear[H, O]) -> fix[N, O] {
    x |> linear(a) |> relu |> linear(b)
}

entry f[N](
    x: fix[N, 49] from hospital,
    a: Linear[49, 32] from vendor,
    b: Linear[32, 10] from vendor,
) -> fix[N, 10] to hospital {
    two(x, a, b)
}