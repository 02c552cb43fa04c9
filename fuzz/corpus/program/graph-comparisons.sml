//! args: build {file} --emit graph
owners hospital, vendor;
fixed(int = 16, frac = 16);
/// Equality is two comparisons; a bit that one owner knows needs none.
entry f(x: fix[3] from hospital, y: fix[3] from vendor, n: int[3] from vendor) -> (fix[3] to all, bool[3] to vendor) {
    let smaller = x < y && !(x == 0.0);
    (select(smaller, x, select(n > 2, y, 0.0)), smaller || n >= 1)
}
