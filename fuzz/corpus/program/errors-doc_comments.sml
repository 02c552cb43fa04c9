//! args: check {file}
//! exit: 1
/// Nothing follows but a header.
owners a;

fn f(x: fix) -> fix {
    /// Not here.
    let y = x;
    y
}

struct P {
    w: fix,
    /// No field follows.
}
