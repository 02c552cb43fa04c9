//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f(x: fix, slope: fix = 1, n: nat = 0.5, on: bool = 1, w: fix[2] = 0.0, k: int = 2.0) -> fix {
    x
}

fn g(x: fix, a: fix = 0.5 * 2.0, b: nat = m) -> fix { x }
