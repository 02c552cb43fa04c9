//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
struct Tree { left: Tree, value: fix }

fn even(x: fix) -> fix { odd(x) }
fn odd(x: fix) -> fix { even(x) }
