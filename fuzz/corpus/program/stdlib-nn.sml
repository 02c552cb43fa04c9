// Layers. Structs mirror PyTorch's modules field by field, so that a `state_dict` loads under the same names.

use math::{erf_local, exp_local, exp_neg, log, log_local, nodes, piecewise, reciprocal, rsqrt};

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

/// Cross-correlation of images `[N, I, H, W]` with filters `[O, I / groups, KH, KW]`: images of O channels, of `fix`. `G` is
/// `I / groups`. Neighbours under a filter are `dilation` apart. What ends in `_w` is for columns where they differ from rows.
intrinsic fn convolve[N, I, H, W, O, G, KH, KW](
    x: fix[N, I, H, W],
    weight: fix[O, G, KH, KW],
    stride: nat = 1,
    pad: nat = 0,
    groups: nat = 1,
    dilation: nat = 1,
    stride_w: nat = stride,
    pad_w: nat = pad,
    dilation_w: nat = dilation,
) -> fix[N, O, (H + 2 * pad - dilation * (KH - 1) - 1) / stride + 1, (W + 2 * pad_w - dilation_w * (KW - 1) - 1) / stride_w + 1];

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

/// `near` from -`bound` to `bound`, 0 below and x above: two comparisons beside one another.
fn rectified[..S](x: fix[..S], near: fix[..S], bound: fix) -> fix[..S] {
    near - select(x < -bound, near, 0.0) + select(x >= bound, x - near, 0.0)
}

/// `torch.nn.GELU()`, x (1 + erf(x / sqrt(2))) / 2, for all x. Error below 4 u + 2e-6.
fn gelu[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-7.75, 0.5, pieces = 32, degree = 6);
    rectified(x, piecewise(x, -7.75, 0.5, t * (0.5 + 0.5 * erf_local(0.7071067811865476 * t))), 5.5)
}

/// `torch.nn.GELU(approximate="tanh")`, x / (1 + e^-y) with y = 1.5957691 (x + 0.044715 x^3), for all x. Error below
/// 4 u + 2e-6.
fn gelu_tanh[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-7.75, 0.5, pieces = 32, degree = 6);
    let y = 1.5957691216057308 * (t + 0.044715 * t * t * t);
    rectified(x, piecewise(x, -7.75, 0.5, t / (1.0 + exp_local(-y))), 5.5)
}

/// `torch.nn.SiLU()`, x / (1 + e^-x), for all x. Error below 4 u + 8e-6.
fn silu[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-15.5, 1.0, pieces = 32, degree = 6);
    rectified(x, piecewise(x, -15.5, 1.0, t / (1.0 + exp_local(-t))), 15.0)
}

/// `torch.nn.Softplus()`, log(1 + e^x), for all x. Error below 4 u + 8e-6.
fn softplus[..S](x: fix[..S]) -> fix[..S] {
    let t = nodes(-15.5, 1.0, pieces = 32, degree = 6);
    rectified(x, piecewise(x, -15.5, 1.0, log_local(1.0 + exp_local(t))), 15.0)
}

/// `torch.nn.ELU(alpha)`: x above 0, alpha (e^x - 1) below. Error below 2 u (1 + alpha).
fn elu[..S](x: fix[..S], alpha: fix = 1.0) -> fix[..S] {
    let below = exp_neg(x) - 1.0;
    select(x < 0.0, alpha * below, x)
}

/// `torch.nn.Dropout(p)` in training: a part p of the elements, drawn anew each time by nobody, become 0, and the others
/// are divided by 1 - p. p is a constant.
fn dropout[..S](x: fix[..S], p: fix = 0.5) -> fix[..S] {
    keep_some(x, 1.0 - p) * (1.0 / (1.0 - p))
}

/// Softmax over the last axis, for numbers that differ by less than 2^(int-1) and C < 2^15. Error below (14 + 3 C) u, u = 2^-frac,
/// when all roundings go the same way; about 2 u are usual. A maximum of each row, an `exp_neg` and a multiplication
/// an element, and a `reciprocal` a row.
fn softmax[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    let z = x - max_over(x, axis = -1);
    let e = exp_neg(z);
    e * reciprocal(sum(e, axis = -1))
}

/// The logarithm of softmax, also where softmax is small; range as there. Error below (10 + 3 C) u. A maximum of each row, an
/// `exp_neg` an element and a `log` a row.
fn log_softmax[..S, C](x: fix[..S, C]) -> fix[..S, C] {
    let z = x - max_over(x, axis = -1);
    let e = exp_neg(z);
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

/// `torch.nn.Conv2d(I, O, (KH, KW), groups=I // G)`: filters of any height and width, over G channels each.
struct ConvRect[G, O, KH, KW] { weight: fix[O, G, KH, KW], bias: fix[O] }

/// `torch.nn.Conv1d(I, O, K, groups=I // G)`: filters over G channels each.
struct Conv1d[G, O, K] { weight: fix[O, G, K], bias: fix[O] }

/// `torch.nn.ConvTranspose2d(I, O, K)`.
struct ConvTranspose[I, O, K] { weight: fix[I, O, K, K], bias: fix[O] }

/// A convolution with bias and all that `convolve` takes: filters of any shape, groups, dilation, and rows apart from columns.
/// Costs those of `conv2d`: the elements of the result decide, and nothing is sent for padding or dilation.
fn conv2d_rect[N, I, G, O, H, W, KH, KW](
    x: fix[N, I, H, W],
    p: ConvRect[G, O, KH, KW],
    stride: nat = 1,
    pad: nat = 0,
    groups: nat = 1,
    dilation: nat = 1,
    stride_w: nat = stride,
    pad_w: nat = pad,
    dilation_w: nat = dilation,
) -> fix[N, O, (H + 2 * pad - dilation * (KH - 1) - 1) / stride + 1, (W + 2 * pad_w - dilation_w * (KW - 1) - 1) / stride_w + 1] {
    convolve(
            x,
            p.weight,
            stride = stride,
            pad = pad,
            groups = groups,
            dilation = dilation,
            stride_w = stride_w,
            pad_w = pad_w,
            dilation_w = dilation_w,
        )
        + reshape(p.bias, [1, O, 1, 1])
}

/// A convolution of sequences `[N, I, L]` (channels before positions, as in torch), with bias. One truncation, as `conv2d`.
fn conv1d[N, I, G, O, L, K](
    x: fix[N, I, L],
    p: Conv1d[G, O, K],
    stride: nat = 1,
    pad: nat = 0,
    groups: nat = 1,
    dilation: nat = 1,
) -> fix[N, O, (L + 2 * pad - dilation * (K - 1) - 1) / stride + 1] {
    let rows = convolve(
        reshape(x, [N, I, 1, L]),
        reshape(p.weight, [O, G, 1, K]),
        stride = 1,
        pad = 0,
        groups = groups,
        stride_w = stride,
        pad_w = pad,
        dilation_w = dilation,
    );
    rows[.., .., 0] + reshape(p.bias, [1, O, 1])
}

/// A transposed convolution with bias: every element of x adds a filter to the result,
/// `stride` apart. Computed as a convolution of x with zeros between its elements by the mirrored filters: one truncation,
/// as `conv2d`, and the multiplications of one with a result of this size.
fn conv2d_transpose[N, I, O, H, W, K](
    x: fix[N, I, H, W],
    p: ConvTranspose[I, O, K],
    stride: nat = 1,
    pad: nat = 0,
    output_pad: nat = 0,
    dilation: nat = 1,
) -> fix[N, O, (H - 1) * stride - 2 * pad + dilation * (K - 1) + output_pad + 1, (W - 1) * stride - 2 * pad + dilation * (K - 1) + output_pad + 1] {
    let edge = dilation * (K - 1) - pad;
    let wide = x
        |> spread(stride, axis = 2) |> zero_pad(edge, edge + output_pad, axis = 2)
        |> spread(stride, axis = 3) |> zero_pad(edge, edge + output_pad, axis = 3);
    let mirrored = transpose(p.weight, [1, 0, 2, 3]) |> reverse(axis = 2) |> reverse(axis = 3);
    convolve(wide, mirrored, dilation = dilation) + reshape(p.bias, [1, O, 1, 1])
}

/// `torch.nn.GroupNorm(groups, C)`.
struct GroupNorm[C] { weight: fix[C], bias: fix[C] }

/// `torch.nn.Embedding(V, D)`.
struct Embedding[V, D] { weight: fix[V, D] }

/// The k by k windows of images, each as an axis, row by row: the last axis of `[N, C, rows, columns, k * k]`, of `fix`.
/// Sends no message.
intrinsic fn patches[N, C, H, W](
    x: fix[N, C, H, W],
    k: nat,
    stride: nat = k,
) -> fix[N, C, (H - k) / stride + 1, (W - k) / stride + 1, k * k];

/// Means of h by w windows, as `torch.nn.AdaptiveAvgPool2d((h, w))`: the window of row i goes from floor(i H / h) to
/// ceil((i + 1) H / h). Gives `fix` images of as many channels. The sum of a window is within the format. Error below
/// u (1 + 4 m), where u = 2^-frac and m is the largest magnitude in the window. One truncation an element of the result.
intrinsic fn adaptive_avg_pool[N, C, H, W](
    x: fix[N, C, H, W],
    h: nat,
    w: nat = h,
) -> fix[N, C, h, w];

/// Largest of each channel. H W - 1 comparisons a channel, in rounds for the logarithm of H W.
fn global_max_pool[N, C, H, W](x: fix[N, C, H, W]) -> fix[N, C, 1, 1] {
    reshape(max_over(reshape(x, [N, C, H * W]), axis = 2), [N, C, 1, 1])
}

/// Largest of each k by k window and its position in it, row by row from 0, as `torch.nn.MaxPool2d(return_indices=True)`
/// but for the count within the window; the earlier wins a tie. k^2 - 1 comparisons a window give both.
fn max_pool_winner[N, C, H, W](x: fix[N, C, H, W], k: nat, stride: nat = k) -> (
    fix[N, C, (H - k) / stride + 1, (W - k) / stride + 1],
    int[N, C, (H - k) / stride + 1, (W - k) / stride + 1],
) {
    let windows = patches(x, k, stride = stride);
    let largest = max_over(windows, axis = -1);
    (largest[.., .., .., .., 0], argmax(windows, axis = -1))
}

/// `torch.nn.LeakyReLU(slope)`: x above 0, slope x below. Error below u (1 + slope |x|), where u = 2^-frac. 1 comparison
/// and 1 truncation.
fn leaky_relu[..S](x: fix[..S], slope: fix = 0.01) -> fix[..S] {
    let positive = relu(x);
    slope * (x - positive) + positive
}

/// The end of a residual block: max(x + skip, 0). 1 comparison.
fn residual[..S](x: fix[..S], skip: fix[..S]) -> fix[..S] {
    relu(x + skip)
}

/// Group normalisation of images: mean 0 and variance 1 over the channels of a group and all places, then a factor and a
/// summand a channel, as `torch.nn.GroupNorm(groups, groups * C)`. Domain, error and costs of `standardise` with a row
/// for each group of each image, and a multiplication an element. `groups = 1` is a layer normalisation of all channels,
/// and `C = 1` (as many groups as channels) `torch.nn.InstanceNorm2d(affine=True)`.
fn group_norm[N, C, H, W](
    x: fix[N, groups * C, H, W],
    p: GroupNorm[groups * C],
    groups: nat,
) -> fix[N, groups * C, H, W] {
    let rows = standardise(reshape(x, [N, groups, C * H * W]));
    let even = reshape(rows, [N, groups * C, H, W]);
    even * reshape(p.weight, [1, groups * C, 1, 1]) + reshape(p.bias, [1, groups * C, 1, 1])
}

/// `torch.nn.Embedding(V, D)`: the rows of the table that the integers name. See `rows_at`.
fn embedding[..S, V, D](i: int[..S], p: Embedding[V, D]) -> fix[..S, D] {
    rows_at(p.weight, i)
}
