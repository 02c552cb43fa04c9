owners hospital, vendor;
fixed(int = 16, frac = 16);
fn sums[N, C](x: fix[N, C]) -> (fix[1, C], fix[N, 1], fix[N]) {
    (sum(x, axis = 0), sum(x, axis = -1), reshape(sum(x, axis = 1), [N]))
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
