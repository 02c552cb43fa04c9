owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0301: a value of another type than the place asks for
fn wrong(x: fix[4], y: fix[4]) -> bool[4] {
    x && y
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
