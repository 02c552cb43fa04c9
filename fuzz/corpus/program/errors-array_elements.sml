//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;

fn f(a: Linear[4, 8], b: Linear[8, 4], x: fix) -> fix {
    let layers = [a, b];
    let numbers = [x, 1, true];
    let none = [];
    x
}
