//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4], w: fix[3, 4]) -> fix[N, 3] {
    matmul(x, w)
}

fn g[N](x: fix[N, 4], v: fix[4]) -> fix[N] {
    matmul(x, v)
}
