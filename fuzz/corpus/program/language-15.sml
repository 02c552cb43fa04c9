owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0308: a size that comes out negative, zero or fractional
fn wrong(x: fix[4]) -> fix {
    x[4]
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
