//! args: check {file}
//! exit: 1
owners a;
fixed(int = 16, frac = 16, ring = 32);
entry f(x: fix from a) -> fix to a { x }
