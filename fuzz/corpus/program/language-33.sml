owners hospital, vendor;
fixed(int = 16, frac = 16);
fn twice(x: fix) -> fix {
    double(x)
}

fn double(x: fix) -> fix {
    2.0 * x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
