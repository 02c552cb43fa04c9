//! args: check {file}
//! exit: 1
owners a, b;

entry f(x: fix from a) -> fix to a {
    zeros(3) + ones(3) + int(x) + fix(x) + 1.e3 + dropout(x) + tensor(x)
}

entry g(x: fix from a) -> fix to a {
    np::log(x) + torch.compile(x)
}

entry h(x: fix from a) -> fix to a {
    Conv2d(x)
}
