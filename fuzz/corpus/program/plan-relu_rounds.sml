//! args: build {file} --emit plan --spare rounds
owners a, b;

use nn::relu;

entry f(x: fix[64] from a, y: fix[64] from b) -> fix[64] to a {
    relu(x * y)
}
