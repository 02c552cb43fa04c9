//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N], y: fix[N]) -> fix[N] {
    select(x = y, x, y)
}
