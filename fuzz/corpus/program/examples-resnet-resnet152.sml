// ResNet-152 as in torchvision: the names of its state_dict, images of 224 by 224 normalised as there.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use bottleneck::{Bottleneck, Down, stage};
use nn::{BatchNorm, ConvNoBias, Linear};
use resnet::{head, stem};

struct ResNet152 {
    conv1: ConvNoBias[3, 64, 7],
    bn1: BatchNorm[64],
    layer1: (Down[64, 64], ..[Bottleneck[256, 64]; 2]),
    layer2: (Down[256, 128], ..[Bottleneck[512, 128]; 7]),
    layer3: (Down[512, 256], ..[Bottleneck[1024, 256]; 35]),
    layer4: (Down[1024, 512], ..[Bottleneck[2048, 512]; 2]),
    fc: Linear[2048, 1000],
}

entry classify[N](
    image: fix[N, 3, 224, 224] from clinic,
    net: ResNet152 from vendor,
) -> fix[N, 1000] to clinic {
    stem(image, net.conv1, net.bn1)
        |> stage(net.layer1, stride = 1) |> stage(net.layer2)
        |> stage(net.layer3) |> stage(net.layer4)
        |> head(net.fc)
}
