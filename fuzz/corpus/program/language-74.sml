owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0401: a secret decides a branch
entry f(x: fix from hospital, w: fix from vendor) -> fix to hospital {
    if x * w > 0.5 { x } else { w }
}