owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0301: a value of another type than the place asks for
fn forgets(x: fix) -> fix {
    let y = 2.0 * x;
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
