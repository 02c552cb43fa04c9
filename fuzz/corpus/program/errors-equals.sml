//! args: check {file}
//! exit: 1
fn f(x: fix, p: public int) -> fix {
    let a == x;
    let b = if p = 1 { a } else { x };
    b += 1;
    b.0 = 2;
    x.w = 3;
    f(x) = 2;
    b
}
