//! args: check {file}
//! exit: 1
fn f(x: fix) -> fix {
    for i in 0..3 {
        let a = x;
    a
}

fn g(x: fix) -> fix { x }
