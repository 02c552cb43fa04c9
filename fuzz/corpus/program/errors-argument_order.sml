//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn leaky[..S](x: fix[..S], slope: fix = 0.125, shift: fix = 0.0) -> fix[..S] { x * slope + shift }

fn f[N](x: fix[N]) -> fix[N] {
    let a = leaky(slope = 0.25, x);
    let b = leaky(x, x = x);
    let c = leaky(x, 0.25, slope = 0.5);
    let d = leaky();
    let e = leaky(x, sloap = 0.5);
    leaky(x, 0.25, 0.0, 1.0)
}
