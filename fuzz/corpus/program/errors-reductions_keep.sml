//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[N](x: fix[N, 4]) -> fix[N] {
    sum(x, axis = 1)
}

fn g[N](x: fix[N, 4]) -> fix {
    mean(mean(x, axis = 0), axis = 1)
}
