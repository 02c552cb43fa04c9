//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn norm[..S](x: fix[..S]) -> fix[..S] {
    x + 0.000001
}

entry f[N](x: fix[N] from hospital, y: fix[N] from vendor) -> fix[N] to hospital {
    let z = x * y;
    norm(z) * 1e-7
}
