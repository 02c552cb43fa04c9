owners hospital, vendor;
fixed(int = 16, frac = 16);
fn scaled[N, C](x: fix[N, C], by: fix, rows: fix[N, 1], bias: fix[C]) -> fix[N, C] {
    x * by * rows + reshape(bias, [1, C])
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
