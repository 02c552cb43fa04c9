owners hospital, vendor;
fixed(int = 16, frac = 16);
fn inside(x: fix[4], low: fix, high: fix) -> bool[4] {
    low <= x && x < high
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
