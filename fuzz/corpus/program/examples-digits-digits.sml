// Handwritten digits: the clinic's scans, the vendor's network; only the clinic learns the scores.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

// Two torch.nn.Sequential: `()` stands for a layer without parameters, so the state_dict's names fit as they are.
struct Cnn {
    features: (Conv[1, 32, 3], (), (), Conv[32, 64, 3]),
    classifier: (Linear[3136, 128], (), Linear[128, 10]),
}

entry classify[N](
    image: fix[N, 1, 28, 28] from clinic,
    net: Cnn from vendor,
) -> fix[N, 10] to clinic {
    (image / 255.0 - 0.1307) / 0.3081
        |> conv2d(net.features.0, pad = 1) |> relu |> max_pool(2)
        |> conv2d(net.features.3, pad = 1) |> relu |> max_pool(2)
        |> flatten
        |> linear(net.classifier.0) |> relu
        |> linear(net.classifier.2)
}
