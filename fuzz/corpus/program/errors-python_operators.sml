//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4], w: fix[4, 2]) -> fix[N, 2] {
    let a = x ** 2;
    let b = not x;
    let c = x[:, 0];
    let d = x[0:2];
    x @ w
}
