// AlexNet for CIFAR-10, as papers on private inference measure it: FALCON's without its normalisations, images of 33 by 33.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

// `()` stands for ReLU and pooling.
struct AlexNet {
    features: (
        Conv[3, 96, 11], (), (),
        Conv[96, 256, 5], (), (),
        Conv[256, 384, 3], (), Conv[384, 384, 3], (), Conv[384, 256, 3],
    ),
    classifier: (Linear[256, 256], (), Linear[256, 256], (), Linear[256, 10]),
}

entry classify[N](
    image: fix[N, 3, 33, 33] from clinic,
    net: AlexNet from vendor,
) -> fix[N, 10] to clinic {
    let (f, c) = (net.features, net.classifier);
    image
        |> conv2d(f.0, stride = 4, pad = 9) |> relu |> max_pool(3, stride = 2)
        |> conv2d(f.3, pad = 1) |> relu |> max_pool(3, stride = 2)
        |> conv2d(f.6, pad = 1) |> relu
        |> conv2d(f.8, pad = 1) |> relu
        |> conv2d(f.10, pad = 1) |> relu
        |> flatten
        |> linear(c.0) |> relu
        |> linear(c.2) |> relu
        |> linear(c.4)
}
