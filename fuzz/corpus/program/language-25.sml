owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0502: a constant that rounds to zero
fn f(x: fix[4]) -> fix[4] {
    approx(abs(x), error = 0.00001)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
