owners hospital, vendor;
fixed(int = 16, frac = 16);
entry score(x: fix from hospital, w: fix from vendor) -> fix to hospital {
    select(x > w, x, w)
}