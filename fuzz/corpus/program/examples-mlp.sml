// A perceptron with two hidden layers on digits of 28 by 28 pixels.
owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Linear, flatten, linear, relu};

struct Mlp { fc1: Linear[784, 128], fc2: Linear[128, 128], fc3: Linear[128, 10] }

entry classify[N](
    image: fix[N, 1, 28, 28] from hospital,
    net: Mlp from vendor,
) -> fix[N, 10] to hospital {
    (image / 255.0 - 0.1307) / 0.3081
        |> flatten
        |> linear(net.fc1) |> relu
        |> linear(net.fc2) |> relu
        |> linear(net.fc3)
}
