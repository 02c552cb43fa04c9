//! args: check {file}
//! exit: 1
owners a, b;
use nn::relu;

entry f(x: fix from a, y: fix from b) -> fix to a {
    let loss = x * y;
    let g = loss.backward();
    nn.relu(x) + torch.exp(y) + torch.matmul(x, y) + torch::exp(x) + relu[4](x) + x.relu()
}

entry g(x: fix from a, y: fix from b) -> fix to a {
    Exp(x) + ReLU(y) + clamp(x, 0.0, 1.0)
}
