//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f(x: fix) -> fix {
    let y = x * 2.0;
}

fn g(x: fix) -> fix {
    x * 2.0;
}

fn h(x: fix) -> fix {
    var y = x;
    y = y + 1.0;
}

fn i(x: fix) -> fix {}
