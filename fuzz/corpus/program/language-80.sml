owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0401: a secret decides a branch
fn larger(a: fix, b: fix) -> fix {
    if a > b { a } else { b }
}

entry f(x: fix from hospital, w: fix from vendor) -> fix to hospital {
    larger(x, w)
}