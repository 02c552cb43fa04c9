//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N] from hospital, y: fix[N] from vendor) -> fix[N] to hospital {
    let z = x * y;
    let a = z * 1e9;
    let b = at_most(z, 65536.0);
    let c = z / 0.00001;
    let d = z > 32768.0;
    a + b + c
}
