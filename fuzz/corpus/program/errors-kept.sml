//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

entry f(x: bool[4] from shares, y: fix[4] from shares) -> (bool[4] to shares, fix[4] to shares) {
    reveal y to shares;
    (y > 0.0, y)
}
