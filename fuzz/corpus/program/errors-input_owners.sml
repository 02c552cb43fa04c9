//! args: check {file}
//! exit: 1
owners a, b;
owner c;

entry f1(x: fix from a from b) -> fix to a { x }

fn f2(x: fix) -> fix, fix { x }

entry f3(x: fix[?, 4] from a, y: fix[4, ?] from b) -> fix to a { x }

entry f4(p: Linear<4, 2> from a) -> fix to a { let w = Linear<4, 2>; w }
