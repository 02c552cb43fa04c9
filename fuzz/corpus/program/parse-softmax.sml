//! args: build {file} --emit ast
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
