//! args: check {file}
//! exit: 1
owners a;
fixed(int = 32, frac = 16, rings = 64);
entry f(x: fix from a) -> fix to a { x }
