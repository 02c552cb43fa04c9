owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0309: a derivative of something that has none
fn wrong(w: fix[4]) -> fix[4] {
    grad(w * w, w)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
