owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0307: a construct that this version does not compile
entry f(x: fix[4] from hospital, w: fix[4] from vendor) -> fix[4] to hospital {
    x / sqrt_local(x + w)
}