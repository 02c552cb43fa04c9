owners hospital, vendor;
fixed(int = 16, frac = 16);
fn halved[N, H](x: fix[N, 2 * H]) -> fix[N, H] {
    x[.., 0..H] + x[.., H..]
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
