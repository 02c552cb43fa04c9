//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear};

fn all[N](x: fix[N, 4], layers: [Linear[4, 4]; 3]) -> fix[N, 4] {
    var h = x;
    for p in layers { h = linear(h, p); }
    let extra = layers[3];
    h
}

entry f[N](x: fix[N, 4] from hospital, layers: [Linear[4, 4]; 2] from vendor) -> fix[N, 4] to hospital {
    all(x, layers)
}
