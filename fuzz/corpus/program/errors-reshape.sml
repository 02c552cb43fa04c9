//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N, ..S](x: fix[N, 4], y: fix[..S]) -> fix[N * 2, 2] {
    let a = reshape(x, [N, 5]);
    let b = reshape(x, N, 4);
    let c = reshape(x, [-1, 2]);
    let d = reshape(y, [4]);
    let e = reshape(x, [N, M]);
    reshape(x, [N, 2, 2])
}
