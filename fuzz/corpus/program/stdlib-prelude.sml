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

/// Joins two tensors along an axis; all others agree. Sends no message. Gives `fix`, `int` or `bool`, as both are: `fix[5, C]`
/// from `fix[2, C]` and `fix[3, C]` with `axis = 0`.
intrinsic fn concat[..S](a: fix[..S], b: fix[..S], axis: nat);

/// Matrix product of `fix` tensors over the last two axes; the leading axes are equal.
intrinsic fn matmul[..S, M, K, N](a: fix[..S, M, K], b: fix[..S, K, N]) -> fix[..S, M, N];

/// Rows of n places, 1 at place i and 0 elsewhere, for integers i from 0 to n - 1; others count modulo the next power of two. 24
/// bytes a place and 2 rounds, no comparison.
intrinsic fn one_hot[..S](i: int[..S], n: nat) -> int[..S, n];

/// The rows of a table with these numbers, of which the parties learn nothing: `fix[N, D]` from `fix[V, D]` and `int[N]`. A
/// product with one-hot rows, without a truncation.
intrinsic fn rows_at[..S, V, D](table: fix[V, D], i: int[..S]) -> fix[..S, D];

/// The lowest n bits of integers, lowest first, negative ones in two's complement. 2 rounds for the blocks of 4 bits, then those of
/// their carries: 6 rounds and about 70 bytes for 32 bits.
intrinsic fn bits[..S](x: int[..S], n: nat) -> bool[..S, n];

/// The integers, from 0 on, whose bits these are, lowest first. 2 rounds; 7 bytes a bit and 16.
intrinsic fn from_bits[..S, N](b: bool[..S, N]) -> int[..S];

/// Whether a bit, or any behind it on the last axis, is set. Half a byte a bit, and a round for each doubling of their number.
intrinsic fn any_above[..S, N](b: bool[..S, N]) -> bool[..S, N];

/// x with some elements replaced by 0, each kept with the probability `part` (a constant, in steps of 2^-16) by a random bit
/// that nobody knows. The bits are drawn anew in each run and each call.
intrinsic fn keep_some[..S](x: fix[..S], part: fix) -> fix[..S];

/// -1, 0 or 1, as x is below, at or above 0. 2 comparisons beside one another.
fn sign[..S](x: fix[..S]) -> fix[..S] {
    select(x > 0.0, 1.0, 0.0) - select(x < 0.0, 1.0, 0.0)
}

/// x, but from `low` to `high`: 2 comparisons beside one another.
fn clamp[..S](x: fix[..S], low: fix, high: fix) -> fix[..S] {
    x + relu(low - x) - relu(x - high)
}

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

/// Elements of an axis by their positions, which may repeat: `gather(x, [2, 0, 0], axis = 1)`. Sends no message. Gives `fix`,
/// `int` or `bool`, as `x` is: `fix[N, 3]` from `fix[N, C]` with three positions and `axis = 1`.
intrinsic fn gather[..S, R](x: fix[..S], indices: [nat; R], axis: nat);

/// An axis from its end to its start. Sends no message. Gives `fix`, `int` or `bool`, as `x` is, of the same shape.
intrinsic fn reverse[..S](x: fix[..S], axis: nat);

/// Elements `start`, `start + step`, `start + 2 * step` and so on of an axis. Sends no message. Gives `fix`, `int` or `bool`, as
/// `x` is: `fix[N, (C + 1) / 2]` from `fix[N, C]` with `step = 2` and `axis = 1`.
intrinsic fn every[..S](x: fix[..S], step: nat, axis: nat, start: nat = 0);

/// Zeros before and after the elements of an axis, or fewer elements where a number is negative. Sends no message. Gives
/// `fix`, `int` or `bool` (`false`), as `x` is: `fix[N, C + 3]` from `fix[N, C]` with `before = 1`, `after = 2` and
/// `axis = 1`.
intrinsic fn zero_pad[..S](x: fix[..S], before: nat, after: nat, axis: nat);

/// An axis with `step - 1` zeros between neighbours. Sends no message. Gives `fix`, `int` or `bool`, as `x` is:
/// `fix[N, 2 * C - 1]` from `fix[N, C]` with `step = 2` and `axis = 1`.
intrinsic fn spread[..S](x: fix[..S], step: nat, axis: nat);

/// The k largest of each row, largest first, and their places (the first of equal ones first), by k tournaments.
fn top_k[N, C](x: fix[N, C], k: nat) -> (fix[N, k], int[N, k]) {
    var left = x;
    var values = zero_pad(max_over(x, axis = 1), 0, k - 1, axis = 1);
    var places = zero_pad(reshape(argmax(x), [N, 1]), 0, k - 1, axis = 1);
    for t in 1..k {
        // What has won is out.
        let out = one_hot(argmax(left), C) > 0;
        left = select(out, math::unit() - math::limit(), left);
        values = values + zero_pad(max_over(left, axis = 1), t, k - 1 - t, axis = 1);
        places = places + zero_pad(reshape(argmax(left), [N, 1]), t, k - 1 - t, axis = 1);
    }
    (values, places)
}
