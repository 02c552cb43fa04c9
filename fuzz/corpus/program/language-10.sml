owners hospital, vendor;
fixed(int = 16, frac = 16);
fn expressions(x: fix[5, 3], y: fix[5, 3], n: int[5, 3]) -> fix[5, 3] {
    let smaller = x < y && !(n == 2);
    let row = x[0];
    let part = x[1..3, ..];
    let one = x[4, 2];
    let joined = concat(part, y[0..3, 0..3], axis = 0);
    select(smaller, x, joined) * one + reshape(row, [1, 3])
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
