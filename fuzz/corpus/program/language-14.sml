owners hospital, vendor;
fixed(int = 16, frac = 16);
fn parts[N](x: fix[N, 4, 5]) -> (fix[4, 5], fix[N, 5], fix[N, 4, 2], fix) {
    (x[0], x[.., 1], x[.., .., 3..], x[0, 0, 0])
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
