owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0301: a value of another type than the place asks for
fn wrong(x: fix[2]) -> fix[2] {
    x * [0.5, 0.25]
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
