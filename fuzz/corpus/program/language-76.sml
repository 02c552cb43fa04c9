owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0402: a secret where a public value is needed
entry f(x: fix[4] from hospital, i: int from vendor) -> fix to hospital {
    x[i]
}