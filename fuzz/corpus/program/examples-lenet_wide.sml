// LeNet as papers on private inference measure it: 20 and 50 channels, 500 hidden numbers.
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

struct LeNet {
    conv1: Conv[1, 20, 5],
    conv2: Conv[20, 50, 5],
    fc1: Linear[800, 500],
    fc2: Linear[500, 10],
}

entry classify[N](
    image: fix[N, 1, 28, 28] from hospital,
    net: LeNet from vendor,
) -> fix[N, 10] to hospital {
    image / 255.0
        |> conv2d(net.conv1) |> relu |> max_pool(2)
        |> conv2d(net.conv2) |> relu |> max_pool(2)
        |> flatten
        |> linear(net.fc1) |> relu
        |> linear(net.fc2)
}
