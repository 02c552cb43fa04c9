//! args: build {file} --emit ast
// The tree shows what binds tighter.
fn f(a: fix, b: fix) -> bool {
    let sums = a + b * -a / 2 - b % 3;
    let signs = - -a - !b;
    let logic = a < b && b <= a || !(a == b) && a != 1.0;
    let groups = (a + b) * (a - (b - a));
    let last = -a.0[1](2) + a;
    a >= b || a > b
}
