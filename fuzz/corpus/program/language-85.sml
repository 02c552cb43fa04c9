owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0302: a shape other than the place asks for
fn wrong[N, M](x: fix[N], y: fix[M]) -> fix[N] {
    x + y
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
