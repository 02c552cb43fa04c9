//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn power(x: fix, n: int) -> fix {
    var y = x;
    for _ in 1..n { y = y * x; }
    y
}

entry f(x: fix from hospital, n: int from vendor) -> fix to hospital {
    power(x, n)
}
