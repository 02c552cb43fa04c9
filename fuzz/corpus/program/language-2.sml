owners hospital, vendor;
fixed(int = 16, frac = 16);
fn total(x: fix[4], y: fix[4]) -> fix[1] {
    sum(x * y, axis = 0)
}

entry one(
    x: fix[4] from hospital,
    y: fix[4] from vendor,
) -> (fix[1] to hospital, fix[4] to hospital) {
    (total(x, y), x)
}

entry other(x: fix[4] from hospital, y: fix[4] from vendor) -> bool[1] to vendor {
    total(x, y) > 0.0
}