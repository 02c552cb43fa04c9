//! args: build {file} --emit graph --after trim-window
// On an image of 2 by 2 every place of a window of 3 by 3 sees something.
owners a, b;

use nn::{Conv, conv2d};

entry f(x: fix[1, 1, 2, 2] from a, c: Conv[1, 1, 3] from b) -> fix[1, 1, 2, 2] to a {
    x |> conv2d(c, pad = 1)
}
