//! args: check {file}
//! exit: 1
fn f(a fix, b: , c: fix = , d: fix) -> fix { a }

fn g(x: fix) { x }

struct P { w fix, b: fix[], c: [fix, 3] }

fn to(x: fix) -> fix { x }
