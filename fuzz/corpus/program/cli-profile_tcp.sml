//! args: run {file} --profile --transport tcp
//! exit: 2
owners clinic, vendor;

use nn::{Linear, linear};

struct Net { fc: Linear[3, 2] }

entry scores[N](x: fix[N, 3] from clinic, net: Net from vendor) -> fix[N, 2] to clinic {
    x |> linear(net.fc)
}
