//! args: check {file}
//! exit: 1
fn f(a: fix, b: fix) -> bool {
    let c = a < b < 1.0;
    let d = a == b == c;
    c
}
