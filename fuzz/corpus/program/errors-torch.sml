//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;

fn f[N](x: fix[N, 4], p: Linear[4, 2]) -> fix[N, 2] {
    let a = x.relu();
    let b = x.T;
    let c = torch::matmul(x, x);
    let d = nn::Linear(4, 2);
    let e = x.shape;
    let g = x[-1];
    let h = nn::rellu(x);
    p(x)
}
