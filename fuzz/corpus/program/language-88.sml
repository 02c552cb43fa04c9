owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0302: a shape other than the place asks for
fn wrong[N, C](x: fix[N, C], bias: fix[C]) -> fix[N, C] {
    x + bias
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
