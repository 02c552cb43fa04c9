owners hospital, vendor;
fixed(int = 16, frac = 16);
// E0304: a size that nothing determines
use nn::{Linear, linear};

entry f[N, D](
    x: fix[N, 4] from hospital,
    layers: [Linear[4, 4]; D] from vendor,
) -> fix[N, 4] to hospital {
    var h = x;
    for p in layers { h = linear(h, p); }
    h
}