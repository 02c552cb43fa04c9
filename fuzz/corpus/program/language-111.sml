owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0103: a number that cannot be read
fn f(x: fix) -> fix {
    x * 1_000.0
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
