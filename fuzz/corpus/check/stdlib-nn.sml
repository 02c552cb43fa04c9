// Layers. Structs mirror PyTorch's modules field by field, so that a `state_dict` loads under the same names.

/// `torch.nn.Conv2d(I, O, K)`.
struct Conv[I, O, K] { weight: fix[O, I, K, K], bias: fix[O] }

/// `torch.nn.Conv2d(I, O, K, bias=False)`.
struct ConvNoBias[I, O, K] { weight: fix[O, I, K, K] }

/// `torch.nn.Conv2d(C, C, K, groups=C)`: one filter a channel.
struct DepthwiseConv[C, K] { weight: fix[C, 1, K, K], bias: fix[C] }

/// `torch.nn.Linear(I, O)`.
struct Linear[I, O] { weight: fix[O, I], bias: fix[O] }

/// `torch.nn.Linear(I, O, bias=False)`.
struct LinearNoBias[I, O] { weight: fix[O, I] }

/// `torch.nn.BatchNorm2d(C)`, with the statistics of training.
struct BatchNorm[C] { weight: fix[C], bias: fix[C], running_mean: fix[C], running_var: fix[C] }

/// max(x, 0).
intrinsic fn relu[..S](x: fix[..S]) -> fix[..S];

/// Cross-correlation of images `[N, I, H, W]` with filters `[O, I / groups, K, K]`.
intrinsic fn convolve[N, I, H, W, O, G, K](
    x: fix[N, I, H, W],
    weight: fix[O, G, K, K],
    stride: nat = 1,
    pad: nat = 0,
    groups: nat = 1,
) -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1];

/// Largest of each k by k window; padding is never the largest.
intrinsic fn max_pool[N, C, H, W](x: fix[N, C, H, W], k: nat, stride: nat = k, pad: nat = 0)
    -> fix[N, C, (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1];

/// Sum of each k by k window; padding counts as zero.
intrinsic fn sum_pool[N, C, H, W](x: fix[N, C, H, W], k: nat, stride: nat = k, pad: nat = 0)
    -> fix[N, C, (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1];

/// A convolution with bias.
fn conv2d[N, I, O, H, W, K](x: fix[N, I, H, W], p: Conv[I, O, K], stride: nat = 1, pad: nat = 0)
    -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad) + reshape(p.bias, [1, O, 1, 1])
}

/// A convolution without bias, as before a batch normalisation.
fn conv2d_no_bias[N, I, O, H, W, K](x: fix[N, I, H, W], p: ConvNoBias[I, O, K], stride: nat = 1, pad: nat = 0)
    -> fix[N, O, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad)
}

/// A convolution of each channel with its own filter.
fn conv2d_depthwise[N, C, H, W, K](x: fix[N, C, H, W], p: DepthwiseConv[C, K], stride: nat = 1, pad: nat = 0)
    -> fix[N, C, (H + 2 * pad - K) / stride + 1, (W + 2 * pad - K) / stride + 1] {
    convolve(x, p.weight, stride = stride, pad = pad, groups = C) + reshape(p.bias, [1, C, 1, 1])
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
fn avg_pool[N, C, H, W](x: fix[N, C, H, W], k: nat, stride: nat = k, pad: nat = 0)
    -> fix[N, C, (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1] {
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
