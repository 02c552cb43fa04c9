//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);

fn f[N](x: fix[N, 4]) -> fix[N, 4] {
    let a = max(x, 0.0);
    let b = x |> view(N, 4);
    let c = where(x > 0.0, x, x);
    let d = x |> permute(1, 0);
    let e = cat(x, x);
    let g = mm(x, x);
    y = x;
    for i in range(3) { y = y + x; }
    hospital * y
}
