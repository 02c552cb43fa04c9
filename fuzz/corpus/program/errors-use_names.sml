//! args: check {file}
//! exit: 1
owners hospital, vendor;
fixed(int = 16, frac = 16);
use layers::Conv;
use nn::{Conv2d, ReLU, max_pol};
