owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0204: two definitions of one name
fn double(x: fix) -> fix {
    2.0 * x
}

fn double(x: fix) -> fix {
    x + x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
