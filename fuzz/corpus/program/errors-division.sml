//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
entry f[N](x: fix[N] from hospital, y: fix[N] from vendor, n: int[N] from vendor) -> fix[N] to hospital {
    let a = (x + y) / 0.0;
    let b = n / 2;
    let c = n % 2;
    let d = x[0..N / 0];
    let e = x / y;
    a / (x + y)
}
