owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

fn stage[N, C, D](x: fix[N, C], layers: [Linear[C, C]; D]) -> fix[N, C] {
    var h = x;
    for p in layers { h = relu(h + linear(h, p)); }
    h
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
