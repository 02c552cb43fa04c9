//! args: check {file}
//! exit: 1
owners hospital, vendor, hospital, all;
fixed(int = 16, frac = 16, frac = 8);
use nn::relu;

struct P[C, C] { w: fix[C], w: fix[C] }

fn f[N, N](x: fix[N], x: fix[N]) -> fix[N] { x }

fn relu(x: fix) -> fix { x }

entry f(x: fix from hospital, x: fix from vendor) -> fix to hospital { x }
