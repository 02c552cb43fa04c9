owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0503: a constant outside of the number format
entry f(x: fix in 0..40000 from hospital) -> fix to hospital {
    x
}