owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0102: a token where the grammar does not allow it
fn wrong(x: fix[4]) -> bool[4] {
    0.0 <= x < 1.0
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
