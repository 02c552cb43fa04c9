owners hospital, vendor;
fixed(int = 16, frac = 16);

use nn::{Linear, linear, relu, softmax};

entry score[N](
    image: fix[N, 784] in 0..255 from hospital,
    net: Linear[784, 10] in -1.0..1.0 from vendor,
) -> fix[N, 10] to hospital {
    image / 255.0 |> linear(net) |> relu |> softmax
}