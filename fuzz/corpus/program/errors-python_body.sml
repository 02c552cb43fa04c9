//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f(x: fix) -> fix:
    return x

fn g(x: fix) -> fix {
    let y = lambda a: a;
    x
}

fn h(x: fix) -> fix {
    let y = x if x > 0.0 else -x;
    y
}
