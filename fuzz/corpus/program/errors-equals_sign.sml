//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4]) -> fix[N, 4] {
    if N = 4 { x } else { -x }
}
