//! args: build {file} --emit graph --after trim-window
// A window of 3 by 3 on an image of 1 by 2: its first and last row see nothing, its columns all see something.
owners a, b;

use nn::{Conv, conv2d};

entry f(x: fix[1, 2, 1, 2] from a, c: Conv[2, 3, 3] from b) -> fix[1, 3, 1, 2] to a {
    x |> conv2d(c, pad = 1)
}
