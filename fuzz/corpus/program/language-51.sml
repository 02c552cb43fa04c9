owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0502: a constant that rounds to zero
// E0503: a constant outside of the number format
entry f(x: fix from hospital, y: fix from vendor) -> fix to all {
    (x + y) * 0.0000001 + 40000.0
}