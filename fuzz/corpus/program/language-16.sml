owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0306: an axis that the shape does not have
fn wrong(x: fix[4]) -> fix {
    x[0, 0]
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
