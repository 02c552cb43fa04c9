owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0402: a secret where a public value is needed
fn scaled(x: fix, by: public fix) -> fix {
    x * by
}

entry f(x: fix from hospital, w: fix from vendor) -> fix to hospital {
    scaled(x, w)
}