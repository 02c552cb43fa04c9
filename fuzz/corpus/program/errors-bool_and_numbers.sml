//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N], y: fix[N], n: int[N]) -> bool[N] {
    let a = x > 0.0;
    let b = a == y;
    let c = a > 0.0;
    let d = x && y;
    let e = !x;
    let g = -a;
    let h = a + a;
    let i = select(a, a, a);
    x > 0.0 && n
}
