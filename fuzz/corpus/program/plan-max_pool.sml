//! args: build {file} --emit plan
owners a, b;
fixed(int = 3, frac = 2);

use nn::max_pool;

entry f(x: fix[1, 1, 2, 2] from a, y: fix[1, 1, 2, 2] from b) -> fix[1, 1, 1, 1] to a {
    max_pool(x + y, 2)
}
