//! args: build {file} --emit graph --after dce
owners a, b;

use nn::relu;

entry f(x: fix[2] from a, y: fix[2] from b) -> fix[2] to a {
    let used = relu(x * y);
    x + used
}
