//! args: check {file}
//! exit: 1
fn f(x: fix) -> fix {
    let a = g(x x, 2, k = );
    let b = g(x, , 3);
    let c = [x, y; 3];
    let d = x |> 3;
    let e = x |> g + 1;
    P { a: x b: x }
}
