// Handwritten digits, shrunk to 7 by 7 pixels, and a network of two layers; only the clinic learns the scores.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{Linear, avg_pool, flatten, linear, relu};

struct Mlp { fc1: Linear[49, 32], fc2: Linear[32, 10] }

entry classify[N](
    image: fix[N, 1, 28, 28] from clinic,
    net: Mlp from vendor,
) -> fix[N, 10] to clinic {
    image / 255.0
        |> avg_pool(4) |> flatten
        |> linear(net.fc1) |> relu
        |> linear(net.fc2)
}
