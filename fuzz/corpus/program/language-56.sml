owners clinic, vendor;

use nn::{Linear, linear};

struct Net { fc1: Linear[49, 32], out: Linear[32, 10] }

entry scores[N](x: fix[N, 49] from clinic, net: Net from vendor) -> fix[N, 10] to clinic {
    x |> linear(net.fc1) |> linear(net.out)
}