//! args: build {file} --emit graph --after fold-input
// The scale behind the ReLU goes into the filters, and what the shift becomes, edges and all, into a bias. The average's
// sixteenth goes into the linear layer.
owners clinic, vendor;

use nn::{ConvNoBias, Linear, conv2d_no_bias, flatten, global_avg_pool, linear, relu};

entry f(
    x: fix[1, 2, 5, 5] from clinic,
    y: fix[1, 2, 5, 5] from vendor,
    s: fix[2] from vendor,
    t: fix[2] from vendor,
    p: ConvNoBias[2, 2, 3] from vendor,
    q: Linear[2, 4] from vendor,
) -> fix[1, 4] to clinic {
    relu(x + y) * reshape(s, [1, 2, 1, 1]) + reshape(t, [1, 2, 1, 1])
        |> conv2d_no_bias(p, pad = 1)
        |> relu
        |> global_avg_pool |> flatten
        |> linear(q)
}
