//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4], s: fix) -> fix[N, 4] {
    let a = if N { x } else { x };
    let b = if s { x } else { x };
    let c = if x > 0.0 { x } else { -x };
    select(x, x, -x)
}
