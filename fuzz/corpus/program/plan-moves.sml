//! args: build {file} --emit plan
owners hospital, vendor;
fixed(int = 6, frac = 4, ring = 16);

entry f(x: fix[3] from hospital, y: fix[3] from vendor) -> (fix[5] to hospital, bool[4] to vendor) {
    let s = x < y;
    (zero_pad(reverse(x + y, axis = 0), 1, 1, axis = 0), concat(reverse(s, axis = 0), s[1..2], axis = 0))
}
