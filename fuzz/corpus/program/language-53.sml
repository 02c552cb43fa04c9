owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix from hospital, y: fix from vendor) -> fix to all {
    x * 0.0000001 * 40000.0 + y
}