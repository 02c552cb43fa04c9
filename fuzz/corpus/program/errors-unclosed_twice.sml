//! args: check {file}
//! exit: 1
owners a;

entry f(x: fix from a) -> fix to a {
    let y = (x + 1.0;
    y

fn g(to: fix) -> fix {
    to + to
}
