//! args: check {file}
//! exit: 1
owners a, b;

entry f1(x: fix from public) -> fix to public { x }

entry f2(public x: fix) -> fix to a { x }

entry f3(secret x: fix from a) -> fix to a { x }

entry f4(x: private fix from a) -> fix to a { x }

entry f5(x: fix from a, b) -> fix to a, b { x }

entry f6(x: fix from a in 0..255) -> fix, fix { x }

entry f7(x from a: fix) -> fix to a { x }
