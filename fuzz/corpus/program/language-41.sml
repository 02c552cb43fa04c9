owners hospital, vendor;
fixed(int = 16, frac = 16);
fn window[N](x: fix[N], k: nat, stride: nat = k, scale: fix = 1.0) -> fix[k] {
    x[stride..stride + k] * scale
}

fn use_it(x: fix[10]) -> fix[3] {
    window(x, 3) + window(x, 3, scale = 0.5, stride = 1)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
