//! args: check {file}
//! exit: 1
fn f(x: fix) -> fix {
    let a = x + 1
    let b = g(a)
    var c = b;
    c = c + 1
    for i in 0..3 { c = c + x; };
    c
}
