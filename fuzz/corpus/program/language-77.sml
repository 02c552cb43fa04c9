owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0402: a secret where a public value is needed
entry f(x: fix from hospital, n: int from vendor) -> fix to hospital {
    var y = x;
    for _ in 0..n { y = y * x; }
    y
}