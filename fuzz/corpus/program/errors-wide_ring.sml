//! args: check {file}
//! exit: 1
owners a;
fixed(int = 40, frac = 30, ring = 128);
entry f(x: fix from a) -> fix to a { x }
