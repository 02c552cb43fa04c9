owners hospital, vendor;
fixed(int = 16, frac = 16);
fn halves[N, H](x: fix[N, 2 * H]) -> fix[N, H] {
    x[.., 0..H] + x[.., H..]
}

fn same_size[H](x: fix[(H + 2 - 3) / 2 + 1]) -> fix[(H - 1) / 2 + 1] {
    x
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
