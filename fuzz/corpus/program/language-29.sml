owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::relu;

fn hinge(x: fix[4]) -> fix[4] {
    relu(x) + nn::relu(-x)
}

/// Hides the prelude's function of this name.
fn abs(x: fix[4]) -> fix[4] {
    hinge(x)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
