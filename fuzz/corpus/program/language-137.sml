owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{BatchNorm, batch_norm};

entry f(
    x: fix[1, 3, 8, 8] from hospital,
    own: fix[3] from hospital,
    theirs: fix[3] from vendor,
) -> fix[1, 3, 8, 8] to hospital {
    let p = BatchNorm { weight: own, bias: own, running_mean: own, running_var: own * theirs };
    batch_norm(x, p)
}