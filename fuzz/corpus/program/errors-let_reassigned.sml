//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4]) -> fix[N, 4] {
    let h = x;
    for i in 0..3 {
        h = h + x;
        i = i + 1;
    }
    x = h;
    total = h;
    h
}
