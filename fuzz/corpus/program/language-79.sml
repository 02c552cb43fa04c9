owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0402: a secret where a public value is needed
entry f(x: fix[4, 4] from hospital, n: int from vendor) -> fix[1, 4] to hospital {
    sum(x, axis = n)
}