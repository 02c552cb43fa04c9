owners hospital, vendor;
fixed(int = 16, frac = 16);
/// Each row minus its mean.
fn centred[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    x - mean(x, axis = -1)
}

fn use_it(a: fix[3], b: fix[2, 5, 3]) -> (fix[3], fix[2, 5, 3]) {
    (centred(a), centred(b))
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
