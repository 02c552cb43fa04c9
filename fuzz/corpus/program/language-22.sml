owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{max_pool, relu};

fn layer[N](x: fix[N, 8, 4, 4]) -> fix[N, 8, 2, 2] {
    approx(relu(x), error = 0.01) |> approx(max_pool(2), error = 0.01)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
