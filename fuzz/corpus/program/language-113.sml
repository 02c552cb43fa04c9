owners hospital, vendor;
fixed(int = 16, frac = 16);
fn mean_of[N](x: fix[N]) -> fix[1] {
    sum(x, axis = 0) / N
}

fn next(i: int[4]) -> int[4] {
    i + 1
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
