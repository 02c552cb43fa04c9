owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::relu;

/// x where it is above the step, a little of x below.
fn leaky[..S](x: fix[..S], slope: fix = 0.125) -> fix[..S] {
    relu(x) - slope * relu(-x)
}

fn power[..S](x: fix[..S], n: nat) -> fix[..S] {
    var y = x;
    for _ in 1..n { y = y * x; }
    y
}

fn use_them(x: fix[3]) -> fix[3] {
    x |> leaky |> leaky(slope = 0.25) |> power(n = 3)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
