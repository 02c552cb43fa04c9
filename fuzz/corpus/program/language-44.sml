owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0303: a call whose arguments do not fit the function's parameters
use nn::{Linear, linear};

fn wrong[N](x: fix[N, 4], a: Linear[4, 8]) -> fix[N, 8] {
    x |> linear(x, a)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
