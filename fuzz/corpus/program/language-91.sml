owners hospital, vendor;
fixed(int = 16, frac = 16);
fn moved[N](x: fix[N, 4, 5], y: fix[N, 2, 5]) -> (fix[N, 20], fix[5, N, 4], fix[N, 6, 5]) {
    (reshape(x, [N, 20]), transpose(x, [2, 0, 1]), concat(x, y, axis = 1))
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
