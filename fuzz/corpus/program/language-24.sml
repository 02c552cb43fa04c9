owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0305: an expression of a kind that is not allowed here
fn doubled(x: fix[4]) -> fix[4] {
    approx(twice(x), error = 0.01)
}

fn twice(x: fix[4]) -> fix[4] {
    2.0 * x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
