// ResNet-34 as in torchvision: the names of its state_dict, images of 224 by 224 normalised as there.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use basic::{Basic, BasicDown, basic, basic_stage};
use nn::{BatchNorm, ConvNoBias, Linear};
use resnet::{head, stem};

struct ResNet34 {
    conv1: ConvNoBias[3, 64, 7],
    bn1: BatchNorm[64],
    layer1: [Basic[64]; 3],
    layer2: (BasicDown[64, 128], ..[Basic[128]; 3]),
    layer3: (BasicDown[128, 256], ..[Basic[256]; 5]),
    layer4: (BasicDown[256, 512], ..[Basic[512]; 2]),
    fc: Linear[512, 1000],
}

entry classify[N](
    image: fix[N, 3, 224, 224] from clinic,
    net: ResNet34 from vendor,
) -> fix[N, 1000] to clinic {
    var h = stem(image, net.conv1, net.bn1);
    for p in net.layer1 { h = basic(h, p); }
    h
        |> basic_stage(net.layer2) |> basic_stage(net.layer3) |> basic_stage(net.layer4)
        |> head(net.fc)
}
