//! args: build {file} --emit graph --after fuse-linear
// The bias joins the product before its truncation.
owners a, b;

use nn::{Linear, linear};

entry f(x: fix[2, 3] from a, p: Linear[3, 4] from b) -> fix[2, 4] to a {
    x |> linear(p)
}
