owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0601: an owner that the header does not name
entry f(x: fix from hospital, w: fix from vendor) -> fix to doctor {
    x * w
}