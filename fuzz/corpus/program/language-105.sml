owners hospital, vendor;
fixed(int = 16, frac = 16);
fn padded[N, C](x: fix[N, C], wide: fix[N, C]) -> fix[N, C] {
    if C > 8 { x + wide } else { x }
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
