owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0303: a call whose arguments do not fit the function's parameters
use nn::{Conv, conv2d};

fn wrong[N](x: fix[N, 1, 8, 8], p: Conv[1, 4, 3]) -> fix[N, 4, 8, 8] {
    conv2d(x, p, padding = 1)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
