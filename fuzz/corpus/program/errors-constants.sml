//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N] from hospital, y: fix[N] from vendor) -> fix[N] to all {
    let own = x * 0.0000001;
    let small = (x + y) * 0.0000001;
    let large = (x + y) + 40000.0;
    let quotient = (x + y) / 1000000.0;
    own + small + large + quotient
}
