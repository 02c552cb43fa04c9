//! args: check {file}
//! exit: 1
owners a, b;
use nn::{BatchNorm, batch_norm};

fn scaled(x: fix, y: fix) -> fix {
    x / sqrt_local(y)
}

entry f(x: fix from a, y: fix from b) -> fix to a {
    scaled(x, x * y)
}

entry g(x: fix[1, 3, 2, 2] from a, w: fix[3] from a, v: fix[3] from b) -> fix[1, 3, 2, 2] to a {
    let p = BatchNorm { weight: w, bias: w, running_mean: w, running_var: w * v };
    batch_norm(x, p)
}
