owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;

fn types(
    a: fix,
    b: int[3],
    c: bool[2, 2],
    n: nat,
    d: Linear[4, 8],
    e: (fix, int),
    f: [fix[2]; 3],
) -> (bool, fix[2]) {
    (c[0, 0] && b[0] > n, a * f[2])
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
