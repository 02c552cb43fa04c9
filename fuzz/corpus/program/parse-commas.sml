//! args: build {file} --emit ast
// A last comma is allowed everywhere.
owners a, b,;
fixed(int = 16, frac = 16,);
use nn::{relu,};
struct P[N, ..S,] { w: fix[N, ..S,], t: (fix, fix,), }
fn f[N,](x: fix[N,], p: P[N, 1,],) -> (fix[N], fix,) {
    let (u, v,) = (x, x,);
    (g(x, k = 1,), [u, v,],)
}
entry e(x: fix from a,) -> (fix to a, fix to b,) { approx(f(x,), bits = 8,) }
