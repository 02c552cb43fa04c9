//! args: check {file}
//! exit: 1
owners a b;
fixed(int = 16.0);

entry e(x: fix of a) -> fix for a { x }

entry f(x: fix from "a") -> fix to a { x }

intrinsic fn g(x: fix) -> fix { x }
