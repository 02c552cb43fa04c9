//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn larger(a: fix, b: fix) -> fix {
    if a > b { a } else { b }
}

entry compare[N](x: fix[N, 784] from hospital, y: fix[N, 784] from vendor, t: public fix) -> fix to all {
    let s = sum(sum(x, axis = 0), axis = 1);
    let z = if s[0, 0] > 0.5 { t } else { 1.0 };
    larger(x[0, 0], y[0, 0]) + z
}
