// VGG-16 as in torchvision: the names of its state_dict, images of 224 by 224 normalised as there.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{Conv, Linear, conv2d, flatten, linear, max_pool, relu};

// `()` stands for ReLU, pooling and dropout.
struct Vgg16 {
    features: (
        Conv[3, 64, 3], (), Conv[64, 64, 3], (), (),
        Conv[64, 128, 3], (), Conv[128, 128, 3], (), (),
        Conv[128, 256, 3], (), Conv[256, 256, 3], (), Conv[256, 256, 3], (), (),
        Conv[256, 512, 3], (), Conv[512, 512, 3], (), Conv[512, 512, 3], (), (),
        Conv[512, 512, 3], (), Conv[512, 512, 3], (), Conv[512, 512, 3],
    ),
    classifier: (Linear[25088, 4096], (), (), Linear[4096, 4096], (), (), Linear[4096, 1000]),
}

fn layer[N, I, O, H, W](x: fix[N, I, H, W], p: Conv[I, O, 3]) -> fix[N, O, H, W] {
    x |> conv2d(p, pad = 1) |> relu
}

entry classify[N](
    image: fix[N, 3, 224, 224] from clinic,
    net: Vgg16 from vendor,
) -> fix[N, 1000] to clinic {
    let (f, c) = (net.features, net.classifier);
    // The adaptive average to 7 by 7 changes nothing at this size of image.
    image
        |> layer(f.0) |> layer(f.2) |> max_pool(2)
        |> layer(f.5) |> layer(f.7) |> max_pool(2)
        |> layer(f.10) |> layer(f.12) |> layer(f.14) |> max_pool(2)
        |> layer(f.17) |> layer(f.19) |> layer(f.21) |> max_pool(2)
        |> layer(f.24) |> layer(f.26) |> layer(f.28) |> max_pool(2)
        |> flatten
        |> linear(c.0) |> relu
        |> linear(c.3) |> relu
        |> linear(c.6)
}
