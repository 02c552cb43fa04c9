//! args: build {file} --emit ast
struct Empty {}
struct Conv[Cin, Cout, K] { weight: fix[Cout, Cin, K, K], bias: fix[Cout] }
struct Net[D] {
    blocks: [Conv[8, 8, 3]; D],
    head: (fix[10, 64], fix[10]),
    steps: [[int; 2]; D + 1],
    flag: bool,
    scalar: fix,
}

fn pooled[..S, H, W](x: fix[..S, H, W], k: public nat = 2, stride: nat = k) -> fix[..S, (H - k) / stride + 1, W / 2 % 3] {
    x
}
