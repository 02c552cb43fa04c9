//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Conv, rellu};
use nm::linear;

struct Net { conv: Conv[1, 6, 5], head: Liner[6, 2] }

fn f[N](x: fix[N, 4], p: Conv[1, 2, 3]) -> fix[N, 4] {
    let scores = x * p.wieght;
    max_over(score, axes = 1) + relu(x)
}

fn f[N](x: fix[N]) -> fix[N] { x }
