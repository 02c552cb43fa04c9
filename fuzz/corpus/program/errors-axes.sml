//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4], s: fix) -> fix {
    let a = sum(x, axis = 2);
    let b = sum(x);
    let c = mean(x, axis = -3);
    let d = sum(s, axis = 0);
    let e = max_over(x, axis = N);
    let g = argmax(x > 0.0);
    let h = mean(argmax(x), axis = 0);
    let i = x[0, 0, 0];
    sum(x, axis = 0)
}
