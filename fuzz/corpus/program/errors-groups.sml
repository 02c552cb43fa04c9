//! args: build {file} --emit graph
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::convolve;

entry f(x: fix[1, 6, 8, 8] from hospital, w: fix[8, 2, 3, 3] from vendor) -> fix[1, 8, 6, 6] to hospital {
    convolve(x, w, groups = 4)
}
