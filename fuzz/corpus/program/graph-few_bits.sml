//! args: build {file} --emit graph
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry f(x: fix[2, 3] from hospital, w: fix[2, 3] from vendor) -> (fix[2, 3] to hospital, bool[3] to vendor) {
    let rows = sum(x * w, axis = 1) > 0.0;
    (select(rows, x, w), (x > w)[0])
}
