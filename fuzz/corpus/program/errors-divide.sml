//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N] from hospital, y: fix[N] from vendor, n: public fix) -> fix[N] to all {
    let mean = (x + y) / n;
    let own = x / y;
    x / (x + y)
}
