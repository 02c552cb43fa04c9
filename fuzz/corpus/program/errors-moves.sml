//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
fn f[..S, N](x: fix[..S, N, 4], n: nat) -> fix[..S, N, 4] {
    let a = gather(x, [0, 4], axis = -1);
    let b = gather(x, [n, -1], axis = -1);
    let c = gather(x, [], axis = -1);
    let d = gather(x, 2, axis = -1);
    let e = gather(x, [0], axis = 0);
    let g = reverse(x, axis = 2);
    let h = every(x, 0, axis = -1);
    let i = every(x, 2, axis = -1, start = 4);
    let j = zero_pad(x, 1, -5, axis = -1);
    zero_pad(x, 1, axis = -1)
}
