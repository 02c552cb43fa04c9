//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4], deep: bool) -> fix[N, 4] {
    let y = if N > 3 { x * 2.0 };
    let z = if N > 3 { x } else { 1.0 };
    let w = if N > 3 { x } else { };
    y
}
