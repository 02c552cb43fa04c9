//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](a: fix[N, 4], b: fix[N, 5], c: fix[N, 4, 1], n: int[N, 4]) -> fix[N, 9] {
    let d = concat(a, b, axis = 0);
    let e = concat(a, c, axis = 1);
    let g = concat(a, n, axis = 1);
    let h = concat(a, b, axis = 2);
    let i = concat([a, b], axis = 1);
    concat(a, b)
}
