//! args: check {file}
owners clinic, vendor;
fixed(int = 16, frac = 16);

/// e^x for x in [-16, 0] as (1 + x/256)^256: eight squarings.
fn exp_neg[..S](x: fix[..S]) -> fix[..S] {
    var y = 1.0 + x / 256.0;
    for _ in 0..8 { y = y * y; }
    y
}

/// Softmax over the last axis.
fn softmax[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    let z = x - max_over(x, axis = -1);
    let e = exp_neg(at_least(z, -16.0));
    e * reciprocal(sum(e, axis = -1))
}

entry scores[N](x: fix[N, 10] from clinic, w: fix[10, 10] from vendor) -> fix[N, 10] to clinic {
    softmax(matmul(x, w))
}
