owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0502: a constant that rounds to zero
entry f(x: fix from hospital, y: fix from vendor) -> fix to all {
    x * y / 200000.0
}