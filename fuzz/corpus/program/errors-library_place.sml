//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{BatchNorm, batch_norm};

entry f(
    x: fix[1, 3, 8, 8] from hospital,
    w: fix[3] from vendor,
    v: fix[3] from hospital,
) -> fix[1, 3, 8, 8] to hospital {
    let p = BatchNorm { weight: w, bias: w, running_mean: w, running_var: v * w };
    batch_norm(x, p)
}
