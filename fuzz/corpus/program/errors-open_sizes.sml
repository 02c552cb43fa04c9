//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear};

entry f[N, D, ..S](x: fix[N, 4] from hospital, layers: [Linear[4, 4]; D] from vendor) -> fix[N, 4] to hospital {
    x
}
