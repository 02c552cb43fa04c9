//! args: build {file} --emit graph
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::{ConvRect, adaptive_avg_pool, conv2d_rect, max_pool_winner};

entry f(x: fix[1, 2, 5, 4] from hospital, p: ConvRect[1, 2, 2, 1] from vendor) -> (fix[1, 2, 2, 2], int[1, 2, 2, 2]) to hospital {
    let wide = x |> zero_pad(1, 0, axis = 2) |> gather([3, 0, 0, 1], axis = 3);
    let y = conv2d_rect(wide, p, groups = 2, dilation = 2, stride_w = 1);
    let (largest, winner) = y |> reverse(axis = 2) |> spread(2, axis = 3) |> max_pool_winner(3, stride = 1);
    let means = adaptive_avg_pool(y, 3, 2);
    (largest[.., .., 0..1, 0..2] + every(means, 2, axis = 2), winner[.., .., 0..2, 0..2])
}
