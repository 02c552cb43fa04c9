// Layers. Structs mirror PyTorch's modules field by field, so that a `state_dict` loads under the same names.

use math::{exp_neg, log, reciprocal, rsqrt, sigmoid_above};

/// `torch.nn.Conv2d(I, O, K)`.
struct Conv[I, O, K] { weight: fix[O, I, K, K], bias: fix[O] }

/// `torch.nn.Conv2d(I, O, K, bias=False)`.
struct ConvNoBias[I, O, K] { weight: fix[O, I, K, K] }

/// `torch.nn.Conv2d(C, C, K, groups=C)`: one filter a channel.
struct DepthwiseConv[C, K] { weight: fix[C, 1, K, K], bias: fix[C] }

/// `torch.nn.Conv2d(C, C, K, groups=C, bias=False)`.
struct DepthwiseConvNoBias[C, K] { weight: fix[C, 1, K, K] }

/// `torch.nn.Linear(I, O)`.
struct Linear[I, O] { weight: fix[O, I], bias: fix[O] }

/// `torch.nn.Linear(I, O, bias=False)`.
struct LinearNoBias[I, O] { weight: fix[O, I] }

/// `torch.nn.BatchNorm2d(C)`, with the statistics of training.
struct BatchNorm[C] { weight: fix[C], bias: fix[C], running_mean: fix[C], running_var: fix[C] }

/// `torch.nn.LayerNorm(C)`.
struct LayerNorm[C] { weight: fix[C], bias: fix[C] }

/// `torch.nn.MultiheadAttention(E, heads)`: queries, keys and values from one input.
struct MultiheadAttention[E] {
    in_proj_weight: fix[3 * E, E],
    in_proj_bias: fix[3 * E],
    out_proj: Linear[E, E],
}

/// max(x, 0) of each element, with one comparison: `fix` of the same shape.
intrinsic fn relu[..S](x: fix[..S]) -> fix[..S];

/// Cross-correlation of images `[N, I, H, W]` with filters `[O, I / groups, K, K]`: images of O channels, of `fix`. `G` is
/// `I / groups`.
intrinsic fn convolve[N, I, H, W, O, G, K](
    x: fix[N, I, H, W],
    weight: fix[O, G, K, K],
    stride: nat = 1,
    pad: nat = 0,
    groups: nat = 1,
) -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1];

/// Largest of each k by k window; padding is never the largest. Gives `fix` images of as many channels.
intrinsic fn max_pool[N, C, H, W](
    x: fix[N, C, H, W],
    k: nat,
    stride: nat = k,
    pad: nat = 0,
) -> fix[N, C, (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1];

/// Sum of each k by k window; padding counts as zero. Gives `fix` images of as many channels.
intrinsic fn sum_pool[N, C, H, W](
    x: fix[N, C, H, W],
    k: nat,
    stride: nat = k,
    pad: nat = 0,
) -> fix[N, C, (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1];

/// A convolution with bias.
fn conv2d[N, I, O, H, W, K](
    x: fix[N, I, H, W],
    p: Conv[I, O, K],
    stride: nat = 1,
    pad: nat = 0,
) -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad) + reshape(p.bias, [1, O, 1, 1])
}

/// A convolution without bias, as before a batch normalisation.
fn conv2d_no_bias[N, I, O, H, W, K](
    x: fix[N, I, H, W],
    p: ConvNoBias[I, O, K],
    stride: nat = 1,
    pad: nat = 0,
) -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad)
}

/// A convolution of each channel with its own filter.
fn conv2d_depthwise[N, C, H, W, K](
    x: fix[N, C, H, W],
    p: DepthwiseConv[C, K],
    stride: nat = 1,
    pad: nat = 0,
) -> fix[N, C, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad, groups = C) + reshape(p.bias, [1, C, 1, 1])
}

/// The same without bias.
fn conv2d_depthwise_no_bias[N, C, H, W, K](
    x: fix[N, C, H, W],
    p: DepthwiseConvNoBias[C, K],
    stride: nat = 1,
    pad: nat = 0,
) -> fix[N, C, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad, groups = C)
}

/// x W^T + b, with PyTorch's `[out, in]` weights.
fn linear[N, I, O](x: fix[N, I], p: Linear[I, O]) -> fix[N, O] {
    matmul(x, transpose(p.weight, [1, 0])) + reshape(p.bias, [1, O])
}

/// x W^T.
fn linear_no_bias[N, I, O](x: fix[N, I], p: LinearNoBias[I, O]) -> fix[N, O] {
    matmul(x, transpose(p.weight, [1, 0]))
}

/// Batch normalisation with fixed statistics (inference). One owner must hold all of `p`: it computes the scale and
/// the shift in the clear.
fn batch_norm[N, C, H, W](x: fix[N, C, H, W], p: BatchNorm[C]) -> fix[N, C, H, W] {
    let scale = p.weight / sqrt_local(p.running_var + 0.00001);
    let shift = p.bias - p.running_mean * scale;
    x * reshape(scale, [1, C, 1, 1]) + reshape(shift, [1, C, 1, 1])
}

/// Mean of each k by k window; padding counts as zero, as in PyTorch.
fn avg_pool[N, C, H, W](
    x: fix[N, C, H, W],
    k: nat,
    stride: nat = k,
    pad: nat = 0,
) -> fix[N, C, (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1] {
    sum_pool(x, k, stride = stride, pad = pad) / (k * k)
}

/// Mean of each channel.
fn global_avg_pool[N, C, H, W](x: fix[N, C, H, W]) -> fix[N, C, 1, 1] {
    sum(sum(x, axis = 2), axis = 3) / (H * W)
}

/// All axes but the first as one, row-major.
fn flatten[N, C, H, W](x: fix[N, C, H, W]) -> fix[N, C * H * W] {
    reshape(x, [N, C * H * W])
}

/// x W^T + b along the last axis of sequences `[N, T, I]`.
fn linear_each[N, T, I, O](x: fix[N, T, I], p: Linear[I, O]) -> fix[N, T, O] {
    reshape(linear(reshape(x, [N * T, I]), p), [N, T, O])
}

/// min(max(x, 0), 6). 2 comparisons.
fn relu6[..S](x: fix[..S]) -> fix[..S] {
    relu(x) - relu(x - 6.0)
}

/// `torch.nn.GELU(approximate="tanh")`: x / (1 + e^-y) with y = 1.5957691 (x + 0.044715 x^3), for all x of the format.
/// Error below 50 u + 2e-6, where u = 2^-frac. 2 comparisons, 15 multiplications.
fn gelu[..S](x: fix[..S]) -> fix[..S] {
    let positive = relu(x);
    // -|x|, cut off where the second term is below 1e-6.
    let a = at_least(x - 2.0 * positive, -4.8);
    let y = a * (1.59576912 + 0.07135481 * (a * a));
    positive + a * (1.0 - sigmoid_above(y))
}

/// Softmax over the last axis, for numbers that differ by less than 2^(int-1) and C < 2^15. What is more than 16 below
/// the largest counts as 16 below. Error below (220 + 4 C) (u + 2e-8), u = 2^-frac, when all roundings go the same way;
/// about 10 u are usual. A maximum of each row, 1 comparison and 9 multiplications an element, 5 comparisons and 6
/// multiplications a row.
fn softmax[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    let z = x - max_over(x, axis = -1);
    let e = exp_neg(at_least(z, -16.0));
    e * reciprocal(sum(e, axis = -1))
}

/// The logarithm of softmax, also where softmax is small; range and rare case as there. Error below
/// (120 + 4 C) (u + 3e-8). A maximum of each row, 1 comparison and 8 multiplications an element, 5 comparisons and 5
/// multiplications a row.
fn log_softmax[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    let z = x - max_over(x, axis = -1);
    let e = exp_neg(at_least(z, -16.0));
    z - log(sum(e, axis = -1))
}

/// Mean 0 and variance 1 along the last axis: `(x - mean) / sqrt(variance + eps)`, for variances of at least 2^-12 and
/// differences from the mean whose squares are within the format. With s^2 the variance, y the result and u = 2^-frac,
/// the error is below u (1 + |y|) (10 + s + 4 / s + 2 / s^2). 2 multiplications an element, 4 comparisons and 9
/// multiplications a row.
fn standardise[..S, C](x: fix[..S, C], eps: fix = 0.00001) -> fix[..S, C] {
    let d = x - mean(x, axis = -1);
    d * rsqrt(mean(d * d, axis = -1) + eps)
}

/// Layer normalisation of sequences `[N, T, C]`. The costs of `standardise`, and a multiplication an element.
fn layer_norm[N, T, C](x: fix[N, T, C], p: LayerNorm[C]) -> fix[N, T, C] {
    standardise(x) * reshape(p.weight, [1, 1, C]) + reshape(p.bias, [1, 1, C])
}

/// Self-attention of sequences `[N, T, heads * D]` (torch's `batch_first=True`), every position with every other. For
/// `heads` softmaxes of T numbers at each position; see `softmax` for their range and cost.
fn attention[N, T, D](
    x: fix[N, T, heads * D],
    p: MultiheadAttention[heads * D],
    heads: nat,
) -> fix[N, T, heads * D] {
    let rows = reshape(x, [N * T, heads * D]);
    let projected = matmul(rows, transpose(p.in_proj_weight, [1, 0]))
        + reshape(p.in_proj_bias, [1, 3 * heads * D]);
    // Axes: query, key or value; sequence; head; position; coordinate.
    let parts = transpose(reshape(projected, [N, T, 3, heads, D]), [2, 0, 3, 1, 4]);
    let (q, k, v) = (parts[0], parts[1], parts[2]);
    let scores = matmul(q / sqrt_local(D), transpose(k, [0, 1, 3, 2]));
    let mixed = transpose(matmul(softmax(scores), v), [0, 2, 1, 3]);
    linear_each(reshape(mixed, [N, T, heads * D]), p.out_proj)
}
