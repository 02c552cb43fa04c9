//! args: check {file}
//! exit: 1
fn f(x: fix) -> fix {
    let a = x & x;
    let b = "text";
    let c = x × 2 #;
    x @@ 3
}
