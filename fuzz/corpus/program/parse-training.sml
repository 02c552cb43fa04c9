//! args: build {file} --emit ast
owners bank, telco;
fixed(int = 14, frac = 24);

use nn::{Linear, linear, relu};
use loss::cross_entropy;
use optim::sgd;

struct Mlp { fc1: Linear[784, 128], fc2: Linear[128, 10] }

fn logits[B](x: fix[B, 784], net: Mlp) -> fix[B, 10] {
    x |> linear(net.fc1) |> relu |> linear(net.fc2)
}

entry step[B](
    net: Mlp from shares,
    x: fix[B, 784] from bank,
    t: fix[B, 10] from telco,
    rate: public fix,
) -> (Mlp to shares, fix to all) {
    let loss = cross_entropy(logits(x, net), t);
    (sgd(net, grad(loss, net), rate), loss)
}
