//! args: build {file} --emit graph --after relu-past-pool
owners a, b;

use nn::{max_pool, relu};

entry f(x: fix[1, 1, 4, 4] from a, y: fix[1, 1, 4, 4] from b) -> fix[1, 1, 2, 2] to a {
    x + y |> relu |> max_pool(2)
}
