// The hospital's images, the vendor's weights; only the hospital learns the scores.
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

struct LeNet {
    conv1: Conv[1, 6, 5],
    conv2: Conv[6, 16, 5],
    fc1: Linear[400, 120],
    fc2: Linear[120, 84],
    fc3: Linear[84, 10],
}

entry classify[N](
    image: fix[N, 1, 28, 28] from hospital,
    net: LeNet from vendor,
) -> fix[N, 10] to hospital {
    image / 255.0
        |> conv2d(net.conv1, pad = 2) |> relu |> max_pool(2)
        |> conv2d(net.conv2) |> relu |> max_pool(2)
        |> flatten
        |> linear(net.fc1) |> relu
        |> linear(net.fc2) |> relu
        |> linear(net.fc3)
}
