//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

fn loops(x: fix) -> fix {
    for (i = 0; i < 3; i++) { }
    x
}

fn increments(x: fix) -> fix {
    var y = x;
    y++;
    y
}

fn ternary(x: fix) -> fix {
    let y: fix;
    x > 0.0 ? x : y
}

fn inclusive(x: fix[8]) -> fix[4] {
    x[0..=3]
}

fn nested(x: fix) -> fix {
    fn inner(y: fix) -> fix { y }
    inner(x)
}

fn walrus(x: fix) -> fix {
    y := x;
    y
}
