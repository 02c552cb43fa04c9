owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, avg_pool, conv2d, max_pool, relu};

fn features[N](image: fix[N, 1, 28, 28], conv1: Conv[1, 6, 5]) -> fix[N, 6, 28, 28] {
    image / 255.0 |> conv2d(conv1, pad = 2) |> relu
}

entry largest[N](
    image: fix[N, 1, 28, 28] from hospital,
    conv1: Conv[1, 6, 5] from vendor,
) -> fix[N, 6, 14, 14] to hospital {
    features(image, conv1) |> max_pool(2)
}

entry average[N](
    image: fix[N, 1, 28, 28] from hospital,
    conv1: Conv[1, 6, 5] from vendor,
) -> fix[N, 6, 14, 14] to hospital {
    features(image, conv1) |> avg_pool(2)
}