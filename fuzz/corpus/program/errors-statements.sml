//! args: check {file}
//! exit: 1
owners a, b;

entry f(x: fix from a) -> fix to a {
    let p, q = (x, x);
    fix y = x;
    let z = relu::<4>(x);
    x |> linear p
}

entry g(x: fix from a) -> fix to a {
    let w = x * 1.;
    let in = (x;
    in + in
