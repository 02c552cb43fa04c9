//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn affine[N](x: fix[N, 4], w: fix[4, 3], b: fix[3]) -> fix[N, 3] {
    matmul(x, w) + b
}

fn channels[N](x: fix[N, 3, 8, 8], b: fix[3]) -> fix[N, 3, 8, 8] {
    x + b
}
