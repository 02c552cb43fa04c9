//! args: check {file}
//! exit: 1
fn f(x: fix) -> fix {
    let a = 16px + 0x10;
    let b = 1_000;
    let c = 9223372036854775808;
    let d = 1. + x;
    let e = .5 * x;
    1.5e999
}
