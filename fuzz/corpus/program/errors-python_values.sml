//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f(x: fix) -> fix {
    let on = True;
    let none = None;
    let n = len(x);
    let h = print(x);
    pass;
    x
}
