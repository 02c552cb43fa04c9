//! args: check {file}
//! exit: 1
owners a, b;
use loss::mse;
use nn::relu;

entry f(x: fix[2] from a, y: fix[2] from b) -> fix[2] to a {
    let scaled = x * [1.0, 2.0];
    let sum: fix[2] = [1.0, 2.0];
    let p = (x, y);
    let z = reveal(x) to a;
    let v = reveal relu(x) to a;
    relu([1.0, 2.0]) + p[0] + p[1] + z
}

entry g(x: fix[2, 2] from a, w: fix[2, 2] from b) -> fix[2, 2] to a {
    let l = mse(x * w, x);
    grad(w, l)
}

entry h(x: fix[2, 3] from a) -> fix[5] to a {
    var h = reshape(x, 6);
    reshape(x, [6])
}

entry i(x: fix[3] from a) -> fix[12] to a {
    var h = x;
    for i in 0..3 { h = concat(h, x, axis = 0); }
    h
}
