owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0306: an axis that the shape does not have
fn wrong[N, C](x: fix[N, C]) -> fix[N, C] {
    x - mean(x, axis = 2)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
