//! args: check {file}
//! exit: 1
def f(x: fix) -> fix { x }

fn g(x: fix) -> fix {
    let mut y = x;
    while y { y = x; }
    return y;
}

fn h(x: bool, y: bool) -> bool { x and y }
