owners hospital, vendor;
fixed(int = 16, frac = 16);
fn pair(a: fix, b: fix) -> fix[2] {
    concat(reshape(a, [1]), reshape(b, [1]), axis = 0)
}

entry f(
    x: fix[2] from hospital,
    w: fix[2] from vendor,
    weights: public fix[2],
) -> fix[2] to hospital {
    x * w * weights + pair(0.5, 0.25) + 1.0
}