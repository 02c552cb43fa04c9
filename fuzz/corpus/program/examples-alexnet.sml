// AlexNet as in torchvision: the names of its state_dict, images of 224 by 224 normalised as there.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

// `()` stands for ReLU, pooling and dropout.
struct AlexNet {
    features: (
        Conv[3, 64, 11], (), (),
        Conv[64, 192, 5], (), (),
        Conv[192, 384, 3], (), Conv[384, 256, 3], (), Conv[256, 256, 3],
    ),
    classifier: ((), Linear[9216, 4096], (), (), Linear[4096, 4096], (), Linear[4096, 1000]),
}

entry classify[N](
    image: fix[N, 3, 224, 224] from clinic,
    net: AlexNet from vendor,
) -> fix[N, 1000] to clinic {
    let (f, c) = (net.features, net.classifier);
    // The adaptive average to 6 by 6 changes nothing at this size of image.
    image
        |> conv2d(f.0, stride = 4, pad = 2) |> relu |> max_pool(3, stride = 2)
        |> conv2d(f.3, pad = 2) |> relu |> max_pool(3, stride = 2)
        |> conv2d(f.6, pad = 1) |> relu
        |> conv2d(f.8, pad = 1) |> relu
        |> conv2d(f.10, pad = 1) |> relu |> max_pool(3, stride = 2)
        |> flatten
        |> linear(c.1) |> relu
        |> linear(c.4) |> relu
        |> linear(c.6)
}
