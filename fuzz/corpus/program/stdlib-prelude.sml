// In scope everywhere. An intrinsic without a result type says in its comment what it gives. Where that may be `int` or
// `bool`, it takes more than the `fix` that its parameters show.

use nn::relu;

/// `a` where `c` is true, `b` elsewhere; reveals nothing. Gives `fix` or `int`, as both `a` and `b` are, in the shape to
/// which the three broadcast.
intrinsic fn select[..S](c: bool[..S], a: fix[..S], b: fix[..S]);

/// Sum over an axis, which stays with size 1: `fix[N, 1]` from `fix[N, C]` with `axis = 1`. Gives `fix` or `int`, as `x`
/// is.
intrinsic fn sum[..S](x: fix[..S], axis: nat);

/// Mean over an axis, which stays with size 1. Takes and gives `fix`.
intrinsic fn mean[..S](x: fix[..S], axis: nat);

/// Largest along an axis, which stays with size 1. Gives `fix` or `int`, as `x` is.
intrinsic fn max_over[..S](x: fix[..S], axis: nat);

/// Index of the first largest along an axis, which is dropped: `int[N]` from `fix[N, C]`. Takes `fix` or `int`, gives `int`.
intrinsic fn argmax[..S](x: fix[..S], axis: nat = -1);

/// The same elements, in row-major order, under another shape, which sends no message: `reshape(x, [N, C * H * W])`.
/// Gives `fix`, `int` or `bool`, as `x` is, in the shape that is named; `[]` makes one number of one element.
intrinsic fn reshape[..S, R](x: fix[..S], shape: [nat; R]);

/// Axis `i` of the result is axis `perm[i]` of `x`, which sends no message: `transpose(w, [1, 0])`. Gives `fix`, `int` or
/// `bool`, as `x` is: `fix[K, M]` from `fix[M, K]` with `[1, 0]`.
intrinsic fn transpose[..S, R](x: fix[..S], perm: [nat; R]);

/// Joins two tensors along an axis; all others agree. Sends no message. Gives `fix` or `int`, as both are: `fix[5, C]` from
/// `fix[2, C]` and `fix[3, C]` with `axis = 0`.
intrinsic fn concat[..S](a: fix[..S], b: fix[..S], axis: nat);

/// Matrix product of `fix` tensors over the last two axes; the leading axes are equal.
intrinsic fn matmul[..S, M, K, N](a: fix[..S, M, K], b: fix[..S, K, N]) -> fix[..S, M, N];

/// |x|, with one comparison.
fn abs[..S](x: fix[..S]) -> fix[..S] {
    2.0 * relu(x) - x
}

/// x, but never below `bound`, with one comparison.
fn at_least[..S](x: fix[..S], bound: fix) -> fix[..S] {
    relu(x - bound) + bound
}

/// x, but never above `bound`, with one comparison.
fn at_most[..S](x: fix[..S], bound: fix) -> fix[..S] {
    bound - relu(bound - x)
}

/// The larger of two, elementwise, with one comparison.
fn maximum[..S](a: fix[..S], b: fix[..S]) -> fix[..S] {
    relu(a - b) + b
}

/// The smaller of two, elementwise, with one comparison.
fn minimum[..S](a: fix[..S], b: fix[..S]) -> fix[..S] {
    a - relu(a - b)
}

/// Square root of data that one owner holds (it divides, which only an owner-local value can): Heron's method,
/// exact to f64 for 1e-6 < x < 1e7.
fn sqrt_local[..S](x: fix[..S]) -> fix[..S] {
    var y = 0.5 * (x + 1.0);
    for _ in 0..16 { y = 0.5 * (y + x / y); }
    y
}

/// 1 / x of numbers that the parties hold together: `math::reciprocal`, with its domain and error. What one owner or
/// everybody knows is divided by directly.
fn reciprocal[..S](x: fix[..S]) -> fix[..S] {
    math::reciprocal(x)
}
