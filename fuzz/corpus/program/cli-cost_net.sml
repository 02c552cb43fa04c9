//! args: cost {file} --dim N=4 --net 1ms,1Gb --net lan --one-machine
owners clinic, vendor;

use nn::{Linear, linear};

struct Net { fc: Linear[3, 2] }

entry scores[N](x: fix[N, 3] from clinic, net: Net from vendor) -> fix[N, 2] to clinic {
    x |> linear(net.fc)
}
