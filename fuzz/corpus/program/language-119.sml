owners hospital, vendor;
fixed(int = 16, frac = 16);
/// The last n of N elements.
fn last[N](x: fix[N], n: nat) -> fix[n] {
    x[N - n..]
}

fn use_it(x: fix[8]) -> fix[3] {
    last(x, n = 3)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
