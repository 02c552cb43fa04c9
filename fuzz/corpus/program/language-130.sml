owners north, south, vendor, auditor;
fixed(int = 16, frac = 16);

use nn::{Linear, linear, relu};

struct Net { fc1: Linear[8, 16], fc2: Linear[16, 2] }

fn scores[N](x: fix[N, 8], net: Net) -> fix[N, 2] {
    x |> linear(net.fc1) |> relu |> linear(net.fc2)
}

entry triage[N, M](
    a: fix[N, 8] from north,
    b: fix[M, 8] from south,
    net: Net from vendor,
    threshold: public fix,
) -> (fix[N, 2] to north, fix[M, 2] to south) {
    let both = scores(concat(a, b, axis = 0), net);
    let urgent = select(both[.., 1] > threshold, 1.0, 0.0);
    reveal sum(urgent, axis = 0) to auditor;
    (both[0..N], both[N..])
}