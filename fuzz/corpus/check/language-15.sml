owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix[4] from hospital, i: int from vendor) -> fix to hospital {
    x[i]
}