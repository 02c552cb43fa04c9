//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N, 8] from hospital, steps: int from vendor) -> fix[N, 1] to hospital {
    var h = x;
    for i in 0..steps { h = h * 0.5; }
    h[0..N, steps..8]
}
