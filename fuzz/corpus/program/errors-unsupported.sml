//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry pick(x: fix[4] from hospital, w: int[4] from vendor, i: public int) -> (fix to hospital, int[4] to vendor) {
    for _ in 0..i {}
    (x[i], w / 2)
}
