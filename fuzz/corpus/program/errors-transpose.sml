//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4, 5]) -> fix[N, 5, 4] {
    let a = transpose(x);
    let b = transpose(x, [1, 0]);
    let c = transpose(x, [0, 1, 1]);
    let d = transpose(x, [1, 2, 3]);
    transpose(x, 1, 2)
}
