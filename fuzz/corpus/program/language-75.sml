owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f(x: fix from hospital, w: fix from vendor) -> fix to hospital {
    select(x * w > 0.5, x, w)
}