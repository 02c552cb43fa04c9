//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::relu;

struct Head { w: fix[C, 10] }

fn f(x: fix[N, 4]) -> fix[N, 4] { relu(x) }

fn g(x: fix[..S]) -> fix[..S] { relu(x) }

fn h[N, ..S](x: fix[..S, N]) -> fix[N, ..S] { x }

entry k(x: fix[batch, 4] from hospital, n: nat from vendor) -> fix[batch, 4] to hospital { x }
