//! args: check {file}
//! exit: 1
struct P { w: fix }

owners a, b;
fixed(int = 16, frac = 16);

use nn::relu;

entry e(x: fix from a) -> (fix to a, fix to b) to b { (x, x) }
