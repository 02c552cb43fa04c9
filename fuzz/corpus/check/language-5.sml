owners hospital, vendor;
fixed(int = 16, frac = 16);
/// Each row minus its mean.
fn centred[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    x - mean(x, axis = -1)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
