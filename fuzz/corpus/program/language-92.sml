owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0302: a shape other than the place asks for
fn wrong[N](x: fix[N, 4, 5]) -> fix[N, 10] {
    reshape(x, [N, 10])
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
