// VGG-16 for CIFAR-10, 32 by 32: the names of https://github.com/kuangliu/pytorch-cifar, whose convolutions have a bias and
// a batch normalisation each.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{BatchNorm, Conv, Linear, batch_norm, conv2d, flatten, linear, max_pool, relu};

// `()` stands for ReLU, pooling and the average over one place.
struct Vgg16 {
    features: (
        Conv[3, 64, 3], BatchNorm[64], (), Conv[64, 64, 3], BatchNorm[64], (), (),
        Conv[64, 128, 3], BatchNorm[128], (), Conv[128, 128, 3], BatchNorm[128], (), (),
        Conv[128, 256, 3], BatchNorm[256], (), Conv[256, 256, 3], BatchNorm[256], (),
        Conv[256, 256, 3], BatchNorm[256], (), (),
        Conv[256, 512, 3], BatchNorm[512], (), Conv[512, 512, 3], BatchNorm[512], (),
        Conv[512, 512, 3], BatchNorm[512], (), (),
        Conv[512, 512, 3], BatchNorm[512], (), Conv[512, 512, 3], BatchNorm[512], (),
        Conv[512, 512, 3], BatchNorm[512],
    ),
    classifier: Linear[512, 10],
}

fn layer[N, I, O, H, W](
    x: fix[N, I, H, W],
    conv: Conv[I, O, 3],
    norm: BatchNorm[O],
) -> fix[N, O, H, W] {
    x |> conv2d(conv, pad = 1) |> batch_norm(norm) |> relu
}

entry classify[N](
    image: fix[N, 3, 32, 32] from clinic,
    net: Vgg16 from vendor,
) -> fix[N, 10] to clinic {
    let f = net.features;
    image
        |> layer(f.0, f.1) |> layer(f.3, f.4) |> max_pool(2)
        |> layer(f.7, f.8) |> layer(f.10, f.11) |> max_pool(2)
        |> layer(f.14, f.15) |> layer(f.17, f.18) |> layer(f.20, f.21) |> max_pool(2)
        |> layer(f.24, f.25) |> layer(f.27, f.28) |> layer(f.30, f.31) |> max_pool(2)
        |> layer(f.34, f.35) |> layer(f.37, f.38) |> layer(f.40, f.41) |> max_pool(2)
        |> flatten
        |> linear(net.classifier)
}
