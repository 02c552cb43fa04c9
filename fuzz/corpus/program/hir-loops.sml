//! args: build {file} --emit hir
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{Linear, linear, relu};

struct Net { layers: [Linear[4, 4]; 3] }

fn power[..S](x: fix[..S], n: nat) -> fix[..S] {
    var y = x;
    for _ in 1..n { y = y * x; }
    y
}

/// What the hospital alone knows is computed by the hospital.
entry f[N](x: fix[N, 4] from hospital, net: Net from vendor, flip: public fix) -> (fix[N, 4] to hospital, int[N] to all) {
    var h = power(x, n = 3);
    for p in net.layers { h = h |> linear(p) |> relu; }
    let kept = select(h > 0.5, h, 0.0);
    if N > 1 { (kept * flip, argmax(h)) } else { (h, argmax(x)) }
}
