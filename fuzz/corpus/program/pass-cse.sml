//! args: build {file} --emit graph --after cse
owners a, b;

use nn::relu;

entry f(x: fix[2] from a, y: fix[2] from b) -> fix[2] to a {
    relu(x + y) * relu(x + y)
}
